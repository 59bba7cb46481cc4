"""Objectives: what rewards the interactions of a batch."""

from pyg_darec.nn.objectives.base import Objective
from pyg_darec.nn.objectives.bce import BCE
from pyg_darec.nn.objectives.bpr import BPR
from pyg_darec.nn.objectives.direct_au import DirectAU
from pyg_darec.nn.objectives.sampled_softmax import SampledSoftmax

__all__ = ['BCE', 'BPR', 'DirectAU', 'Objective', 'SampledSoftmax']
