"""Backbones: collaborative models that embed users and items."""

from pyg_darec.nn.models.base import Backbone
from pyg_darec.nn.models.foreign import ForeignModel, as_recommender
from pyg_darec.nn.models.lightgcn import LightGCN

__all__ = ['Backbone', 'ForeignModel', 'LightGCN', 'as_recommender']
