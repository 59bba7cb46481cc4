import pytest
import torch
from torch.autograd import gradcheck

from pyg_darec.nn.functional import cluster_means, kmeans


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


def test_cluster_means() -> None:
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    cluster = torch.tensor([0, 0, 2, 2, 2, 0])
    mean, count = cluster_means(x, cluster, 4)
    assert torch.allclose(mean[0], x[cluster == 0].mean(dim=0))
    assert torch.allclose(mean[2], x[cluster == 2].mean(dim=0))
    assert count.flatten().tolist() == [3, 0, 3, 0]
    assert (mean[[1, 3]] == 0).all()
    assert gradcheck(lambda x: cluster_means(x, cluster, 4)[0], (x,))


@pytest.mark.parametrize('num', [0, 6])
def test_bad_number_of_clusters(num: int) -> None:
    with pytest.raises(ValueError, match=r"'num_clusters'.*nodes, 5"):
        kmeans(torch.randn(5, 2), num)
