import pytest
import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models import LightGCN
from pyg_darec.retrieval import compute_embeddings


class Fixed(torch.nn.Module):
    """A recommender whose output is given."""

    def __init__(self, out: object) -> None:
        super().__init__()
        self.out = out
        self.child = torch.nn.Dropout()
        self.seen_training = True

    def forward(self, data: BipartiteGraph) -> object:
        self.seen_training = self.training or self.child.training
        if isinstance(self.out, Exception):
            raise self.out
        return self.out


def graph() -> BipartiteGraph:
    return BipartiteGraph(torch.tensor([[0, 1], [0, 2]]), 2, 3)


def embeddings() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 4), torch.randn(3, 4)


def test_modes_are_restored_module_by_module() -> None:
    model = Fixed(embeddings()).train()
    model.child.eval()
    compute_embeddings(model, graph())
    assert not model.seen_training
    assert model.training
    assert not model.child.training


def test_modes_are_restored_after_an_error() -> None:
    model = Fixed(RuntimeError('boom')).train()
    with pytest.raises(RuntimeError, match='boom'):
        compute_embeddings(model, graph())
    assert model.training
    assert model.child.training


def test_parameters_themselves() -> None:
    own = torch.nn.Parameter(torch.randn(2, 4))
    user, _ = compute_embeddings(Fixed((own, torch.randn(3, 4))), graph())
    assert not user.requires_grad
    assert own.requires_grad


def test_tables_that_are_trained_on() -> None:
    class Table(torch.nn.Embedding):
        def forward(self, data: BipartiteGraph) -> tuple[Tensor, Tensor]:
            return self.weight[:2], self.weight[2:]

    for model in (Table(5, 4), LightGCN(2, 3, 4, num_layers=0)):
        user, item = compute_embeddings(model, graph())
        before = user.clone(), item.clone()
        with torch.no_grad():
            for param in model.parameters():
                param.add_(1.0)
        assert torch.equal(user, before[0])
        assert torch.equal(item, before[1])


def test_no_gradients() -> None:
    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(5, 4))

        def forward(self, data: BipartiteGraph) -> tuple[Tensor, Tensor]:
            user, item = (2 * self.weight).split([2, 3])
            return user, item

    user, item = compute_embeddings(Linear(), graph())
    assert not user.requires_grad
    assert not item.requires_grad


@pytest.mark.parametrize('out', [torch.randn(5, 4), (1, 2), {'user': 1}])
def test_wrong_output_type(out: object) -> None:
    with pytest.raises(
        TypeError, match=r"'Fixed' needs to give a pair.*\(got "
    ):
        compute_embeddings(Fixed(out), graph())


@pytest.mark.parametrize(
    ('user', 'item', 'message'),
    [
        (torch.ones(3, 4), torch.ones(3, 4), r'one row per user.*\(3, 4\)'),
        (torch.ones(2, 4), torch.ones(2, 4), r'one row per item.*\(2, 4\)'),
        (torch.ones(2, 4), torch.ones(3, 5), r'same width \(got 4 and 5\)'),
        (torch.ones(2), torch.ones(3, 4), r'user embeddings need.*matrix'),
        (torch.ones(2, 4).int(), torch.ones(3, 4), r'matrix \(got torch.int'),
    ],
)
def test_wrong_output_shape(user: Tensor, item: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute_embeddings(Fixed((user, item)), graph())


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('kind', ['user', 'item'])
def test_diverged_model(kind: str, value: float) -> None:
    user, item = embeddings()
    {'user': user, 'item': item}[kind][1, 2] = value
    with pytest.raises(ValueError, match=f'{kind} embeddings.*diverged.*ro.*1'):
        compute_embeddings(Fixed((user, item)), graph())
