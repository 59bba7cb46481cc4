"""The factorisations of ``implicit``, in its own compiled loops."""

from typing import Any

import implicit
import numpy as np
import scipy.sparse
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k
from protocol import Contender, serve
from split import Pairs, Split


class Implicit(Contender):
    """An iteration of ALS solves for all users and for all items; one of BPR
    draws as many triples as there are pairs.
    """

    def __init__(
        self, name: str, split: Split, settings: dict[str, Any]
    ) -> None:
        self.threads, self.seed = settings['threads'], settings['seed']
        models = {
            'ALS': AlternatingLeastSquares,
            'BPR': BayesianPersonalizedRanking,
        }
        self.model = models[name](
            factors=settings['dim'], iterations=1, num_threads=self.threads
        )
        size = split.num_users, split.num_items

        def matrix(pairs: Pairs) -> scipy.sparse.csr_matrix:
            ones = np.ones(pairs.shape[1], dtype=np.float32)
            return scipy.sparse.csr_matrix((ones, pairs), size)

        self.train_pairs, self.test_pairs = (
            matrix(split.train),
            matrix(split.test),
        )

    def epoch(self) -> None:
        """``fit`` goes on from the factors that there are."""
        # BPR would draw the same triples again.
        self.seed += 1
        self.model.random_state = self.seed
        self.model.fit(self.train_pairs, show_progress=False)

    def evaluate(self) -> None:
        ranking_metrics_at_k(
            self.model,
            self.train_pairs,
            self.test_pairs,
            K=20,
            show_progress=False,
            num_threads=self.threads,
        )

    def embed(self) -> tuple[Any, Any]:
        return self.model.user_factors, self.model.item_factors


if __name__ == '__main__':
    serve(Implicit, {'implicit': implicit.__version__})
