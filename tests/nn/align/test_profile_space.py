import pytest
import torch

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align.profile_space import agreement


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_agreement_in_half_precision(dtype: torch.dtype) -> None:
    """Items of so many users that half precision has no number for pairs."""
    num = 600
    torch.manual_seed(0)
    taste = torch.arange(num) % 2
    graph = BipartiteGraph(torch.stack([torch.arange(num), taste]), num, 2)
    user = torch.eye(2)[taste] + 0.3 * torch.randn(num, 2)
    pair = user.to(dtype), torch.randn(2, 2).to(dtype)
    exact = agreement(graph, *(x.float() for x in pair))
    assert exact[0] > 0.9
    assert torch.equal(agreement(graph, *pair), exact)
