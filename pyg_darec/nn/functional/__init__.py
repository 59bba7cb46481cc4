"""Losses as pure functions: one equation, one function."""

from pyg_darec.nn.functional.contrast import (
    info_nce,
    log_partition,
    uniformity,
)
from pyg_darec.nn.functional.kmeans import cluster_means, kmeans
from pyg_darec.nn.functional.normalize import normalize
from pyg_darec.nn.functional.ranking import bpr_loss, l2_penalty
from pyg_darec.nn.functional.structure import (
    center_alignment,
    gram_distance,
    match_centers,
    orthogonality,
)

__all__ = [
    'bpr_loss',
    'center_alignment',
    'cluster_means',
    'gram_distance',
    'info_nce',
    'kmeans',
    'l2_penalty',
    'log_partition',
    'match_centers',
    'normalize',
    'orthogonality',
    'uniformity',
]
