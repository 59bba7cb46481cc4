import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval import recommend


class Fixed(torch.nn.Module):
    """A recommender whose embeddings are given."""

    def __init__(self, user: Tensor, item: Tensor) -> None:
        super().__init__()
        self.user, self.item = user, item

    def forward(self, data: object) -> tuple[Tensor, Tensor]:
        return self.user, self.item


def example() -> tuple[Fixed, BipartiteGraph]:
    """Item i has score i for everybody; users 0 and 1 have seen items."""
    seen = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [4, 2, 0, 1, 2, 3, 4]])
    model = Fixed(torch.ones(3, 1), torch.arange(5.0).view(-1, 1))
    return model, BipartiteGraph(seen, 3, 5)


def test_known_answer() -> None:
    item, score = recommend(*example(), k=3)
    assert item.tolist() == [[3, 1, 0], [-1, -1, -1], [4, 3, 2]]
    assert score[0].tolist() == [3.0, 1.0, 0.0]
    assert score[1].isneginf().all()


def test_seen_items_on_request() -> None:
    out = recommend(*example(), k=2, exclude_seen=False)
    assert out.item.tolist() == [[4, 3]] * 3


@pytest.mark.parametrize(
    'users',
    [[2, 0, 2], (2, 0, 2), torch.tensor([2, 0, 2]), np.int32([2, 0, 2])],
)
def test_some_users_in_the_order_given(users: list[int]) -> None:
    out = recommend(*example(), users=users, k=2)
    assert out.item.tolist() == [[4, 3], [3, 1], [4, 3]]


def test_nobody() -> None:
    assert recommend(*example(), users=[], k=2).item.shape == (0, 2)


def test_hetero_data() -> None:
    model, graph = example()
    data = HeteroData()
    data['user'].num_nodes = 3
    data['item'].num_nodes = 5
    data['user', 'rates', 'item'].edge_index = graph.edge_index
    out = recommend(model, data, k=3)
    assert out.item.equal(recommend(model, graph, k=3).item)


@given(data=st.data())
@settings(max_examples=30)
def test_never_a_seen_or_repeated_item(data: st.DataObject) -> None:
    pairs = data.draw(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, 39)),
            min_size=1,
            max_size=120,
        )
    )
    graph = BipartiteGraph(torch.tensor(pairs).t(), 5, 40)
    # Few distinct values: ties must not bring a seen item back.
    value = st.sampled_from([-1.0, 0.0, 1.0])
    values = data.draw(st.lists(value, min_size=45, max_size=45))
    embedding = torch.tensor(values).view(45, 1)
    model = Fixed(embedding[:5], embedding[5:])
    k = data.draw(st.integers(1, 40))
    item, score = recommend(model, graph, k=k)
    for user in range(5):
        seen = {i for u, i in pairs if u == user}
        got = [i for i in item[user].tolist() if i >= 0]
        assert not seen & set(got)
        assert len(got) == len(set(got)) == min(k, 40 - len(seen))
        assert score[user].equal(score[user].sort(descending=True)[0])


@pytest.mark.parametrize('user', [3, -1])
def test_unknown_user(user: int) -> None:
    with pytest.raises(ValueError, match=rf"'users'.*0 to 2 \(got {user}\)"):
        recommend(*example(), users=[0, user], k=2)


@pytest.mark.parametrize(
    'users', [1, [[0], [1]], [0.5], [True], 'ab', ['a'], torch.tensor(1)]
)
def test_users_of_the_wrong_kind(users: list[int]) -> None:
    with pytest.raises(ValueError, match=r"'users' needs to be a list.*\(got"):
        recommend(*example(), users=users, k=2)


@pytest.mark.parametrize('k', [0, 6, 1.5])
def test_wrong_k(k: int) -> None:
    with pytest.raises(ValueError, match=r"'k' needs.*\(got"):
        recommend(*example(), k=k)
