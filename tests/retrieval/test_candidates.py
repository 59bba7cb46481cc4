import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyg_darec.retrieval import candidates
from pyg_darec.retrieval.candidates import rank_candidates

NUM_USERS, NUM_ITEMS = 4, 9
PAIRS = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)),
    max_size=30,
)
ITEMS = st.lists(st.integers(0, NUM_ITEMS - 1), max_size=12)


def as_edges(pairs: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2).t()


@given(
    seen=PAIRS,
    allow=st.none() | PAIRS.map(as_edges) | ITEMS,
    deny=st.none() | PAIRS.map(as_edges) | ITEMS,
    users=st.lists(st.integers(0, NUM_USERS - 1), max_size=6),
    k=st.integers(1, NUM_ITEMS),
    seed=st.integers(0, 99),
)
@settings(max_examples=80)
def test_equals_the_definition(
    seen: list[tuple[int, int]],
    allow: Tensor | list[int] | None,
    deny: Tensor | list[int] | None,
    users: list[int],
    k: int,
    seed: int,
) -> None:
    def names(values: Tensor | list[int] | None, user: int, item: int) -> bool:
        if isinstance(values, Tensor):
            return (user, item) in map(tuple, values.t().tolist())
        return values is not None and item in values

    generator = torch.Generator().manual_seed(seed)
    user = torch.randn(NUM_USERS, 3, generator=generator)
    item = torch.randn(NUM_ITEMS, 3, generator=generator)
    index = torch.tensor(users, dtype=torch.long)
    out = rank_candidates(user, item, k, index, [as_edges(seen)], allow, deny)
    assert out.item.shape == out.score.shape == (len(users), k)
    for row, u in enumerate(users):
        expected = sorted(
            (-float(user[u] @ item[i]), i)
            for i in range(NUM_ITEMS)
            if (u, i) not in seen
            and (allow is None or names(allow, u, i))
            and not names(deny, u, i)
        )[:k]
        padding = [-1] * (k - len(expected))
        assert out.item[row].tolist() == [i for _, i in expected] + padding
        scores = torch.tensor([-s for s, _ in expected])
        torch.testing.assert_close(out.score[row, : len(expected)], scores)
        assert out.score[row, len(expected) :].isneginf().all()


@pytest.mark.parametrize('allow', [[], torch.empty(2, 0, dtype=torch.long)])
def test_nothing_allowed(allow: list[int] | Tensor) -> None:
    out = rank_candidates(torch.ones(2, 1), torch.ones(3, 1), 2, allow=allow)
    assert out.item.tolist() == [[-1, -1]] * 2
    assert out.score.isneginf().all()


def test_only_allowed_columns_are_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []

    def masked_topk(user: Tensor, item: Tensor, *args: object) -> object:
        sizes.append(item.size(0))
        return real(user, item, *args)

    real = candidates.masked_topk
    monkeypatch.setattr(candidates, 'masked_topk', masked_topk)
    item = torch.arange(1000.0).view(-1, 1)
    out = rank_candidates(torch.ones(1, 1), item, 5, allow=[3, 900])
    assert out.item.tolist() == [[900, 3, -1, -1, -1]]
    assert sizes == [2]


def test_pairs_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    user, item = torch.randn(20, 4), torch.randn(30, 4)
    everything = torch.cartesian_prod(torch.arange(20), torch.arange(30)).t()
    expected = rank_candidates(user, item, 7)
    monkeypatch.setattr(candidates, 'MAX_GATHERED', 9)
    out = rank_candidates(user, item, 7, allow=everything)
    assert out.item.equal(expected.item)
    torch.testing.assert_close(out.score, expected.score)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    user, item = torch.ones(1, 2, dtype=dtype), torch.ones(3, 2, dtype=dtype)
    for allow in ([1], torch.tensor([[0], [1]])):
        out = rank_candidates(user, item, 2, allow=allow)
        assert out.item.tolist() == [[1, -1]]
        assert out.score.dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ([5], r"'{}' needs to name items of the data, 0 to 4 \(got 5\)"),
        ([-1], r"'{}' needs to name items.*\(got -1\)"),
        ('ab', r"'{}' needs to be a list or vector of item indices"),
        ([1.5], r"'{}' needs to be a list or vector of item indices"),
        (torch.tensor([[3], [0]]), r"'{}'.*name a user that does not.*\(got"),
        (torch.tensor([[0], [5]]), r"'{}'.*name an? item that does not"),
        (torch.ones(3, 2).long(), r"'{}'.*shape \(2, E\) \(got"),
    ],
)
@pytest.mark.parametrize('name', ['allow', 'deny'])
def test_bad_list(name: str, values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message.format(name)):
        rank_candidates(torch.ones(3, 1), torch.ones(5, 1), 2, **{name: values})


def test_overflow_of_pairs() -> None:
    huge = torch.full((2, 2), 1e30)
    with pytest.raises(ValueError, match=r'overflow.*diverged.*1.0e\+30'):
        rank_candidates(huge, huge, 1, allow=torch.tensor([[0], [1]]))
