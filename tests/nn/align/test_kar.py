from typing import Any

import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import METADATA, random_batch, random_data
from torch import Tensor
from torch.nn import Embedding, Module
from torch_geometric.data import HeteroData
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import KARAlign, RLMRecConAlign
from pyg_darec.nn.models import DCCF, SGL, AutoCF, LightGCN
from pyg_darec.nn.objectives import BCE, BPR, DirectAU, SampledSoftmax

DATA = random_data()
GRAPH = as_graph(DATA)
BATCH = random_batch(DATA)


def plain(**kwargs: Any) -> LightGCN:
    return LightGCN.from_data(DATA, 8, edge_dropout=0.0, **kwargs)


class TestConformance(AlignerConformance):
    expected_repr = (
        "KARAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        'llm_dim=12, weight=1.0, num_shared=2, num_dedicated=5, '
        "combine='concat')"
    )

    def wrap(self, model: Module) -> KARAlign:
        return KARAlign(model, 12)

    # There is no alignment loss: the objective is that of other embeddings.

    def test_base_loss_is_the_models_own(self) -> None:
        model = self.build(DATA)
        assert isinstance(model, KARAlign)
        own = model.model.loss(DATA, BATCH)[1]
        terms = model.loss(DATA, BATCH)[1]
        assert set(own) == set(terms)
        assert torch.equal(own['reg'], terms['reg'])
        assert not torch.equal(own['bpr'], terms['bpr'])

    def test_weight_scales_the_alignment(self) -> None:
        model = self.build(DATA).eval()
        assert isinstance(model, KARAlign)
        once = [x[:, 8:] for x in model(DATA)]
        model.weight = 0.5
        for x, half in zip(once, model(DATA), strict=True):
            assert torch.allclose(half[:, 8:], 0.5 * x)

    def test_backbone_gets_gradients_from_the_alignment(self) -> None:
        """In concatenation it acts through the slope of the objective."""
        model = self.build(DATA)
        assert isinstance(model, KARAlign)
        table = model.get_parameter('model.user_embedding.weight')
        grads = [
            torch.autograd.grad(m.step(GRAPH, BATCH).terms['bpr'], table)[0]
            for m in (model, model.model)
        ]
        assert not torch.allclose(grads[0], grads[1])


class TestConformanceOfTheSum(TestConformance):
    expected_repr = TestConformance.expected_repr.replace('concat', 'sum')

    def wrap(self, model: Module) -> KARAlign:
        return KARAlign(model, 12, combine='sum')

    def test_weight_scales_the_alignment(self) -> None:
        model = self.build(DATA).eval()
        assert isinstance(model, KARAlign)
        alone, full = model.model(DATA), model(DATA)
        model.weight = 0.5
        for x, y, z in zip(alone, full, model(DATA), strict=True):
            assert torch.allclose(z, (x + y) / 2, atol=1e-6)


@pytest.mark.parametrize('combine', ['concat', 'sum'])
def test_objective_is_that_of_what_is_scored(combine: Any) -> None:
    torch.manual_seed(0)
    backbone = plain()
    model = KARAlign(backbone, 12, weight=0.7, combine=combine).double()
    parts = []
    for kind, cf in zip(('user', 'item'), backbone(DATA), strict=True):
        x = DATA[kind].llm_x.double()
        own = 0.7 * model.adaptor(x, kind, 8)
        parts.append(
            torch.cat([cf, own], dim=1) if combine == 'concat' else cf + own
        )
    user, item = parts
    total = torch.zeros(()).double()
    for u, p, n in zip(*BATCH, strict=True):
        gap = user[u] @ item[p] - user[u] @ item[n]
        total = total - torch.log(1 / (1 + torch.exp(-gap)))
    got = model.loss(DATA, BATCH)[1]['bpr']
    assert torch.allclose(got, total / len(BATCH[0]), atol=1e-10)
    for x, y in zip(model.eval()(DATA), parts, strict=True):
        assert torch.allclose(x, y)


def test_weight_0_is_the_model_alone() -> None:
    backbone = plain()
    model = KARAlign(backbone, 12, weight=0.0)
    terms, own = (m.loss(DATA, BATCH)[1] for m in (model, backbone))
    assert terms.keys() == own.keys()
    assert all(torch.allclose(terms[k], own[k], atol=1e-7) for k in own)
    (user, item), (u, i) = model(DATA), backbone(DATA)
    assert torch.allclose(user @ item.t(), u @ i.t())


