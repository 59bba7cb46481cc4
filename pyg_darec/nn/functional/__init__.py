"""Losses as pure functions: one equation, one function."""

from pyg_darec.nn.functional.collapse import effective_rank, mean_cosine
from pyg_darec.nn.functional.contrast import info_nce, symmetric_info_nce
from pyg_darec.nn.functional.kmeans import cluster_means, kmeans, lloyd
from pyg_darec.nn.functional.kriging import Kriging, regression_kriging
from pyg_darec.nn.functional.neighbors import nearest_neighbors
from pyg_darec.nn.functional.normalize import normalize, unit_rows
from pyg_darec.nn.functional.partition import log_partition
from pyg_darec.nn.functional.ranking import (
    bce_loss,
    bpr_loss,
    direct_au_loss,
    l2_penalty,
    softmax_loss,
)
from pyg_darec.nn.functional.ridge import LinearMap, ridge_regression
from pyg_darec.nn.functional.structure import (
    center_alignment,
    gram_distance,
    match_centers,
    orthogonality,
)
from pyg_darec.nn.functional.uniformity import uniformity

__all__ = [
    'Kriging',
    'LinearMap',
    'bce_loss',
    'bpr_loss',
    'center_alignment',
    'cluster_means',
    'direct_au_loss',
    'effective_rank',
    'gram_distance',
    'info_nce',
    'kmeans',
    'l2_penalty',
    'lloyd',
    'log_partition',
    'match_centers',
    'mean_cosine',
    'nearest_neighbors',
    'normalize',
    'orthogonality',
    'regression_kriging',
    'ridge_regression',
    'softmax_loss',
    'symmetric_info_nce',
    'uniformity',
    'unit_rows',
]
