"""All-ranking evaluation of recommenders."""

from pyg_darec.metrics.evaluate import (
    Evaluation,
    evaluate,
    evaluate_embeddings,
    evaluate_per_user,
)
from pyg_darec.metrics.evaluate_cold import evaluate_cold
from pyg_darec.metrics.ranking import clean_ranking, ranking_metrics
from pyg_darec.metrics.significance import Comparison, compare, holm

__all__ = [
    'Comparison',
    'Evaluation',
    'clean_ranking',
    'compare',
    'evaluate',
    'evaluate_cold',
    'evaluate_embeddings',
    'evaluate_per_user',
    'holm',
    'ranking_metrics',
]
