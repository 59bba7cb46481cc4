import builtins

import numpy as np
import pytest
import torch
from retrieval.example import countdown, shop

from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval import Recommendation, recommend


def test_table_with_ids_and_names() -> None:
    data = shop()
    users = torch.tensor([1, 0, 2])
    frame = recommend(countdown(), data, users, k=2).to_frame(data, users)
    assert frame.to_dict('list') == {
        'user': [7, 7, '8', '8'],  # user 'seven' has seen everything
        'rank': [1, 2, 1, 2],
        'item': ['茶', 'b', '🫖', '茶'],
        'name': ['緑茶\nin leaves', 'Bowl', 'Pot', '緑茶\nin leaves'],
        'score': [3.0, 1.0, 4.0, 3.0],
    }


def test_names_of_another_attribute() -> None:
    data = shop()
    data['item'].title = list('ABCDE')
    out = recommend(countdown(), data, k=1)
    assert out.to_frame(data, name='title').name.tolist() == ['D', 'E']
    data['item'].name = list('vwxyz')  # what a name is called first of all
    assert out.to_frame(data).name.tolist() == ['y', 'z']
    with pytest.raises(ValueError, match=r"'name'.*\(got 'brand'\)"):
        out.to_frame(data, name='brand')


def test_without_ids_and_names() -> None:
    graph = BipartiteGraph(torch.tensor([[0], [4]]), 3, 5)
    frame = recommend(countdown(), graph, k=1).to_frame(graph)
    assert list(frame.columns) == ['user', 'rank', 'item', 'score']
    assert frame.user.tolist() == [0, 1, 2]
    assert frame.item.tolist() == [3, 4, 4]


def test_new_users_and_items() -> None:
    out = Recommendation(torch.tensor([[5, 0]]), torch.tensor([[2.0, 1.0]]))
    new_items = np.array(['kettle', 'pot'])
    frame = out.to_frame(shop(), new_users=['me'], new_items=new_items)
    assert frame.user.tolist() == ['me', 'me']
    assert frame.item.tolist() == ['kettle', 'a']
    assert frame.name.isna().tolist() == [True, False]
    with pytest.raises(ValueError, match=r"'new_items'.*item 5 of 5"):
        out.to_frame(shop(), new_users=['me'])


def test_nobody() -> None:
    data = shop()
    frame = recommend(countdown(), data, [], k=2).to_frame(data, [])
    assert len(frame) == 0
    assert 'name' in frame


def test_other_users() -> None:
    out = recommend(countdown(), shop(), users=[0], k=1)
    for users in (None, [0, 1]):
        with pytest.raises(ValueError, match=r"'users'.*for 1 rows"):
            out.to_frame(shop(), users)


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *args: object) -> object:
        if name == 'pandas':
            raise ImportError(name)
        return real(name, *args)

    out, real = recommend(countdown(), shop(), k=1), builtins.__import__
    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(ImportError, match='pip install pandas'):
        out.to_frame(shop())
