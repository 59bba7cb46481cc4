from typing import cast

import pytest
import torch
from conformance.graphs import RATES, telling_data
from torch_geometric.data import HeteroData

from pyg_darec import DaRecAlign, fit
from pyg_darec.metrics import evaluate_cold, evaluate_embeddings
from pyg_darec.nn.models import LightGCN
from pyg_darec.retrieval.nodes import Kind
from pyg_darec.transforms import HoldOutNodes

KINDS = ('user', 'item')


def trained(
    kind: Kind, split: bool = True
) -> tuple[DaRecAlign, HeteroData, HeteroData]:
    data = telling_data()
    if not split:  # only training interactions follow tastes
        del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    warm, cold = HoldOutNodes(kind, 0.3)(data)
    torch.manual_seed(0)
    model = DaRecAlign(LightGCN.from_data(warm, 8), 12)
    fit(model, warm, epochs=5, lr=0.01, progress=False)
    return model, warm, cold


@pytest.mark.parametrize('kind', KINDS)
def test_is_the_ranking_by_profiles_alone(kind: Kind) -> None:
    model, warm, cold = trained(kind)
    pair = list(model(warm))
    new = model.embed_profiles(cold[kind].llm_x, kind)
    pair[KINDS.index(kind)] = new
    expected = evaluate_embeddings(*pair, cold, 'test', (3, 5)).mean()
    assert evaluate_cold(model, warm, cold, kind, (3, 5)) == expected

    # By hand: what is seen is not ranked, and not looked for.
    score = (pair[0] @ pair[1].t()).detach()
    seen = cold[RATES].edge_index
    score[seen[0], seen[1]] = -torch.inf
    label = torch.zeros_like(score, dtype=torch.bool)
    user, item = cold[RATES].test_edge_label_index
    label[user, item] = True
    label &= score > -torch.inf
    top = torch.zeros_like(label).scatter(1, score.topk(3).indices, True)
    known = label.any(dim=1)
    recall = (top & label).sum(1)[known] / label.sum(1)[known]
    assert expected['Recall@3'] == pytest.approx(float(recall.mean()))


@pytest.mark.parametrize('kind', KINDS)
def test_profiles_that_tell_are_better_than_others(kind: Kind) -> None:
    model, warm, cold = trained(kind, split=False)
    good = evaluate_cold(model, warm, cold, kind, (3,))['Recall@3']
    cold[kind].llm_x = cold[kind].llm_x.roll(1, 0)  # another taste
    assert good > evaluate_cold(model, warm, cold, kind, (3,))['Recall@3']


def test_bad_input() -> None:
    model, warm, cold = trained('item')
    plain = LightGCN.from_data(warm, 8)
    with pytest.raises(TypeError, match='cannot embed users or items'):
        evaluate_cold(plain, warm, cold, 'item')
    with pytest.raises(ValueError, match='two graphs of one'):
        evaluate_cold(model, warm, cold, 'user')
    with pytest.raises(ValueError, match="'k' needs to be at most"):
        evaluate_cold(model, warm, cold, 'item', (7,))
    with pytest.raises(ValueError, match="'kind' needs to be one of"):
        evaluate_cold(model, warm, cold, cast(Kind, 'film'))
    del cold['item'].llm_x
    with pytest.raises(ValueError, match='held out have no profiles'):
        evaluate_cold(model, warm, cold, 'item')
