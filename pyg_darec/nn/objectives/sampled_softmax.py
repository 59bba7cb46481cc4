from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pyg_darec.checks import check_choice, check_positive
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.functional import softmax_loss
from pyg_darec.nn.functional.ranking import Similarity
from pyg_darec.nn.objectives.base import Objective

Negatives = Literal['batch', 'uniform', 'both']


@dataclass(frozen=True)
class SampledSoftmax(Objective):
    r"""A softmax over the positive item and many negatives, which all
    positives of a batch share:
    :func:`~pyg_darec.nn.functional.softmax_loss`.

    Items of the other rows are drawn in proportion to their degree. The
    correction of the `"Sampling-Bias-Corrected Neural Modeling for Large
    Corpus Item Recommendations" <https://doi.org/10.1145/3298689.3346996>`_
    paper takes the logarithm of

    .. math::
        q_i = \frac{\deg(i)}{E}, \qquad \text{for both kinds} \qquad
        q_i = \frac{1}{2} \left( \frac{\deg(i)}{E} + \frac{1}{I} \right),

    from their logits, and from that of the positive. It is the same for all
    uniform negatives, and therefore changes nothing there. An item without
    training interactions, which only a batch of one's own can hold, has the
    :math:`q_i` of one with a single interaction.

    Args:
        temperature (float, optional): The temperature that similarities are
            divided by; something near :obj:`1.0` for inner products.
            (default: :obj:`0.1`)
        similarity (str, optional): :obj:`'cosine'`, as in the `"On the
            Effectiveness of Sampled Softmax Loss for Item Recommendation"
            <https://arxiv.org/abs/2201.02327>`_ paper, or :obj:`'dot'` for
            the inner product. (default: :obj:`'cosine'`)
        negatives (str, optional): What the positive competes with: the
            positives of the whole :obj:`'batch'`, all of its
            :obj:`'uniform'` negatives, or :obj:`'both'`.
            (default: :obj:`'batch'`)
        correction (bool, optional): If set to :obj:`False`, popular items
            are penalised for being drawn more often. (default: :obj:`True`)

    Raises:
        ValueError: If :obj:`temperature` is not positive, or
            :obj:`similarity` or :obj:`negatives` is unknown.
    """

    temperature: float = 0.1
    similarity: Similarity = 'cosine'
    negatives: Negatives = 'batch'
    correction: bool = True

    name: ClassVar[str] = 'softmax'

    def __post_init__(self) -> None:
        check_positive(temperature=self.temperature)
        check_choice('similarity', self.similarity, Similarity)
        check_choice('negatives', self.negatives, Negatives)

    def __call__(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> Tensor:
        _, pos, neg = batch
        candidate = {
            'batch': pos,
            'uniform': neg,
            'both': torch.cat([pos, neg]),
        }[self.negatives]
        return softmax_loss(
            user,
            item,
            batch,
            candidate,
            self.temperature,
            self.similarity,
            self._log_q(graph) if self.correction else None,
        )

    def _log_q(self, graph: BipartiteGraph) -> Tensor | None:
        if self.negatives == 'uniform':
            return None
        num_edges = max(graph.num_edges, 1)
        q = graph.item_degree.clamp(min=1) / num_edges
        if self.negatives == 'both':
            q = (q + 1 / graph.num_items) / 2
        return q.log()
