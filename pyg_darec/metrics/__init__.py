"""All-ranking evaluation of recommenders."""

from pyg_darec.metrics.evaluate import (
    Evaluation,
    evaluate,
    evaluate_embeddings,
    evaluate_per_user,
)
from pyg_darec.metrics.ranking import clean_ranking, ranking_metrics

__all__ = [
    'Evaluation',
    'clean_ranking',
    'evaluate',
    'evaluate_embeddings',
    'evaluate_per_user',
    'ranking_metrics',
]
