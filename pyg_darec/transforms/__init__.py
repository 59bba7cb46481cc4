"""Transforms that prepare an interaction graph, composable with PyG's own."""

from pyg_darec.transforms.attach_profile_embeddings import (
    AttachProfileEmbeddings,
)
from pyg_darec.transforms.hold_out_nodes import HoldOutNodes
from pyg_darec.transforms.k_core import KCore
from pyg_darec.transforms.split_interactions import SplitInteractions

__all__ = [
    'AttachProfileEmbeddings',
    'HoldOutNodes',
    'KCore',
    'SplitInteractions',
]
