"""Alignment methods: wrappers that add LLM knowledge to a recommender."""

from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.darec import DaRecAlign
from pyg_darec.nn.align.rlmrec_con import RLMRecConAlign
from pyg_darec.nn.align.rlmrec_gen import RLMRecGenAlign

__all__ = ['Aligner', 'DaRecAlign', 'RLMRecConAlign', 'RLMRecGenAlign']
