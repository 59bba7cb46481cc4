"""Pairs to train on."""

from pyg_darec.loader.in_batch_sampler import InBatchSampler
from pyg_darec.loader.negative_sampler import NegativeSampler
from pyg_darec.loader.pair_loader import Negatives, PairLoader

__all__ = ['InBatchSampler', 'NegativeSampler', 'Negatives', 'PairLoader']
