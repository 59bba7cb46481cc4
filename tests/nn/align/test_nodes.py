import torch

from pyg_darec.nn.align.nodes import sample_nodes, take_nodes


def test_sample_nodes() -> None:
    nodes = sample_nodes(100, 30)
    assert nodes is not None
    assert len(nodes.unique()) == 30
    assert torch.equal(nodes, nodes.sort().values)
    for num in (None, 100, 200):
        assert sample_nodes(100, num) is None


def test_few_of_many_nodes() -> None:
    """Each is drawn as often as any other, and at most once."""
    torch.manual_seed(0)
    draws = [sample_nodes(100, 3) for _ in range(3000)]
    nodes = torch.stack([x for x in draws if x is not None])
    assert nodes.shape == (3000, 3)
    assert (nodes.diff(dim=1) > 0).all()
    count = nodes.flatten().bincount(minlength=100)
    # 90 each: chi-square with 99 degrees of freedom.
    assert ((count - 90).square() / 90).sum() < 160


def test_take_nodes() -> None:
    user, item = torch.randn(5, 2), torch.randn(4, 2)
    both = torch.cat([user, item])
    assert torch.equal(take_nodes((user, item), None), both)
    for index in ([0, 4, 5, 8], [1], [6], []):
        nodes = torch.tensor(index, dtype=torch.long)
        assert torch.equal(take_nodes((user, item), nodes), both[nodes])
