"""Profile embeddings for benchmarks of time: what they say is made up."""

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph


def random_profiles(graph: BipartiteGraph, llm_dim: int) -> dict[str, Tensor]:
    """Those of users who share items are alike, and those of items that share
    users: pure noise would be found out, and not be aligned with at all.
    """
    generator = torch.Generator().manual_seed(0)
    user, item = (
        torch.randn(size, llm_dim, generator=generator).to(graph.device)
        for size in (graph.num_users, graph.num_items)
    )
    near_user, near_item = graph.propagate(user, item)
    return {'user': near_user + 0.1 * user, 'item': near_item + 0.1 * item}
