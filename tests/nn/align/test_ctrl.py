import copy
from typing import Any

import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import METADATA, random_batch, random_data
from torch import Tensor
from torch.nn import Module
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import CTRLAlign
from pyg_darec.nn.models import SGL, LightGCN

DATA = random_data()
GRAPH = as_graph(DATA)
BATCH = random_batch(DATA)


def plain() -> LightGCN:
    torch.manual_seed(0)
    return LightGCN.from_data(DATA, 8, edge_dropout=0.0)


class TestConformance(AlignerConformance):
    """Without a call to 'renew': both losses at once."""

    expected_repr = (
        "CTRLAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        "llm_dim=12, weight=0.5, warm_up=5, stage='two', num_parts=4, "
        'num_samples=1024, temperature=0.7)'
    )

    def wrap(self, model: Module) -> CTRLAlign:
        return CTRLAlign(model, 12, weight=0.5)


class TestConformanceOfJointTraining(TestConformance):
    expected_repr = TestConformance.expected_repr.replace("'two'", "'joint'")

    def wrap(self, model: Module) -> CTRLAlign:
        model = CTRLAlign(model, 12, weight=0.5, stage='joint')
        model.renew(GRAPH, 100, 0)
        return model


def one_way(x: Tensor, y: Tensor, tau: float) -> Tensor:
    """Pair by pair."""
    total = torch.zeros(()).double()
    for i in range(len(x)):
        s = torch.zeros(len(y)).double()
        for j in range(len(y)):
            for m in range(x.size(1)):
                s[j] += max(x[i, m] @ part for part in y[j])
        total -= torch.log((s[i] / tau).exp() / (s / tau).exp().sum())
    return total


@pytest.mark.parametrize('similarity', ['dot', 'cosine'])
def test_equals_the_formula(similarity: Any) -> None:
    backbone = plain()
    model = CTRLAlign(
        backbone,
        12,
        weight=0.3,
        num_parts=3,
        temperature=0.5,
        dim=10,
        part_dim=2,
        similarity=similarity,
    ).double()
    expected = torch.zeros(()).double()
    with torch.no_grad():
        for kind, cf, index in zip(
            ('user', 'item'),
            backbone(DATA),
            (BATCH[0], torch.cat(BATCH[1:])),
            strict=True,
        ):
            sides = []
            for x, name in ((cf, 'cf'), (DATA[kind].llm_x.double(), 'llm')):
                for part in ('project', 'parts'):
                    linear = getattr(model, f'{name}_{part}')
                    x = x @ linear.weight0.t() + linear.bias0
                x = x.view(-1, 3, 2)
                if similarity == 'cosine':
                    x = x / x.norm(dim=-1, keepdim=True)
                sides.append(x[sorted(set(index.tolist()))])
            h, g = sides
            both = one_way(h, g, 0.5) + one_way(g, h, 0.5)
            expected += both / (2 * len(h))
    got = model.loss(DATA, BATCH)[1]['ctrl']
    assert torch.allclose(got, 0.3 * expected, atol=1e-8)


def test_stages_follow_from_the_epoch() -> None:
    model = CTRLAlign(plain(), 12, warm_up=2)
    own = model.model.loss(DATA, BATCH)[1]
    for epoch in (3, 1, 9, 2, 3):  # in any order
        for step in (0, 1):
            model.renew(GRAPH, epoch, step)
            terms = model.loss(DATA, BATCH)[1]
            if epoch <= 2:
                assert set(terms) == {'ctrl', 'reg'}
            else:
                assert terms.keys() == own.keys()
                assert all(torch.equal(terms[k], own[k]) for k in own)
        if epoch == 9:  # a loop that stops to call it keeps the stage
            assert 'ctrl' not in model.loss(DATA, BATCH)[1]


def test_joint_training() -> None:
    model = CTRLAlign(plain(), 12, stage='joint')
    for epoch in (1, 100):
        model.renew(GRAPH, epoch, 0)
        assert set(model.loss(DATA, BATCH)[1]) == {'bpr', 'ctrl', 'reg'}


def test_first_stage_trains_the_alignment_alone() -> None:
    backbone = SGL.from_data(DATA, 8)
    model = CTRLAlign(backbone, 12, reg_weight=0.1)
    model.renew(GRAPH, 1, 0)
    loss, terms = model.loss(DATA, BATCH)
    assert set(terms) == {'ctrl', 'reg', 'align_reg'}
    loss.backward()
    for name, param in model.named_parameters():
        assert param.grad is not None, name
        assert param.grad.abs().sum() > 0, name

    model.zero_grad()
    model.renew(GRAPH, 6, 0)
    loss, terms = model.loss(DATA, BATCH)
    assert set(terms) == {'bpr', 'ssl', 'reg'}
    loss.backward()
    for name, param in model.named_parameters():
        assert (param.grad is None) == (not name.startswith('model.')), name


