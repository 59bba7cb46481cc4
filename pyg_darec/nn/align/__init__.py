"""Alignment methods: wrappers that add LLM knowledge to a recommender."""

from pyg_darec.nn.align.adaptor import HybridExpertAdaptor
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.canonical import canonical_maps
from pyg_darec.nn.align.control_rec import ControlRecAlign
from pyg_darec.nn.align.ctrl import CTRLAlign
from pyg_darec.nn.align.darec import DaRecAlign
from pyg_darec.nn.align.diagnostics import Diagnostics
from pyg_darec.nn.align.injection import ProfileInjection
from pyg_darec.nn.align.kar import KARAlign
from pyg_darec.nn.align.profile_scale import profile_scale
from pyg_darec.nn.align.profile_space import ProfileSpace
from pyg_darec.nn.align.rlmrec_con import RLMRecConAlign
from pyg_darec.nn.align.rlmrec_gen import RLMRecGenAlign
from pyg_darec.nn.align.structure import DisentangledStructure

__all__ = [
    'Aligner',
    'CTRLAlign',
    'ControlRecAlign',
    'DaRecAlign',
    'Diagnostics',
    'DisentangledStructure',
    'HybridExpertAdaptor',
    'KARAlign',
    'ProfileInjection',
    'ProfileSpace',
    'RLMRecConAlign',
    'RLMRecGenAlign',
    'canonical_maps',
    'profile_scale',
]
