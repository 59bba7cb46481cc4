import copy

import pytest
import torch
from conformance.graphs import random_data, telling_data
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec import fit
from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import (
    DaRecAlign,
    Diagnostics,
    RLMRecConAlign,
)
from pyg_darec.nn.align.diagnostics import _overlap
from pyg_darec.nn.functional import effective_rank
from pyg_darec.nn.models import LightGCN


def paper(data, **kwargs):
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    return DaRecAlign(backbone, 12, preset='paper', **kwargs)


def test_gradients_are_those_of_backward():
    data = random_data()
    model = paper(data, uni_weight=0.0)
    probe = Diagnostics(model, data, batch_size=16, num_nodes=None)
    values = probe()
    assert 'gradient/uni' not in values
    assert probe() | {'match/stability': 1.0} == values | {
        'match/stability': 1.0
    }
    probe.loader.epoch = 0
    batch = next(iter(probe.loader))
    torch.manual_seed(0)
    terms = model.step(as_graph(data), batch).terms
    terms |= model.regularize(batch)
    for name, term in terms.items():
        model.zero_grad()
        term.backward(retain_graph=True)
        found = [p.grad for p in model.model.parameters() if p.grad is not None]
        norm = torch.cat([g.flatten() for g in found]).norm()
        assert values[f'gradient/{name}'] == pytest.approx(
            float(norm), rel=1e-4, abs=1e-9
        ), name


def test_nothing_changes():
    data = random_data()
    model = paper(data)
    frozen = model.structure.cf_shared.eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    before = torch.get_rng_state()
    first = Diagnostics(model, data)()
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert not frozen.training
    assert all(p.grad is None for p in model.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])
    assert Diagnostics(model, data)() == first


def test_collapse_is_seen():
    data = random_data()
    model = paper(data)
    healthy = Diagnostics(model, data)()
    with torch.no_grad():
        for param in model.structure.cf_shared.parameters():
            param.zero_()
        list(model.structure.cf_shared.parameters())[-1].fill_(1.0)
    collapsed = Diagnostics(model, data)()
    assert healthy['rank/cf_shared'] > 3
    assert healthy['cosine/cf_shared'] < 0.9
    assert collapsed['rank/cf_shared'] == 0
    assert collapsed['cosine/cf_shared'] == pytest.approx(1)
    assert collapsed['rank/cf_specific'] == healthy['rank/cf_specific']


def test_nodes_without_a_profile_are_not_measured():
    data = random_data()
    data['user'].llm_x[::2] = 0
    model = paper(data)
    values = Diagnostics(model, data)()
    user, item = model.eval().parts(as_graph(data))['llm_shared']
    known = effective_rank(torch.cat([user[1::2], item]).detach())
    assert values['rank/llm_shared'] == pytest.approx(float(known), rel=1e-5)


def test_matches():
    data = random_data()
    model = paper(data, num_clusters=3)
    probe = Diagnostics(model, data)
    first = probe()
    assert 'match/stability' not in first
    assert 0 <= first['match/agreement'] <= 1
    assert probe()['match/stability'] == 1  # nothing was trained
    with torch.no_grad():
        model.structure.cf_shared.reset_parameters()
    assert probe()['match/stability'] < 1


def test_stability_counts_pairs_and_not_labels():
    torch.manual_seed(0)
    num = 4
    before, now = (
        tuple(torch.randint(num, (15,)) for _ in range(2)) for _ in range(2)
    )
    related = [a[:, None] == b[None, :] for a, b in (before, now)]
    both = (related[0] & related[1]).sum()
    either = (related[0] | related[1]).sum()
    assert float(_overlap(before, now, num)) == pytest.approx(
        float(both / either)
    )
    # The same clusters under other numbers.
    other = torch.tensor([2, 0, 3, 1])
    assert float(_overlap(before, tuple(other[x] for x in before), num)) == 1


def test_in_fit():
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), data['item'].llm_x.size(1))
    kwargs = {'lr': 0.01, 'progress': False, 'eval_every': 2, 'device': 'cpu'}
    result = fit(model, data, 4, **kwargs, watch=Diagnostics(model, data))
    rows = result.history
    assert ['gradient/bpr' in row for row in rows] == [False, True] * 2
    assert rows[1]['rank/shared'] > 0
    assert rows[1]['cosine/specific'] < 1

    # It has no influence on what is trained.
    model.reset_parameters()
    other = copy.deepcopy(model)
    watched = fit(model, data, 4, **kwargs, watch=Diagnostics(model, data))
    alone = fit(other, data, 4, **kwargs)
    losses = [[row['loss'] for row in r.history] for r in (watched, alone)]
    assert losses[0] == losses[1]


def test_names_of_metrics_are_taken():
    data = telling_data()
    model = LightGCN.from_data(data, 8)
    with pytest.raises(ValueError, match=r"'watch'.*\['loss'\]"):
        fit(model, data, 1, progress=False, watch=lambda: {'loss': 1.0})


def test_any_aligner():
    data = random_data()
    model = RLMRecConAlign(LightGCN.from_data(data, 8), 12)
    values = Diagnostics(model, data)()
    assert values['gradient/bpr'] > 0
    assert all(name.startswith('gradient/') for name in values)


def test_wrong_arguments():
    data = random_data()
    with pytest.raises(TypeError, match=r"aligner.*got 'LightGCN'"):
        Diagnostics(LightGCN.from_data(data, 8), data)
    with pytest.raises(ValueError, match="'num_nodes'"):
        Diagnostics(paper(data), data, num_nodes=0)


def test_frozen_model():
    data = random_data()
    model = paper(data)
    model.model.requires_grad_(False)
    assert Diagnostics(model, data)()['gradient/bpr'] == 0


def test_before_the_first_step_of_a_lazy_model() -> None:
    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.LazyBatchNorm1d()
            self.user = torch.nn.Embedding(30, 8)
            self.item = torch.nn.Embedding(20, 8)

        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            return self.norm(self.user.weight), self.norm(self.item.weight)

    data = random_data()
    values = Diagnostics(RLMRecConAlign(Tower(), 12), data)()
    assert 'gradient/bpr' in values
