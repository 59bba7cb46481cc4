"""Exact retrieval of the best items from user and item embeddings."""

from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.recommend import Recommendation, recommend
from pyg_darec.retrieval.topk import masked_topk

__all__ = ['Recommendation', 'compute_embeddings', 'masked_topk', 'recommend']
