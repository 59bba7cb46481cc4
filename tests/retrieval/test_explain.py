import pytest
import torch
from retrieval.example import RATES, countdown, shop
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models import LightGCN
from pyg_darec.retrieval import explain, recommend


class Mean(torch.nn.Module):
    """A user is the sum of the training items, so that each one's share of a
    score is its own product with the item.
    """

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        user, item = data[RATES].edge_index
        x = data['item'].llm_x
        out = x.new_zeros(data['user'].num_nodes, x.size(1))
        return out.index_add(0, user, x[item]), x


def test_nearest_profiles_and_their_share() -> None:
    data = shop()
    x = data['item'].llm_x
    (out,) = explain(Mean(), data, user=0, items=[3], k=5)
    assert [reason.item for reason in out.reasons] == [4, 2]
    assert [reason.id for reason in out.reasons] == ['🫖', 'ß']
    assert out.reasons[0].text == 'Pot'
    for reason in out.reasons:
        j = reason.item
        cosine = torch.cosine_similarity(x[3], x[j], dim=0)
        assert reason.similarity == pytest.approx(float(cosine), abs=1e-6)
        assert reason.contribution == pytest.approx(float(x[3] @ x[j]))
    assert out.score == pytest.approx(sum(r.contribution for r in out.reasons))


def test_contribution_is_the_score_without_the_interaction() -> None:
    data = shop()
    torch.manual_seed(0)
    model = LightGCN.from_data(data, 4).train()
    items, score = recommend(model, data, [0], k=3)
    out = explain(model, data, 0, items[0], k=1)
    assert model.training
    assert [e.item for e in out] == items[0].tolist()
    for place, explanation in enumerate(out):
        (reason,) = explanation.reasons
        less = shop()
        user, item = less[RATES].edge_index
        keep = (user != 0) | (item != reason.item)
        less[RATES].edge_index = less[RATES].edge_index[:, keep]
        u, i = model.eval()(less)
        fall = score[0, place] - u[0] @ i[explanation.item]
        assert explanation.score == pytest.approx(float(score[0, place]))
        assert reason.contribution == pytest.approx(fall.item(), abs=1e-6)


def test_other_interactions_keep_weights_of_their_own() -> None:
    torch.manual_seed(0)
    graph = BipartiteGraph.from_data(shop())
    graph = graph.with_weight(torch.rand(graph.num_edges))
    model = LightGCN.from_data(graph, 4).eval()
    (out,) = explain(model, graph, 0, [3], k=5)
    assert len(out.reasons) == 2
    for reason in out.reasons:
        pair = torch.tensor([[0], [reason.item]])
        is_gone = (graph.edge_index == pair).all(dim=0)
        users, items = model(graph.with_weight(graph.weight * ~is_gone))
        fall = out.score - (users[0] @ items[3]).item()
        assert reason.contribution == pytest.approx(fall, abs=1e-6)


def test_attributes_of_interactions_follow() -> None:
    class Checking(Mean):
        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            num = data[RATES].edge_index.size(1)
            assert data[RATES].time.numel() == num
            assert len(data[RATES].review) == num
            return super().forward(data)

    data = shop()
    data[RATES].time, data[RATES].review = torch.arange(7), list('abcdefg')
    explain(Checking(), data, 0, [0])
    assert data[RATES].time.numel() == 7


def test_a_seen_item_is_not_its_own_reason() -> None:
    (out,) = explain(Mean(), shop(), user=0, items=[4])
    assert [reason.item for reason in out.reasons] == [2]


def test_nothing_to_compare_with() -> None:
    (out,) = explain(Mean(), shop(), user=2, items=[0])
    assert out.reasons == ()
    assert 'no training interactions' in str(out)
    nothing_left = recommend(countdown(), shop(), [1], k=2).item[0]
    for items in (nothing_left, nothing_left.tolist()):
        assert explain(countdown(), shop(), 1, items) == []


def test_bad_arguments() -> None:
    data = shop()
    with pytest.raises(ValueError, match=r"'user' .*0 to 2 \(got 3\)"):
        explain(Mean(), data, 3, [0])
    with pytest.raises(ValueError, match=r"'items' .*0 to 4 \(got 5\)"):
        explain(Mean(), data, 0, [5])
    with pytest.raises(ValueError, match=r"'items' .* vector .*\(got 3\)"):
        explain(Mean(), data, 0, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'k'.*\(got 0\)"):
        explain(Mean(), data, 0, [0], k=0)
    del data['item'].llm_x
    with pytest.raises(ValueError, match=r"'AttachProfileEmb.*\(got none\)"):
        explain(countdown(), data, 0, [0])


def test_a_stored_reverse_relation_loses_the_interaction() -> None:
    """Whatever its name, and what else there is between items and users."""
    data = shop()

    class ByReverse(Mean):
        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            read = shop()
            index = data['item', 'bought_by', 'user'].edge_index
            read[RATES].edge_index = index.flip(0)
            return super().forward(read)

    data['item', 'bought_by', 'user'].edge_index = data[RATES].edge_index.flip(
        0
    )
    data['item', 'unused', 'user'].note = 'no edges'
    assert explain(ByReverse(), data, 0, [3]) == explain(Mean(), data, 0, [3])


def test_the_whole_graph_is_seen_last() -> None:
    """What a model keeps of the graph it saw last is not of one without an
    interaction."""
    seen = []

    class Watching(Mean):
        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            seen.append(data[RATES].edge_index.size(1))
            return super().forward(data)

    data = shop()
    explain(Watching(), data, 0, [0, 1])
    assert len(seen) > 1
    assert seen[-1] == max(seen) == data[RATES].edge_index.size(1)


def test_names_that_are_missing() -> None:
    data = shop()
    names = [None, float('nan')] * data['item'].num_nodes
    data['item'].profile = names[: data['item'].num_nodes]
    (out,) = explain(Mean(), data, user=0, items=[3])
    assert '(item' not in str(out)
