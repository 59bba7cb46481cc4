from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_count, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.nodes import sample_nodes, take_nodes
from pyg_darec.nn.functional import (
    center_alignment,
    cluster_means,
    gram_distance,
    kmeans,
    match_centers,
    orthogonality,
    uniformity,
)
from pyg_darec.nn.functional.structure import Matching
from pyg_darec.nn.models.foreign import Embed

Score = Literal['backbone', 'shared', 'both']


class DaRecAlign(Aligner):
    r"""The disentangled alignment of the `"DaRec: A Disentangled Alignment
    Framework for Large Language Model and Recommender System"
    <https://arxiv.org/abs/2408.08231>`_ paper, around any model.

    Four perceptrons split the collaborative embeddings :math:`\mathbf{E}_C`
    and the profile embeddings :math:`\mathbf{E}_L` of the same nodes into a
    specific and a shared part each, and

    .. math::
        \mathcal{L} = \mathcal{L}_{base} + \lambda \left( \mathcal{L}_{or} +
        \mathcal{L}_{uni} + \mathcal{L}_{glo} + \mathcal{L}_{loc} \right)

    keeps the two parts of a node orthogonal
    (:func:`~pyg_darec.nn.functional.orthogonality`), spreads the specific
    parts out (:func:`~pyg_darec.nn.functional.uniformity`), and aligns the
    shared parts in structure only: their similarities
    (:func:`~pyg_darec.nn.functional.gram_distance`) and their preference
    centres (:func:`~pyg_darec.nn.functional.center_alignment` of k-means
    clusters). The first two are summed over both sides.

    .. note::

        The paper's code is not public. What it leaves open is our choice:
        the depth and width of the perceptrons, that users and items are one
        set of nodes, the mean in :math:`\mathcal{L}_{glo}`, the form of
        :math:`\mathcal{L}_{loc}` and the matching of centres, unit weights
        of the terms, and what is scored.

    Args:
        model (torch.nn.Module): The model to wrap, whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The trade-off :math:`\lambda`.
            (default: :obj:`0.1`)
        num_samples (int, optional): The number of nodes :math:`\hat{N}`
            that a step aligns, drawn anew each time, :obj:`None` for all.
            (default: :obj:`4096`)
        num_clusters (int, optional): The number of preference centres
            :math:`K`. (default: :obj:`4`)
        matching (str, optional): How centres are paired, :obj:`'greedy'` or
            :obj:`'optimal'`. (default: :obj:`'greedy'`)
        or_weight (float, optional): The weight of :math:`\mathcal{L}_{or}`;
            here and below, 0 leaves the term out. (default: :obj:`1.0`)
        uni_weight (float, optional): The weight of
            :math:`\mathcal{L}_{uni}`. (default: :obj:`1.0`)
        glo_weight (float, optional): The weight of
            :math:`\mathcal{L}_{glo}`. (default: :obj:`1.0`)
        loc_weight (float, optional): The weight of
            :math:`\mathcal{L}_{loc}`. (default: :obj:`1.0`)
        glo_reduction (str, optional): :obj:`'mean'` divides
            :math:`\mathcal{L}_{glo}` by the number of pairs, :obj:`'sum'`
            does not. (default: :obj:`'mean'`)
        dim (int, optional): The width of the parts, :obj:`None` for that of
            :math:`\mathbf{E}_C`. (default: :obj:`None`)
        hidden_dim (int, optional): The hidden width of the perceptrons,
            :obj:`None` for the mean of input and output width.
            (default: :obj:`None`)
        num_layers (int, optional): The depth of the perceptrons.
            (default: :obj:`2`)
        num_iters (int, optional): The iterations of k-means.
            (default: :obj:`10`)
        score (str, optional): What is scored: the embeddings of the
            :obj:`'backbone'`, their :obj:`'shared'` part, or :obj:`'both'`
            parts side by side. The backbone's own loss is not affected.
            (default: :obj:`'backbone'`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on the perceptrons. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Shapes:
        - **input:** data with :obj:`llm_x` of shapes
          :math:`(U, D)` and :math:`(I, D)`
        - **output:** user embeddings :math:`(U, d)`, item embeddings
          :math:`(I, d)`

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range, or, in a step, if there
            are fewer nodes than clusters.
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 0.1,
        num_samples: int | None = 4096,
        num_clusters: int = 4,
        matching: Matching = 'greedy',
        or_weight: float = 1.0,
        uni_weight: float = 1.0,
        glo_weight: float = 1.0,
        loc_weight: float = 1.0,
        glo_reduction: Literal['mean', 'sum'] = 'mean',
        dim: int | None = None,
        hidden_dim: int | None = None,
        num_layers: int = 2,
        num_iters: int = 10,
        score: Score = 'backbone',
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        for name, choice, choices in (
            ('matching', matching, ('greedy', 'optimal')),
            ('glo_reduction', glo_reduction, ('mean', 'sum')),
            ('score', score, ('backbone', 'shared', 'both')),
        ):
            if choice not in choices:
                raise ValueError(
                    f"'{name}' needs to be one of {choices} (got '{choice}')"
                )
        check_count(
            num_samples=num_samples,
            num_clusters=num_clusters,
            num_iters=num_iters,
            dim=dim,
            hidden_dim=hidden_dim,
        )
        if num_samples is not None and num_samples < num_clusters:
            raise ValueError(
                f"'num_samples' needs to be at least 'num_clusters', "
                f'{num_clusters} (got {num_samples})'
            )
        check_weight(
            or_weight=or_weight,
            uni_weight=uni_weight,
            glo_weight=glo_weight,
            loc_weight=loc_weight,
        )
        self.num_samples = num_samples
        self.num_clusters = num_clusters
        self.matching = matching
        self.term_weights = {
            'or': or_weight,
            'uni': uni_weight,
            'glo': glo_weight,
            'loc': loc_weight,
        }
        self.glo_reduction = glo_reduction
        self.num_iters = num_iters
        self.score = score
        cf_dim = self.model.out_dim

        def encoder(in_dim: int | None) -> Encoder:
            return Encoder(in_dim, dim or cf_dim, hidden_dim, num_layers)

        self.cf_specific = encoder(cf_dim)
        self.cf_shared = encoder(cf_dim)
        self.llm_specific = encoder(llm_dim)
        self.llm_shared = encoder(llm_dim)

    @property
    def out_dim(self) -> int | None:  # type: ignore[override]
        part = self.cf_shared.out_dim
        if self.score == 'backbone' or part is None:
            return self.model.out_dim
        return part if self.score == 'shared' else 2 * part

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        user, item = self.model.encode(graph)
        return self._scored(user), self._scored(item)

    def _scored(self, x: Tensor) -> Tensor:
        if self.score == 'backbone':
            return x
        shared: Tensor = self.cf_shared(x, x.size(1))
        if self.score == 'shared':
            return shared
        return torch.cat([self.cf_specific(x, x.size(1)), shared], dim=-1)

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        nodes = sample_nodes(graph.num_nodes, self.num_samples)
        cf = take_nodes((user, item), nodes)
        llm = take_nodes((graph.llm_x['user'], graph.llm_x['item']), nodes)
        llm, width = llm.to(cf.dtype), cf.size(1)
        # Parts that only terms of weight 0 look at are not computed.
        on = {name for name, w in self.term_weights.items() if w != 0}
        terms: dict[str, Tensor] = {}
        if on & {'or', 'uni'}:
            cf_sp = self.cf_specific(cf, width)
            llm_sp = self.llm_specific(llm, width)
        if on & {'or', 'glo', 'loc'}:
            cf_sh = self.cf_shared(cf, width)
            llm_sh = self.llm_shared(llm, width)
        if 'or' in on:
            terms['or'] = orthogonality(cf_sp, cf_sh)
            terms['or'] = terms['or'] + orthogonality(llm_sp, llm_sh)
        if 'uni' in on:
            terms['uni'] = uniformity(cf_sp) + uniformity(llm_sp)
        if 'glo' in on:
            scale = cf.size(0) ** 2 if self.glo_reduction == 'sum' else 1
            terms['glo'] = scale * gram_distance(cf_sh, llm_sh)
        if 'loc' in on:
            terms['loc'] = self._local(cf_sh, llm_sh)
        return {
            name: self.weight * self.term_weights[name] * term
            for name, term in terms.items()
        }

    def _local(self, cf: Tensor, llm: Tensor) -> Tensor:
        num = self.num_clusters
        cf_center, llm_center = (
            cluster_means(x, kmeans(x, num, self.num_iters), num)[0]
            for x in (cf, llm)
        )
        match = match_centers(cf_center, llm_center, self.matching)
        return center_alignment(cf_center, llm_center[match])

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f'num_samples={self.num_samples}, '
            f'num_clusters={self.num_clusters})'
        )