def test_alignment_improves() -> None:
    model = CTRLAlign(plain(), 12)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for step in range(60):
        model.renew(GRAPH, 1, step)
        loss, _ = model.loss(DATA, BATCH)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_scores_are_those_of_the_model() -> None:
    model = CTRLAlign(plain(), 12).eval()
    for a, b in zip(model(DATA), model.model(DATA), strict=True):
        assert torch.equal(a, b)


def test_sample_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CTRLAlign(plain(), 12, num_samples=3)
    sizes: list[int] = []
    forward = model.llm_project.forward

    def count(x: Tensor, width: int) -> Tensor:
        sizes.append(x.size(0))
        return forward(x, width)

    monkeypatch.setattr(model.llm_project, 'forward', count)
    losses = [model.loss(DATA, BATCH)[0] for _ in range(2)]
    assert losses[0] != losses[1]
    assert sizes == [3, 3, 3, 3]


class Interrupted(Exception):
    pass


def without_time(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != 'seconds'} for row in history]


@pytest.mark.parametrize('at', [(2, 0), (3, 0), (3, 1), (5, 0)])
def test_resumed_in_any_stage(tmp_path: Any, at: tuple[int, int]) -> None:
    kwargs: dict[str, Any] = {
        'batch_size': 64,
        'lr': 0.01,
        'eval_every': 2,
        'progress': False,
        'device': 'cpu',
    }

    def make() -> CTRLAlign:
        return CTRLAlign(plain(), 12, warm_up=3, num_samples=8)

    whole = make()
    expected = fit(whole, DATA, 6, **kwargs)

    broken = make()
    renew = broken.renew

    def stop(graph: Any, epoch: int, step: int) -> None:
        if (epoch, step) == at:
            raise Interrupted
        renew(graph, epoch, step)

    broken.renew = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        fit(broken, DATA, 6, run_dir=tmp_path, **kwargs)
    torch.rand(3)  # another process, another random state
    model = make()
    result = fit(model, DATA, 6, run_dir=tmp_path, resume=True, **kwargs)
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert without_time(result.history) == without_time(expected.history)
    names = [set(row) & {'ctrl', 'bpr'} for row in result.history]
    assert names == 3 * [{'ctrl'}] + 3 * [{'bpr'}]


def test_default_patience_outlasts_the_first_stage() -> None:
    model = CTRLAlign(plain(), 12)
    result = fit(model, DATA, 20, lr=1e-9, device='cpu', progress=False)
    # Nothing ever gets better: it stops as early as it can.
    assert result.history[-1]['epoch'] > model.warm_up


def test_a_first_stage_alone_is_told() -> None:
    model = CTRLAlign(plain(), 12, warm_up=2)
    with pytest.warns(UserWarning, match=r"'epochs' \(got 2\)"):
        fit(model, DATA, 2, device='cpu', progress=False)


@pytest.mark.filterwarnings('ignore:.*trains something else first')
@pytest.mark.parametrize(('epochs', 'has_ctrl'), [(1, True), (3, False)])
def test_a_loop_after_a_fit(epochs: int, has_ctrl: bool) -> None:
    """The objective is trained, whatever stage it ended in."""
    model = CTRLAlign(plain(), 12, warm_up=2)
    fit(model, DATA, epochs, device='cpu', progress=False)
    terms = model.train().loss(DATA, BATCH)[1]
    assert 'bpr' in terms
    assert ('ctrl' in terms) == has_ctrl


def test_open_widths() -> None:
    data = random_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    sage = to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA)
    model = CTRLAlign(sage, 12, warm_up=1)
    fit(model, data, 2, device='cpu', progress=False)
    assert model.cf_project.in_dim == 16


def test_a_copy_keeps_the_stage() -> None:
    model = CTRLAlign(plain(), 12)
    model.renew(GRAPH, 1, 0)
    assert set(copy.deepcopy(model).loss(DATA, BATCH)[1]) == {'ctrl', 'reg'}


@pytest.mark.parametrize(
    'kwargs',
    [
        {'warm_up': 0},
        {'stage': 'three'},
        {'similarity': 'euclid'},
        {'num_parts': 0},
        {'num_samples': 0},
        {'temperature': 0.0},
        {'dim': 0},
        {'part_dim': 0},
    ],
)
def test_bad_arguments(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'.*got"):
        CTRLAlign(LightGCN(3, 3), 12, **kwargs)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_constant_profiles(value: float) -> None:
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].llm_x = torch.full_like(data[kind].llm_x, value)
    loss, _ = CTRLAlign(plain(), 12).loss(data, BATCH)
    loss.backward()
    assert loss.isfinite()
