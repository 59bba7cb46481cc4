import pytest
import torch
from retrieval.example import Fixed

from pyg_darec.graph import BipartiteGraph
from pyg_darec.retrieval import similar, similar_items


def example(num: int = 40, dtype: torch.dtype = torch.float32) -> object:
    generator = torch.Generator().manual_seed(0)
    user = torch.randn(num, 6, generator=generator).to(dtype)
    item = torch.randn(num, 6, generator=generator).to(dtype)
    graph = BipartiteGraph(torch.tensor([[0], [0]]), num, num)
    return Fixed(user, item), graph


@pytest.mark.parametrize('kind', ['user', 'item'])
def test_equals_every_cosine(kind: str) -> None:
    model, graph = example()
    x = torch.nn.functional.normalize(getattr(model, kind).double(), dim=1)
    cosine = (x @ x.t()).fill_diagonal_(-2)
    out = similar(model, graph, k=7, kind=kind)
    assert out.item.equal(cosine.topk(7).indices)
    torch.testing.assert_close(out.score.double(), cosine.topk(7).values)


def test_some_items() -> None:
    model, graph = example()
    everything = similar_items(model, graph, k=3)
    out = similar_items(model, graph, [5, 2, 5], k=3)
    assert out.item.equal(everything.item[[5, 2, 5]])


def test_length_does_not_matter_and_twins_have_cosine_one() -> None:
    item = torch.tensor([[0.1, 0.2], [1e4, 2e4], [0.0, 0.0], [-1.0, 0.5]])
    graph = BipartiteGraph(torch.tensor([[0], [0]]), 1, 4)
    out = similar_items(Fixed(torch.ones(1, 2), item), graph, k=4)
    assert out.item[0, 0] == 1
    assert out.item[1, 0] == 0
    assert out.score.max() <= 1
    assert out.score[0, 0] == pytest.approx(1.0)
    assert out.score[2].tolist() == [0.0, 0.0, 0.0, -float('inf')]
    assert out.item[:, 3].tolist() == [-1] * 4  # never itself


def test_half_precision() -> None:
    out = similar_items(*example(dtype=torch.bfloat16), k=3)
    assert out.score.dtype == torch.float32


def test_bad_arguments() -> None:
    model, graph = example()
    with pytest.raises(ValueError, match=r"'items' .*0 to 39 \(got 40\)"):
        similar_items(model, graph, [40])
    with pytest.raises(ValueError, match=r"'kind' .*\(got 'book'\)"):
        similar(model, graph, [0], kind='book')
    with pytest.raises(ValueError, match=r"'k' .* of items, 40 \(got 41\)"):
        similar(model, graph, [0], k=41)
    with pytest.raises(ValueError, match=r"'nodes' needs to name users"):
        similar(model, graph, [graph.num_users], kind='user')
    with pytest.raises(ValueError, match=r"'k' .* number of users"):
        similar(model, graph, [0], k=1000, kind='user')


def test_is_no_recommendation() -> None:
    """Whose table would call users items."""
    out = similar(*example(), kind='user', k=3)
    assert not hasattr(out, 'to_frame')
    item, score = out
    assert item.shape == score.shape
