import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval.example import Fixed, countdown, shop
from torch import Tensor

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval import recommend


def example() -> tuple[Fixed, BipartiteGraph]:
    return countdown(), as_graph(shop())


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
    out = recommend(model, shop(), k=3)
    assert out.item.equal(recommend(model, graph, k=3).item)


def test_allowed_and_denied_items() -> None:
    out = recommend(*example(), k=3, allow=[4, 0, 3], deny=[3])
    assert out.item.tolist() == [[0, -1, -1], [-1, -1, -1], [4, 0, -1]]
    assert out.score[2].tolist() == [4.0, 0.0, -float('inf')]


def test_lists_of_each_user() -> None:
    allow = torch.tensor([[2, 2, 0, 0], [1, 3, 1, 4]])
    out = recommend(*example(), users=[0, 2, 0], k=2, allow=allow)
    assert out.item.tolist() == [[1, -1], [3, 1], [1, -1]]
    deny = torch.tensor([[2, 2], [4, 3]])
    out = recommend(*example(), users=[2, 0], k=2, deny=deny)
    assert out.item.tolist() == [[2, 1], [3, 1]]


def test_new_items_compete_with_the_others() -> None:
    class Model(Fixed):
        def embed_profiles(self, llm_x: Tensor, kind: str) -> Tensor:
            assert kind == 'item'
            return llm_x.sum(dim=1, keepdim=True)

    _, graph = example()
    fixed = countdown()
    new = torch.tensor([[1.0, 2.5], [0.0, 9.0]])
    out = recommend(Model(fixed.user, fixed.item), graph, k=3, new_items=new)
    assert out.item.tolist() == [[6, 5, 3], [6, 5, -1], [6, 4, 5]]
    assert out.score[2].tolist() == [9.0, 4.0, 3.5]


def test_new_items_need_a_model_that_embeds_them() -> None:
    with pytest.raises(TypeError, match=r"'Fixed' cannot.*'DaRecAlign'"):
        recommend(*example(), new_items=torch.ones(1, 2))


def test_users_of_whom_nothing_was_learned() -> None:
    model = countdown()
    with pytest.warns(UserWarning, match=r"^1 of 3 users have.*\(got '8'\)$"):
        recommend(model, shop(), k=1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        recommend(model, shop(), users=[0, 1, 0], k=1)
        recommend(model, shop(), users=[], k=1)
    with pytest.warns(UserWarning, match=r"^1 of 2 users.*\(got '8'\)$"):
        recommend(*example(), users=[2, 0, 2], k=1)


def test_held_out_items_can_be_left_out() -> None:
    model, data = countdown(), shop()
    store = data['user', 'rates', 'item']
    store.val_edge_label_index = torch.tensor([[0], [3]])
    assert recommend(model, data, users=[0], k=1).item.tolist() == [[3]]
    out = recommend(model, data, users=[0], k=1, exclude_held_out=True)
    assert out.item.tolist() == [[1]]
    both = {'exclude_seen': False, 'exclude_held_out': True}
    out = recommend(model, data, users=[0], k=1, **both)
    known = data['user', 'rates', 'item'].edge_index.t().tolist()
    assert [0, out.item.item()] in known


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
