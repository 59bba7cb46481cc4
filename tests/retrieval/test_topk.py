import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyg_darec.retrieval import masked_topk
from pyg_darec.retrieval.topk import check_k


def reference(
    user: Tensor,
    item: Tensor,
    k: int,
    excluded: set[tuple[int, int]],
    users: list[int],
) -> tuple[list[list[float]], list[list[int]]]:
    """The definition, by sorting one list per user."""
    score, index = [], []
    user_list, item_list = user.tolist(), item.tolist()
    for u in users:
        ranked = sorted(
            (
                (
                    sum(a * b for a, b in zip(user_list[u], row, strict=True)),
                    i,
                )
                for i, row in enumerate(item_list)
                if (u, i) not in excluded
            ),
            reverse=True,
        )
        ranked = ranked[:k]
        ranked += [(-float('inf'), -1)] * (k - len(ranked))
        score.append([s for s, _ in ranked])
        index.append([i for _, i in ranked])
    return score, index


def as_edge_index(pairs: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2).t()


@given(data=st.data())
@settings(max_examples=60)
def test_equals_reference(data: st.DataObject) -> None:
    num_users = data.draw(st.integers(1, 6))
    num_items = data.draw(st.integers(1, 70))
    k = data.draw(st.integers(1, num_items))
    pair = st.tuples(
        st.integers(0, num_users - 1), st.integers(0, num_items - 1)
    )
    sets = data.draw(st.lists(st.lists(pair, max_size=40), max_size=2))
    users = data.draw(
        st.none() | st.lists(st.integers(0, num_users - 1), max_size=9)
    )
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    user = torch.randn(num_users, 3, generator=generator).double()
    item = torch.randn(num_items, 3, generator=generator).double()

    score, index = masked_topk(
        user,
        item,
        k,
        [as_edge_index(pairs) for pairs in sets],
        None if users is None else torch.tensor(users, dtype=torch.long),
        chunk_size=data.draw(st.none() | st.integers(1, 7)),
    )
    everyone = list(range(num_users)) if users is None else users
    excluded = {pair for pairs in sets for pair in pairs}
    score_ref, index_ref = reference(user, item, k, excluded, everyone)
    assert index.tolist() == index_ref
    expected = torch.tensor(score_ref, dtype=torch.double).view(-1, k)
    torch.testing.assert_close(score, expected)


@pytest.mark.parametrize('num_items', [20, 319, 320, 321, 2000])
def test_equals_one_sort_with_many_ties(num_items: int) -> None:
    user = torch.randint(-3, 4, (30, 2)).float()
    item = torch.randint(-3, 4, (num_items, 2)).float()
    score, index = masked_topk(user, item, 20)
    full = user @ item.t()
    assert score.equal(full.topk(20).values)
    assert full.gather(1, index).equal(score)
    assert all(row.unique().numel() == 20 for row in index)


def test_chunk_size_does_not_matter() -> None:
    # Whole numbers: their products and sums are exact in any order.
    user = torch.randint(-99, 99, (57, 8)).float()
    item = torch.randint(-99, 99, (300, 8)).float()
    seen = torch.stack([torch.randint(57, (900,)), torch.randint(300, (900,))])
    score, index = masked_topk(user, item, 20, [seen])
    for chunk_size in (1, 7, 56, 57, 1000):
        out = masked_topk(user, item, 20, [seen], chunk_size=chunk_size)
        assert out[0].equal(score)
        assert out[1].equal(index)


def test_user_with_everything_excluded() -> None:
    seen = torch.tensor([[1, 1, 1, 0], [0, 1, 2, 1]])
    item = torch.tensor([[3.0], [2.0], [1.0]])
    score, index = masked_topk(torch.ones(2, 1), item, 3, [seen])
    assert index.tolist() == [[0, 2, -1], [-1, -1, -1]]
    assert score[0].tolist() == [3.0, 1.0, -float('inf')]
    assert score[1].isneginf().all()


def test_no_users() -> None:
    nobody = torch.empty(0, dtype=torch.long)
    score, index = masked_topk(
        torch.ones(2, 1), torch.ones(3, 1), 2, users=nobody
    )
    assert score.shape == index.shape == (0, 2)


@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_dtypes(dtype: torch.dtype) -> None:
    user, item = torch.randn(4, 3).to(dtype), torch.randn(9, 3).to(dtype)
    score, index = masked_topk(user, item, 4)
    expected = (user.double() @ item.double().t()).topk(4)
    assert index.equal(expected.indices)
    torch.testing.assert_close(
        score.double(), expected.values, rtol=1e-5, atol=1e-5
    )
    double = torch.promote_types(dtype, torch.float32)
    assert score.dtype == double  # half precision is scored in single


