"""Every objective on backbones, aligners and foreign models."""

import copy

import pytest
import torch
from conformance.graphs import random_batch, random_data
from conformance.recommender import RecommenderConformance
from torch_geometric.data import HeteroData
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    DaRecAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.functional import bce_loss, direct_au_loss
from pyg_darec.nn.models import GCCF, SGL, LightGCN, as_recommender
from pyg_darec.nn.objectives import (
    BCE,
    BPR,
    DirectAU,
    Objective,
    SampledSoftmax,
)
from pyg_darec.nn.recommender import Recommender

# The training data says of two items of each block that a user does not like
# them. A sharp softmax and a strong uniformity learn that by heart.
OBJECTIVES = [BCE(), SampledSoftmax(0.5), DirectAU(0.2)]


class OnLightGCN(RecommenderConformance):
    expected_repr = "LightGCN(30, 20, 8, num_layers=3, combine='sum')"
    objective: Objective

    def make(self, data: HeteroData) -> LightGCN:
        model = LightGCN.from_data(data, 8, edge_dropout=0.0)
        model.objective = self.objective
        return model


class TestBCE(OnLightGCN):
    objective = BCE()


class TestSampledSoftmax(OnLightGCN):
    objective = SampledSoftmax(0.5)


class TestDirectAU(OnLightGCN):
    objective = DirectAU(0.2)


@pytest.mark.parametrize(
    'objective',
    [
        *OBJECTIVES,
        SampledSoftmax(1.0, 'dot'),
        SampledSoftmax(0.5, negatives='uniform'),
        SampledSoftmax(0.5, negatives='both'),
    ],
    ids=str,
)
@pytest.mark.parametrize('backbone', [LightGCN, GCCF, SGL])
def test_training_finds_the_blocks(
    backbone: type, objective: Objective
) -> None:
    class Case(RecommenderConformance):
        def make(self, data: HeteroData) -> Recommender:
            kwargs = {'ssl_weight': 1e-3} if backbone is SGL else {}
            model = backbone.from_data(data, 8, **kwargs)  # type: ignore[attr-defined]
            model.objective = objective
            return model

    Case().test_training_finds_the_blocks()


def test_term_is_that_of_the_function() -> None:
    data, batch = random_data(), random_batch(random_data())
    model = LightGCN.from_data(data, 8, edge_dropout=0.0)
    user, item = model(data)
    model.objective = BCE()
    terms = model.loss(data, batch)[1]
    assert set(terms) == {'bce', 'reg'}
    assert torch.equal(terms['bce'], bce_loss(user, item, batch))
    model.objective = DirectAU(0.5, t=3.0)
    terms = model.loss(data, batch)[1]
    expected = direct_au_loss(user, item, batch, 0.5, t=3.0)
    assert torch.equal(terms['direct_au'], expected)


def test_an_objective_is_of_one_model() -> None:
    first, second = LightGCN(3, 4), LightGCN(3, 4)
    first.objective = BCE()
    assert second.objective == BPR()
    assert copy.deepcopy(first).objective == BCE()
    assert not any('objective' in name for name in first.state_dict())


# KAR is not among them: its objective is that of other embeddings.
@pytest.mark.parametrize(
    'align',
    [DaRecAlign, RLMRecConAlign, RLMRecGenAlign, CTRLAlign, ControlRecAlign],
)
def test_aligner_has_the_objective_of_its_model(align: type) -> None:
    data, batch = random_data(), random_batch(random_data())
    model = LightGCN.from_data(data, 8, edge_dropout=0.0)
    aligner = align(model, llm_dim=12)
    before = model.loss(data, batch)[1]

    aligner.objective = DirectAU()
    assert model.objective is aligner.objective
    after = model.loss(data, batch)[1]
    assert set(before) - set(after) == {'bpr'}
    assert set(after) - set(before) == {'direct_au'}
    torch.manual_seed(0)
    terms = aligner.loss(data, batch)[1]
    assert set(after) <= set(terms)
    if align is not RLMRecGenAlign:  # which masks what the model sees
        assert torch.equal(terms['direct_au'], after['direct_au'])

    model.objective = BCE()
    assert aligner.objective is model.objective
    assert 'bce' in aligner.loss(data, batch)[1]


