"""Backbones: collaborative models that embed users and items."""

from pyg_darec.graph import Batch
from pyg_darec.nn.models.autocf import AutoCF
from pyg_darec.nn.models.base import Backbone
from pyg_darec.nn.models.dccf import DCCF
from pyg_darec.nn.models.foreign import ForeignModel, as_recommender
from pyg_darec.nn.models.gccf import GCCF
from pyg_darec.nn.models.lightgcl import LightGCL
from pyg_darec.nn.models.lightgcn import LightGCN
from pyg_darec.nn.models.ncl import NCL
from pyg_darec.nn.models.ngcf import NGCF
from pyg_darec.nn.models.sgl import SGL
from pyg_darec.nn.models.simgcl import SimGCL
from pyg_darec.nn.recommender import Recommender, Step

__all__ = [
    'DCCF',
    'GCCF',
    'NCL',
    'NGCF',
    'SGL',
    'AutoCF',
    'Backbone',
    'Batch',
    'ForeignModel',
    'LightGCL',
    'LightGCN',
    'Recommender',
    'SimGCL',
    'Step',
    'as_recommender',
]
