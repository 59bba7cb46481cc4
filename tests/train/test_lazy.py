import pytest
import torch
from torch_geometric.nn import Linear

from pyg_darec.loader import PairLoader
from pyg_darec.nn.align import CTRLAlign
from pyg_darec.train.lazy import materialize


class Lazy(torch.nn.Module):
    def __init__(self, num_users):
        super().__init__()
        self.user = torch.nn.Embedding(num_users, 4)
        self.head = torch.nn.Sequential(Linear(-1, 3), torch.nn.BatchNorm1d(3))
        self.calls = []

    def renew(self, graph, epoch, step):
        self.calls.append((epoch, step))

    def loss(self, data, batch):
        assert self.training
        self.calls.append('loss')
        return self.head(self.user(batch[0])).sum(), {}


def test_shapes_but_no_step(graph):
    model = Lazy(graph.num_users)
    materialize(model, graph, PairLoader(graph))
    assert model.head[0].weight.shape == (3, 4)
    assert model.calls == [(1, 0), 'loss']
    assert model.head[1].num_batches_tracked == 0
    assert model.head[1].running_mean.equal(torch.zeros(3))
    assert all(p.grad is None for p in model.parameters())


def test_loss_that_the_first_epochs_leave_out(graph):
    class Own(Lazy):
        def forward(self, data):
            return self.user.weight, torch.ones(graph.num_items, 4)

    graph.llm_x = {
        'user': torch.ones(graph.num_users, 5),
        'item': torch.ones(graph.num_items, 5),
    }
    own = Own(graph.num_users)
    materialize(CTRLAlign(own, 5), graph, PairLoader(graph))
    assert own.head[0].weight.shape == (3, 4)
    assert own.calls == [(1, 0), 'loss']
    assert own.head[1].num_batches_tracked == 0


def test_does_nothing_without_need(graph):
    model = Lazy(graph.num_users)
    model.head[0] = Linear(4, 3)
    materialize(model, graph, PairLoader(graph))
    assert model.calls == []


def test_parameter_that_the_loss_does_not_use(graph):
    model = Lazy(graph.num_users)
    model.unused = Linear(-1, 3)
    with pytest.raises(ValueError, match=r"\(got \['unused.weight'\]\)"):
        materialize(model, graph, PairLoader(graph))