@pytest.mark.parametrize('objective', OBJECTIVES, ids=str)
def test_foreign_model(objective: Objective) -> None:
    data, batch = random_data(), random_batch(random_data())
    model = as_recommender(PyGLightGCN(50, 8, num_layers=1))
    model.objective = objective
    assert as_recommender(model) is model  # as 'fit' calls it
    assert set(model.loss(data, batch)[1]) == {objective.name}
    aligner = DaRecAlign(model, llm_dim=12)
    assert objective.name in aligner.loss(data, batch)[1]


def test_loss_of_its_own_is_kept() -> None:
    class WithLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = torch.nn.Parameter(torch.ones(50, 2))

        def forward(self, data):  # type: ignore[no-untyped-def]
            return self.x[:30], self.x[30:]

        def loss(self, data, batch):  # type: ignore[no-untyped-def]
            return self.x.square().sum()

    data, batch = random_data(), random_batch(random_data())
    model = as_recommender(WithLoss())
    model.objective = BCE()
    assert set(model.loss(data, batch)[1]) == {'base'}
    assert set(model.step(as_graph(data), batch).terms) == {'base'}


def test_resumed_fit_equals_one_run(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = random_data()
    kwargs = {'batch_size': 32, 'eval_every': 1, 'progress': False}

    def run(
        epochs: int,
        objective: Objective = SampledSoftmax(negatives='both'),  # noqa: B008
        **more: object,
    ) -> tuple[LightGCN, list]:
        torch.manual_seed(0)
        model = LightGCN.from_data(data, 8)
        model.objective = objective
        history = fit(model, data, epochs, **kwargs, **more).history  # type: ignore[arg-type]
        return model, history

    whole, history = run(4)
    assert history[-1]['softmax'] < history[0]['softmax']
    run(2, run_dir=tmp_path)
    resumed, _ = run(4, run_dir=tmp_path, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    with pytest.raises(ValueError, match="another 'model'"):
        run(4, BCE(), run_dir=tmp_path, resume=True)


def test_refuses_what_is_no_objective() -> None:
    model = LightGCN(3, 3)
    with pytest.raises(TypeError, match=r"'objective'.*\(got 'bce'\)"):
        model.objective = 'bce'  # type: ignore[assignment]
    assert model.objective == BPR()


@pytest.mark.parametrize(
    ('kwargs', 'match'), [({'gamma': -0.5}, '-0.5'), ({'t': 0.0}, '0.0')]
)
def test_bad_arguments_of_direct_au(kwargs: dict, match: str) -> None:
    name = next(iter(kwargs))
    with pytest.raises(ValueError, match=rf"'{name}'.*\(got {match}\)"):
        DirectAU(**kwargs)


class PerPair(Objective):
    """Forgets to average."""

    name = 'per_pair'

    def __call__(self, graph, user, item, batch):  # type: ignore[no-untyped-def]
        return (user[batch[0]] * item[batch[1]]).sum(dim=-1)


class Number(PerPair):
    def __call__(self, graph, user, item, batch):  # type: ignore[no-untyped-def]
        return 0.0


@pytest.mark.parametrize(
    ('objective', 'got'), [(PerPair(), r'shape \(40,\)'), (Number(), "'float'")]
)
def test_term_that_is_not_one_number(objective: Objective, got: str) -> None:
    data = random_data()
    for model in (LightGCN.from_data(data, 8), PyGLightGCN(50, 8, 2)):
        aligned = DaRecAlign(model, 12)
        aligned.objective = objective
        with pytest.raises(ValueError, match=rf"'per_pair' of .*{got}"):
            aligned.loss(data, random_batch(data))
