import importlib

import pytest
import torch
from torch.autograd import gradcheck

from pyg_darec.nn.functional import cluster_means, kmeans
from pyg_darec.nn.functional.kmeans import lloyd


def blobs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    label = torch.arange(4).repeat_interleave(25)
    center = 20 * torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return center[label] + torch.randn(100, 2), label


def test_finds_separated_blobs() -> None:
    x, label = blobs()
    cluster = kmeans(x, 4)
    pairs = set(zip(cluster.tolist(), label.tolist(), strict=True))
    assert len(pairs) == 4


def test_result_is_a_fixed_point() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 3)
    cluster = kmeans(x, 5, num_iters=100)
    mean, count = cluster_means(x, cluster, 5)
    assert torch.equal(torch.cdist(x, mean).argmin(dim=1), cluster)
    assert count.sum() == 60


@pytest.mark.parametrize('num', [7, 90])
@pytest.mark.parametrize('block', [1, 300, 10**6])
def test_lloyd_equals_a_loop(
    num: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module('pyg_darec.nn.functional.kmeans')
    monkeypatch.setitem(module._BLOCK, 'cpu', block)
    torch.manual_seed(0)
    x = torch.randn(200, 3).double()
    start = torch.cat([x[: num - 1], torch.full((1, 3), 50.0)])
    expected = start.clone()
    for _ in range(4):
        near = torch.cdist(x, expected).argmin(dim=1)
        for k in near.unique():
            expected[k] = x[near == k].mean(dim=0)
    cluster, center = lloyd(x, start, num_iters=4)
    assert torch.allclose(center, expected)
    assert (center[-1] == 50).all()  # without points, it stays
    assert torch.equal(cluster, torch.cdist(x, expected).argmin(dim=1))


def test_lloyd_without_updates() -> None:
    x, start = torch.randn(9, 3), torch.randn(2, 3)
    cluster, center = lloyd(x.bfloat16(), start, num_iters=0)
    assert torch.equal(center, start)
    x = x.bfloat16().float()
    assert torch.equal(cluster, torch.cdist(x, start).argmin(dim=1))
    assert torch.equal(lloyd(x[:0], start)[1], start)  # without points


def test_reproducible_from_the_global_seed() -> None:
    x = blobs()[0]
    torch.manual_seed(3)
    first = kmeans(x, 3)
    torch.manual_seed(3)
    assert torch.equal(first, kmeans(x, 3))


@pytest.mark.parametrize('num', [1, 3, 5])
def test_few_or_equal_points(num: int) -> None:
    same = torch.ones(5, 2)
    assert kmeans(same, num).max() < num
    points = torch.arange(5.0)[:, None]
    assert len(kmeans(points, 5).unique()) == 5


@pytest.mark.parametrize('num', [4, 100])
def test_cluster_means(num: int) -> None:
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    cluster = torch.tensor([0, 0, 2, 2, 2, 0])
    mean, count = cluster_means(x, cluster, num)
    assert mean.shape == (num, 3)
    assert count.shape == (num, 1)
    assert torch.allclose(mean[0], x[cluster == 0].mean(dim=0))
    assert torch.allclose(mean[2], x[cluster == 2].mean(dim=0))
    assert count.flatten().tolist() == [3, 0, 3] + [0] * (num - 3)
    assert (mean[[1, 3]] == 0).all()
    assert gradcheck(lambda x: cluster_means(x, cluster, num)[0], (x,))


@pytest.mark.parametrize('num', [4, 100])
@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_cluster_means_do_not_overflow(num: int, dtype: torch.dtype) -> None:
    x = torch.full((4000, 2), 60.0, dtype=dtype, requires_grad=True)
    cluster = torch.zeros(4000, dtype=torch.long)
    with torch.autocast('cpu', dtype=torch.float16):
        mean, count = cluster_means(x, cluster, num)
    assert mean.dtype == torch.float32
    assert (mean[0] == 60).all()
    assert count[0] == 4000
    mean.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, torch.full_like(x, 1 / 4000))


def test_far_from_the_origin() -> None:
    torch.manual_seed(0)
    label = torch.arange(400) % 2
    x = 0.1 * torch.randn(400, 8) + 3 * label[:, None] / 8**0.5
    expected, start = x.view(200, 2, 8).mean(dim=0), torch.stack([x[0], x[1]])
    for shift in (1e4, -1e4):
        cluster = kmeans(x + shift, 2)
        assert torch.equal(cluster, label ^ cluster[0])
        cluster, center = lloyd(x + shift, start + shift)
        assert torch.equal(cluster, label)
        assert torch.allclose(center, expected + shift, rtol=0, atol=2e-3)
    kept = lloyd(x + 1e4, start + 1e4, num_iters=0)[1]
    assert torch.equal(kept, start + 1e4)


@pytest.mark.parametrize('num', [0, 6])
def test_bad_number_of_clusters(num: int) -> None:
    with pytest.raises(ValueError, match=r"'num_clusters'.*nodes, 5"):
        kmeans(torch.randn(5, 2), num)