@pytest.mark.parametrize(
    'objective', [BPR(), BCE(), DirectAU(), SampledSoftmax()], ids=str
)
def test_only_rows_of_the_batch_are_augmented(
    objective: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = KARAlign(plain(), 12)
    model.objective = objective
    seen: list[int] = []
    forward = model.adaptor.forward

    def count(x: Tensor, kind: str, width: int) -> Tensor:
        seen.append(x.size(0))
        return forward(x, kind, width)

    monkeypatch.setattr(model.adaptor, 'forward', count)
    batch = random_batch(DATA, 4)
    results = []
    for run in (model.loss(DATA, batch)[0], _total(model, batch)):
        grads = torch.autograd.grad(run, list(model.parameters()))
        results.append((run, grads))
    assert seen == [
        len(batch[0].unique()),
        len(torch.cat(batch[1:]).unique()),
        30,
        20,
    ]
    (loss, grads), (expected, others) = results
    assert torch.allclose(loss, expected)
    for a, b in zip(grads, others, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def _total(model: KARAlign, batch: Any) -> Tensor:
    """As an aligner around it would see it: with all rows."""
    terms = {**model.step(GRAPH, batch).terms, **model.regularize(batch)}
    return torch.stack(list(terms.values())).sum()


class ReadsAll(BPR):
    def __call__(self, graph: Any, user: Any, item: Any, batch: Any) -> Tensor:
        return super().__call__(graph, user, item, batch) + item.square().sum()


def test_an_objective_that_reads_everything() -> None:
    model = KARAlign(plain(), 12)
    model.objective = ReadsAll()
    batch = random_batch(DATA, 4)
    assert torch.allclose(model.loss(DATA, batch)[0], _total(model, batch))


@pytest.mark.parametrize('cls', [SGL, DCCF, AutoCF])
def test_other_terms_of_the_model_stay(cls: Any) -> None:
    torch.manual_seed(0)
    backbone = cls.from_data(DATA, 8)
    model = KARAlign(backbone, 12)
    terms = []
    for m in (model, backbone):
        torch.manual_seed(1)
        m.renew(GRAPH, 1, 0)
        terms.append(m.loss(DATA, BATCH)[1])
    own = {'bpr'} if cls is not AutoCF else {'rec', 'contrast'}
    assert terms[0].keys() == terms[1].keys()
    for name in terms[0]:
        is_same = torch.equal(terms[0][name], terms[1][name])
        assert is_same == (name not in own)


def test_an_aligner_around_it() -> None:
    model = RLMRecConAlign(KARAlign(plain(), 12), 12)
    assert model.out_dim == model.encoder.out_dim == 16
    loss, terms = model.loss(DATA, BATCH)
    loss.backward()
    assert {'bpr', 'con', 'reg'} == set(terms)
    for out in model(DATA):
        assert out.size(1) == 16


def test_width() -> None:
    assert KARAlign(plain(), 12, dim=3).out_dim == 11
    assert KARAlign(plain(), 12, dim=3)(DATA)[0].size(1) == 11
    data = random_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    model = KARAlign(
        to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA), 12
    )
    model.loss(data, BATCH)[0].backward()
    assert model(data)[1].size(1) == 32


class OwnLoss(Module):
    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = Embedding(30, 8), Embedding(20, 8)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item.weight

    def loss(self, data: HeteroData, batch: Any) -> Tensor:
        return self.user(batch[0]).square().mean()


def test_model_with_a_loss_of_its_own() -> None:
    model = KARAlign(OwnLoss(), 12)
    loss, terms = model.loss(DATA, BATCH)
    assert set(terms) == {'base', 'bpr'}
    assert torch.equal(terms['base'], model.model.loss(DATA, BATCH)[1]['base'])
    loss.backward()
    for name, param in model.named_parameters():
        assert param.grad is not None, name


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'combine': 'mean'}, r"'combine' needs .*\(got 'mean'\)"),
        ({'combine': 'sum', 'dim': 4}, r"'dim' needs to be None.*\(got 4\)"),
        ({'dim': 0}, "'dim'"),
        ({'num_shared': -1}, "'num_shared'"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        KARAlign(LightGCN(3, 3), 12, **kwargs)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_constant_profiles(value: float) -> None:
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].llm_x = torch.full_like(data[kind].llm_x, value)
    loss, _ = KARAlign(plain(), 12).loss(data, BATCH)
    loss.backward()
    assert loss.isfinite()


def test_scoring_needs_profiles() -> None:
    data = random_data()
    del data['item'].llm_x
    with pytest.raises(ValueError, match=r"data\['item'\].llm_x"):
        KARAlign(plain(), 12)(data)
