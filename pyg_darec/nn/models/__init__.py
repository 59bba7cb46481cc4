"""Backbones: collaborative models that embed users and items."""

from pyg_darec.nn.models.base import Backbone
from pyg_darec.nn.models.foreign import ForeignModel, as_recommender
from pyg_darec.nn.models.lightgcn import LightGCN
from pyg_darec.nn.recommender import Batch, Recommender, Step

__all__ = [
    'Backbone',
    'Batch',
    'ForeignModel',
    'LightGCN',
    'Recommender',
    'Step',
    'as_recommender',
]
