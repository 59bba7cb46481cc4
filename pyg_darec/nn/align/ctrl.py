from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_choice, check_count, check_positive
from pyg_darec.graph import KINDS, Batch, BipartiteGraph
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.max_similarity import max_similarity_nce
from pyg_darec.nn.align.nodes import sample_nodes, with_profile
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.functional.ranking import Similarity
from pyg_darec.nn.models.embed_source import Embed
from pyg_darec.nn.recommender import Step

Stage = Literal['two', 'joint']


class CTRLAlign(Aligner):
    r"""The cross-modal alignment of the `"CTRL: Connect Collaborative and
    Language Model for CTR Prediction" <https://arxiv.org/abs/2306.02841>`_
    paper, in two stages.

    In the first, the alignment is trained without the objective. Linear maps
    take the collaborative embedding of a node and its profile to one width,
    and others take each of the two to :math:`M` sub-vectors,
    :math:`\mathbf{h}_{v,m}` and :math:`\mathbf{g}_{v,m}`. A node has to find
    itself on the other side, in both directions,

    .. math::
        \ell(\mathcal{B}) = -\frac{1}{2 |\mathcal{B}|}
        \sum_{v \in \mathcal{B}} \left( \log
        \frac{e^{s(\mathbf{h}_v, \mathbf{g}_v) / \tau}}
        {\sum_{c \in \mathcal{B}} e^{s(\mathbf{h}_v, \mathbf{g}_c) / \tau}} +
        \log \frac{e^{s(\mathbf{g}_v, \mathbf{h}_v) / \tau}}
        {\sum_{c \in \mathcal{B}} e^{s(\mathbf{g}_v, \mathbf{h}_c) / \tau}}
        \right), \quad s(\mathbf{x}, \mathbf{y}) = \sum_{m=1}^M \max_{l=1}^M
        \cos(\mathbf{x}_m, \mathbf{y}_l),

    once among users and once among items that are drawn from the batch, and
    the losses are added up. In the second stage, the model is trained by its
    own loss alone, as if there were no profiles.

    The stage is a function of the epoch that :meth:`renew` is given, as by
    :func:`~pyg_darec.train.fit`, and stays what it was in the last call. In
    a loop of your own, without a call to it, both losses are trained at once,
    as with :obj:`stage='joint'`. So they are once weights are loaded in the
    first stage, as at the end of a :func:`~pyg_darec.train.fit` that did not
    come to the second.

    .. note::

        The equations, :obj:`dim` and :obj:`temperature` are published, and
        that training both at once did worse. The paper aligns interactions,
        seen as a row of a table and as a sentence; a graph recommender has
        no vector of an interaction, so that nodes are aligned. The length of
        the first stage, :math:`M`, the width of sub-vectors and the sample
        (the paper contrasts the whole batch) are our choice, and so is the
        cosine: the paper has inner products of sub-vectors, which have no
        bound, and with profiles that cannot be told apart that loss grew
        without end. The language model is not trained.

    The first stage is no time to judge a model by its recommendations, and
    :func:`~pyg_darec.train.fit` does not.

    Args:
        model (torch.nn.Module): The model to wrap.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The weight of the alignment. It makes
            little difference in a stage of its own; with
            :obj:`stage='joint'`, a small one such as :obj:`0.01` is due.
            (default: :obj:`1.0`)
        warm_up (int, optional): The number of epochs of the first stage.
            (default: :obj:`5`)
        stage (str, optional): :obj:`'two'` stages, or :obj:`'joint'`
            training of both losses in all epochs. (default: :obj:`'two'`)
        num_parts (int, optional): The number :math:`M` of sub-vectors.
            (default: :obj:`4`)
        num_samples (int, optional): The number of users of the batch, and
            of items, that a step contrasts, drawn anew each time,
            :obj:`None` for all. (default: :obj:`1024`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.7`)
        dim (int, optional): The width that both sides are taken to.
            (default: :obj:`128`)
        part_dim (int, optional): The width of sub-vectors, :obj:`None` for
            :math:`\lceil d / M \rceil` of :obj:`dim`.
            (default: :obj:`None`)
        similarity (str, optional): That of two sub-vectors,
            :obj:`'cosine'`, or :obj:`'dot'` for the inner product of the
            paper. (default: :obj:`'cosine'`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on the linear maps. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range.
    """

    # What 'renew' found for the present epoch; both losses before that.
    _aligns, _tunes = True, True

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 1.0,
        warm_up: int = 5,
        stage: Stage = 'two',
        num_parts: int = 4,
        num_samples: int | None = 1024,
        temperature: float = 0.7,
        dim: int = 128,
        part_dim: int | None = None,
        similarity: Similarity = 'cosine',
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        check_choice('stage', stage, Stage)
        check_choice('similarity', similarity, Similarity)
        check_count(
            warm_up=warm_up,
            num_parts=num_parts,
            num_samples=num_samples,
            dim=dim,
            part_dim=part_dim,
        )
        check_positive(temperature=temperature)
        self.warm_up = warm_up
        self.stage = stage
        self.num_parts = num_parts
        self.num_samples = num_samples
        self.temperature = temperature
        self.similarity = similarity
        total = num_parts * (part_dim or -(-dim // num_parts))
        self.cf_project = Encoder(self.out_dim, dim, num_layers=1)
        self.cf_parts = Encoder(dim, total, num_layers=1)
        self.llm_project = Encoder(llm_dim, dim, num_layers=1)
        self.llm_parts = Encoder(dim, total, num_layers=1)

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        super().renew(graph, epoch, step)
        is_first = epoch <= self.warm_up
        self._aligns = self.stage == 'joint' or is_first
        self._tunes = self.stage == 'joint' or not is_first

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self._aligns, self._tunes = True, True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        # They are of no epoch, and the alignment alone trains no model.
        self._tunes = True

    def is_ready(self, epoch: int) -> bool:
        is_tuned = self.stage == 'joint' or epoch > self.warm_up
        return is_tuned and super().is_ready(epoch)

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        if self._aligns and self._tunes:
            return super().step(graph, batch)
        self.check_profiles(graph)
        if self._tunes:
            return self.model.step(graph, batch)
        user, item = self.model.encode(graph)
        return Step(self.align(graph, batch, user, item), user, item)

    def supervise(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        # An aligner around this one asks for it in any stage.
        if self._tunes:
            return super().supervise(graph, user, item, batch)
        return {}

    def regularize(self, batch: Batch) -> dict[str, Tensor]:
        if self._aligns:
            return super().regularize(batch)
        return self.model.regularize(batch)

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        loss = user.new_zeros(())
        # A node that is in the batch twice would have to be told from itself.
        for kind, cf, nodes in zip(
            KINDS, (user, item), (batch[0], torch.cat(batch[1:])), strict=True
        ):
            index = with_profile(graph, kind, nodes.unique())
            some = sample_nodes(index.numel(), self.num_samples)
            if some is not None:
                index = index[some.to(index.device)]
            width = cf.size(1)
            llm = graph.llm_x[kind].index_select(0, index).to(cf.dtype)
            x = self.cf_project(cf.index_select(0, index), width)
            x = self.cf_parts(x, width)
            y = self.llm_parts(self.llm_project(llm, width), width)
            x, y = self._split(x), self._split(y)
            both = max_similarity_nce(x, y, self.temperature)
            both = both + max_similarity_nce(y, x, self.temperature)
            loss = loss + both / (2 * max(index.numel(), 1))
        return {'ctrl': self.weight * loss}

    def _split(self, x: Tensor) -> Tensor:
        x = x.unflatten(-1, (self.num_parts, -1))
        return x if self.similarity == 'dot' else normalize(x)

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f"warm_up={self.warm_up}, stage='{self.stage}', "
            f'num_parts={self.num_parts}, num_samples={self.num_samples}, '
            f'temperature={self.temperature})'
        )
