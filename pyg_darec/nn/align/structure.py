from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_choice, check_count, check_weight
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.nodes import Pair, sample_nodes, take_nodes
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
from pyg_darec.nn.reset import reset

Reduction = Literal['mean', 'sum']

_PARTS = (
    ('cf', 'specific'),
    ('llm', 'specific'),
    ('cf', 'shared'),
    ('llm', 'shared'),
)


class DisentangledStructure(Module):
    r"""The four terms of the `"DaRec: A Disentangled Alignment Framework for
    Large Language Model and Recommender System"
    <https://arxiv.org/abs/2408.08231>`_ paper between collaborative and
    profile embeddings of the same nodes, and the perceptrons that split both
    into a specific and a shared part: :obj:`'or'`,
    :func:`~pyg_darec.nn.functional.orthogonality` of the two parts, and
    :obj:`'uni'`, :func:`~pyg_darec.nn.functional.uniformity` of the specific
    ones, both summed over the two sides; :obj:`'glo'`,
    :func:`~pyg_darec.nn.functional.gram_distance` of the shared parts, and
    :obj:`'loc'`, :func:`~pyg_darec.nn.functional.center_alignment` of their
    k-means clusters. See :class:`~pyg_darec.nn.align.DaRecAlign` for the
    arguments.

    Shapes:
        - **cf:** :math:`(U, d)` and :math:`(I, d)`
        - **llm:** :math:`(U, D)` and :math:`(I, D)`
    """

    def __init__(
        self,
        cf_dim: int | None,
        llm_dim: int,
        term_weights: dict[str, float],
        num_samples: int | None,
        num_clusters: int,
        matching: Matching,
        glo_reduction: Reduction,
        dim: int | None,
        hidden_dim: int | None,
        num_layers: int,
        num_iters: int,
    ) -> None:
        super().__init__()
        check_choice('matching', matching, Matching)
        check_choice('glo_reduction', glo_reduction, Reduction)
        check_weight(**{f'{k}_weight': w for k, w in term_weights.items()})
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
        self.term_weights = term_weights
        self.num_samples = num_samples
        self.num_clusters = num_clusters
        self.matching = matching
        self.glo_reduction = glo_reduction
        self.num_iters = num_iters

        def encoder(in_dim: int | None) -> Encoder:
            return Encoder(in_dim, dim or cf_dim, hidden_dim, num_layers)

        self.cf_specific = encoder(cf_dim)
        self.cf_shared = encoder(cf_dim)
        self.llm_specific = encoder(llm_dim)
        self.llm_shared = encoder(llm_dim)

    def reset_parameters(self) -> None:
        for module in self.children():
            reset(module)

    def forward(
        self, cf: Pair, llm: Pair, among: Tensor | None = None
    ) -> dict[str, Tensor]:
        r"""Returns the weighted terms between users and items (two matrices
        each) as one set of nodes, or between those :obj:`among` them, sorted
        and on the host. Parts that only terms of weight 0 look at are not
        computed.
        """
        num_nodes = cf[0].size(0) + cf[1].size(0)
        nodes = sample_nodes(num_nodes, self.num_samples, among)
        terms = self.terms(take_nodes(cf, nodes), take_nodes(llm, nodes))
        return {k: self.term_weights[k] * term for k, term in terms.items()}

    def terms(self, cf: Tensor, llm: Tensor) -> dict[str, Tensor]:
        r"""The terms between the embeddings of the same nodes."""
        llm, width = llm.to(cf.dtype), cf.size(1)
        if not torch.compiler.is_compiling():  # then they have their widths
            self._initialize(cf, llm)
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
            cf_center, llm_center, match = self.centers(cf_sh, llm_sh)
            terms['loc'] = center_alignment(cf_center, llm_center[match])
        return terms

    def _initialize(self, cf: Tensor, llm: Tensor) -> None:
        """Sets the open widths of all parts: an optimizer needs to know those
        as well that no term looks at.
        """
        for side, part in _PARTS:
            x = cf if side == 'cf' else llm
            encoder = getattr(self, f'{side}_{part}')
            encoder.initialize_parameters(x, cf.size(1))

    def parts(self, cf: Pair, llm: Pair) -> dict[str, Pair]:
        r"""All four parts, of users and of items."""
        width = cf[0].size(1)
        out = {}
        for side, part in _PARTS:
            encoder = getattr(self, f'{side}_{part}')
            pair = cf if side == 'cf' else llm
            user, item = (encoder(x.to(cf[0]), width) for x in pair)
            out[f'{side}_{part}'] = user, item
        return out

    def centers(self, cf: Tensor, llm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""The preference centres of two shared parts, differentiable, and
        which of the second each of the first is matched with.
        """
        return self._cluster(cf, llm)[2:]

    def clusters(
        self, cf: Tensor, llm: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""The clusters of the nodes by either shared part, and which of the
        second each of the first is matched with.
        """
        cf_cluster, llm_cluster, _, _, match = self._cluster(cf, llm)
        return cf_cluster, llm_cluster, match

    def _cluster(
        self, cf: Tensor, llm: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        num = self.num_clusters
        cf_cluster = kmeans(cf, num, self.num_iters)
        llm_cluster = kmeans(llm, num, self.num_iters)
        cf_center = cluster_means(cf, cf_cluster, num)[0]
        llm_center = cluster_means(llm, llm_cluster, num)[0]
        match = match_centers(cf_center, llm_center, self.matching)
        return cf_cluster, llm_cluster, cf_center, llm_center, match

    def scored(self, cf: Tensor, score: str) -> Tensor:
        r"""The :obj:`'shared'` part of collaborative embeddings, or
        :obj:`'both'` side by side.
        """
        shared: Tensor = self.cf_shared(cf, cf.size(1))
        if score == 'shared':
            return shared
        return torch.cat([self.cf_specific(cf, cf.size(1)), shared], dim=-1)
