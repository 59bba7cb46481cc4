"""Exact retrieval of the best items from user and item embeddings."""

from pyg_darec.retrieval.cold import ProfileEmbedder, recommend_cold
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.explain import explain
from pyg_darec.retrieval.explanation import Explanation, Reason
from pyg_darec.retrieval.export import Export, export
from pyg_darec.retrieval.nodes import find_nodes
from pyg_darec.retrieval.recommend import recommend
from pyg_darec.retrieval.recommendation import Recommendation
from pyg_darec.retrieval.similar import Similar, similar, similar_items
from pyg_darec.retrieval.topk import masked_topk

__all__ = [
    'Explanation',
    'Export',
    'ProfileEmbedder',
    'Reason',
    'Recommendation',
    'Similar',
    'compute_embeddings',
    'explain',
    'export',
    'find_nodes',
    'masked_topk',
    'recommend',
    'recommend_cold',
    'similar',
    'similar_items',
]
