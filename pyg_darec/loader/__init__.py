"""Pairs to train on."""

from pyg_darec.loader.negative_sampler import NegativeSampler
from pyg_darec.loader.pair_loader import PairLoader

__all__ = ['NegativeSampler', 'PairLoader']
