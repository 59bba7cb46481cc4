"""Objectives: what rewards the interactions of a batch."""

from pyg_darec.nn.objectives.base import Objective
from pyg_darec.nn.objectives.bpr import BPR

__all__ = ['BPR', 'Objective']