def test_embeddings_that_need_gradients() -> None:
    user = torch.randn(2, 3, requires_grad=True)
    score, _ = masked_topk(user, torch.randn(4, 3), 2)
    assert not score.requires_grad


def test_inputs_stay_as_they_are() -> None:
    user, item = torch.randn(2, 3), torch.randn(4, 3)
    seen = torch.tensor([[1, 0], [0, 3]])
    before = [value.clone() for value in (user, item, seen)]
    masked_topk(user, item, 2, [seen])
    for value, old in zip((user, item, seen), before, strict=True):
        assert value.equal(old)


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    user, item = torch.ones(2, 1), torch.ones(3, 1)
    masked_topk(user, item, 1)
    assert capsys.readouterr().err == ''
    masked_topk(user, item, 1, progress=True)
    assert 'Ranking items' in capsys.readouterr().err


@pytest.mark.parametrize('k', [0, -1, 2.5, True, '3', None])
def test_k_is_no_positive_integer(k: int) -> None:
    with pytest.raises(ValueError, match=r"'k' needs to be a positive.*\(got"):
        check_k(k, 5)


def test_k_above_the_number_of_items() -> None:
    with pytest.raises(ValueError, match=r"'k'.*number of items, 3 \(got 4\)"):
        masked_topk(torch.ones(2, 1), torch.ones(3, 1), 4)


def test_chunk_size_is_not_positive() -> None:
    with pytest.raises(ValueError, match=r"'chunk_size'.*\(got 0\)"):
        masked_topk(torch.ones(2, 1), torch.ones(3, 1), 1, chunk_size=0)


def test_overflowing_scores() -> None:
    huge = torch.full((2, 2), 1e30)
    with pytest.raises(ValueError, match=r'overflow.*diverged.*1.0e\+30'):
        masked_topk(huge, huge, 1)


def test_scores_that_overflow_to_minus_infinity() -> None:
    """They are no empty places, but matter only where they are in the
    result.
    """
    user, item = torch.tensor([[1e30], [1.0]]), torch.tensor([[2.0], [-1e30]])
    _, index = masked_topk(user, item, 1)
    assert index.tolist() == [[0], [0]]
    with pytest.raises(ValueError, match='overflow'):
        masked_topk(user, item, 2)
    with pytest.raises(ValueError, match='overflow'):
        masked_topk(user, item, 1, [torch.tensor([[0], [0]])])
    seen = torch.tensor([[0, 0, 0], [1, 1, 1]])
    _, index = masked_topk(user, item, 2, [seen])
    assert index.tolist() == [[0, -1], [0, 1]]


@pytest.mark.parametrize('number', [-1, 2])
def test_users_and_pairs_that_do_not_exist(number: int) -> None:
    user, item = torch.ones(2, 1), torch.ones(2, 1)
    with pytest.raises(ValueError, match=rf"'users' .*0 to 1 \(got {number}\)"):
        masked_topk(user, item, 1, users=torch.tensor([0, number]))
    for pair in ([number, 0], [0, number]):
        with pytest.raises(ValueError, match=rf'excluded .*index {number}\)'):
            masked_topk(user, item, 1, [torch.tensor(pair).view(2, 1)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda() -> None:
    user = torch.randint(-99, 99, (57, 8)).float()
    item = torch.randint(-99, 99, (300, 8)).float()
    seen = torch.stack([torch.randint(57, (900,)), torch.randint(300, (900,))])
    score, _ = masked_topk(user, item, 20, [seen], chunk_size=10)
    out = masked_topk(user.cuda(), item.cuda(), 20, [seen], chunk_size=10)
    assert out[0].cpu().equal(score)
    assert out[1].is_cuda


def test_sorts_the_pairs_of_the_users_that_are_asked_for(monkeypatch):
    sizes, real = [], Tensor.sort

    def sort(self, *args, **kwargs):
        sizes.append(self.numel())
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Tensor, 'sort', sort)
    pairs = torch.cartesian_prod(torch.arange(50), torch.arange(40)).t()
    user, item = torch.randn(50, 3), torch.randn(60, 3)
    _, index = masked_topk(user, item, 30, [pairs], [7, 3, 7])
    assert index[:, 20:].tolist() == [[-1] * 10] * 3
    assert sizes
    assert max(sizes) <= 120
