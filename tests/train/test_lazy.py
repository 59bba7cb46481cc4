import pytest
import torch
from conformance.graphs import random_batch, telling_data
from torch_geometric.nn import Linear

from pyg_darec import DaRecAlign, fit
from pyg_darec.as_graph import as_graph
from pyg_darec.loader import PairLoader
from pyg_darec.modes import keeping_buffers
from pyg_darec.nn.align import CTRLAlign, Diagnostics
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


def embed_other(model, data):
    return model.user.weight, model.item.weight


@pytest.mark.parametrize('watched', [False, True])
def test_what_was_found_in_the_data_stays(watched):
    """It is the same in the first step, and takes long to find."""
    data = telling_data()
    other = torch.nn.Module()
    other.user, other.item = (torch.nn.Embedding(n, 8) for n in (30, 20))
    model = DaRecAlign(other, 12, embed=embed_other)
    if watched:
        Diagnostics(model, data)()
    else:
        materialize(model, as_graph(data), PairLoader(data))
        prepared = model.injection._prepared
    fit(model, data, epochs=1, progress=False)
    if not watched:
        assert model.injection._prepared is prepared
    # Loaded weights tell where profiles were added.
    assert model.injection.is_at_input
    assert model.state_dict()['injection.place'] == 1


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


@pytest.mark.parametrize('off', [('or', 'uni'), ('or', 'glo', 'loc')])
def test_parts_that_no_term_uses(off):
    data = telling_data()
    other = torch.nn.Module()
    other.user, other.item = (torch.nn.Embedding(n, 8) for n in (30, 20))
    weights = {f'{name}_weight': 0.0 for name in off}
    model = DaRecAlign(
        other, 12, preset='paper', reg_weight=0.1, embed=embed_other, **weights
    )
    model.loss(data, random_batch(data))[0].backward()
    fit(model, data, epochs=1, progress=False)


def test_keeping_buffers():
    norm = torch.nn.BatchNorm1d(3)
    with keeping_buffers(norm):
        norm(torch.rand(4, 3))
        assert norm.num_batches_tracked == 1
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.equal(torch.zeros(3))
