from typing import Any, Literal

from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.checks import check_choice, check_count, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.modes import evaluating
from pyg_darec.nn.align.injecting import InjectingAligner
from pyg_darec.nn.align.injection import ProfileInjection
from pyg_darec.nn.align.nodes import profiled_nodes
from pyg_darec.nn.align.structure import DisentangledStructure, Reduction
from pyg_darec.nn.align.unused_options import warn_of_unused
from pyg_darec.nn.functional.structure import Matching
from pyg_darec.nn.models.embed_source import Embed

Preset = Literal['default', 'paper']
Score = Literal['backbone', 'shared', 'both']

# What the presets differ in.
_PRESETS: dict[str, dict[str, float]] = {
    'default': {'weight': 0.0, 'profile_weight': 0.3, 'neighbor_weight': 0.5},
    'paper': {'weight': 0.1, 'profile_weight': 0.0, 'neighbor_weight': 0.0},
}


class DaRecAlign(InjectingAligner):
    r"""Disentangled alignment with LLM profiles, around any model, after the
    `"DaRec: A Disentangled Alignment Framework for Large Language Model and
    Recommender System" <https://arxiv.org/abs/2408.08231>`_ paper: what
    behaviour and profiles of a node have in common is aligned, what is
    specific to either of them is left alone.

    **The default** puts the shared part where it is scored. The model's own
    embedding :math:`\mathbf{e}_v` of a node is its specific part, and the
    model is given

    .. math::
        \mathbf{e}'_v = \mathbf{e}_v + t \left( w_n \sum_{u \in
        \mathcal{N}(v)} s_{vu} \mathbf{e}_u + w_p c \, \mathbf{W}
        \mathbf{x}_v \right)

    instead, in training and afterwards. :math:`\mathbf{x}_v` is a constant, of
    which layers make popularity, and what the node's profile, joined by those
    of neighbours in the graph, has in common with the other end of
    interactions (:class:`~pyg_darec.nn.align.ProfileSpace`), so that an
    untrained model recommends by both already. A linear map of it
    keeps the global structure of profiles, and the mean over nodes with the
    nearest profiles the local one; nothing is forced to coincide. The trust
    :math:`t` is measured before training: with shuffled profiles, the model is
    what it is alone. So is :math:`c`, which allows for how much of its input
    a model lets through. See :class:`~pyg_darec.nn.align.ProfileInjection`. The
    loss of the model is its own, and its contrasts, if it has some, spread out
    the specific part alone. A model without embedding tables of users and
    items gets the same on its output, and its :attr:`objective` there.

    **The literal form**, :obj:`preset='paper'` or a :obj:`weight` above 0,
    has the options from :obj:`num_samples` to :obj:`num_iters`: four
    perceptrons split the collaborative embeddings :math:`\mathbf{E}_C` and the
    profile embeddings :math:`\mathbf{E}_L` of the same nodes into a specific
    and a shared part each, and

    .. math::
        \mathcal{L} = \mathcal{L}_{base} + \lambda \left( \mathcal{L}_{or} +
        \mathcal{L}_{uni} + \mathcal{L}_{glo} + \mathcal{L}_{loc} \right)

    keeps the two parts of a node orthogonal, spreads the specific parts out,
    and aligns the shared parts in structure only: their similarities and
    their preference centres. See
    :class:`~pyg_darec.nn.align.DisentangledStructure`.

    .. note::

        The default is ours: in our measurements the literal form does not
        improve on the model alone. The page on the method tells what of that
        form is our choice, as the paper's code is not public.

    Args:
        model (torch.nn.Module): The model to wrap, whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The trade-off :math:`\lambda`; with 0, there
            are no perceptrons and none of the four terms.
            (default: that of the preset, :obj:`0.0` or :obj:`0.1`)
        preset (str, optional): :obj:`'default'` or :obj:`'paper'`, which sets
            :obj:`weight`, :obj:`profile_weight` and :obj:`neighbor_weight`
            where they are not given. (default: :obj:`'default'`)
        profile_weight (float, optional): The weight :math:`w_p`.
            (default: that of the preset, :obj:`0.3` or :obj:`0.0`)
        neighbor_weight (float, optional): The weight :math:`w_n`.
            (default: that of the preset, :obj:`0.5` or :obj:`0.0`)
        num_neighbors (int, optional): The number of nearest profiles of a
            node. (default: :obj:`5`)
        rank (int, optional): The number of directions of profiles in
            :math:`\mathbf{x}_v`. (default: :obj:`64`)
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
            on the parameters of this module. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Shapes:
        - **input:** data with :obj:`llm_x` of shapes
          :math:`(U, D)` and :math:`(I, D)`, a row of zeros where a profile
          is missing; the default does with one of the two
        - **output:** user embeddings :math:`(U, d)`, item embeddings
          :math:`(I, d)`

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range, if :obj:`score` is of
            parts that no term trains, or, in a step of the literal form, if
            there are fewer nodes than clusters.
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float | None = None,
        preset: Preset = 'default',
        profile_weight: float | None = None,
        neighbor_weight: float | None = None,
        num_neighbors: int = 5,
        rank: int = 64,
        num_samples: int | None = 4096,
        num_clusters: int = 4,
        matching: Matching = 'greedy',
        or_weight: float = 1.0,
        uni_weight: float = 1.0,
        glo_weight: float = 1.0,
        loc_weight: float = 1.0,
        glo_reduction: Reduction = 'mean',
        dim: int | None = None,
        hidden_dim: int | None = None,
        num_layers: int = 2,
        num_iters: int = 10,
        score: Score = 'backbone',
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        given = locals()
        check_choice('preset', preset, Preset)
        check_choice('score', score, Score)

        def chosen(name: str, value: float | None) -> float:
            return _PRESETS[preset][name] if value is None else value

        weight = chosen('weight', weight)
        profile_weight = chosen('profile_weight', profile_weight)
        neighbor_weight = chosen('neighbor_weight', neighbor_weight)
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        has_shared = or_weight > 0 or glo_weight > 0 or loc_weight > 0
        has_specific = score != 'both' or or_weight > 0 or uni_weight > 0
        if score != 'backbone' and not (weight and has_shared and has_specific):
            raise ValueError(
                f"'score' ranks by perceptrons that no term trains; choose "
                "'backbone', or pass preset='paper' or weights of the four "
                f"terms above 0 (got '{score}')"
            )
        check_count(rank=rank, num_neighbors=num_neighbors or None)  # or 0
        check_weight(
            profile_weight=profile_weight,
            neighbor_weight=neighbor_weight,
        )
        self.preset = preset
        self.score = score
        self.injection: ProfileInjection | None = None
        if profile_weight > 0 or neighbor_weight > 0:
            self.injection = ProfileInjection(
                llm_dim,
                self.model.in_dim,
                rank,
                profile_weight,
                neighbor_weight,
                num_neighbors,
            )
        structure = DisentangledStructure(
            self.model.out_dim,
            llm_dim,
            {
                'or': or_weight,
                'uni': uni_weight,
                'glo': glo_weight,
                'loc': loc_weight,
            },
            num_samples,
            num_clusters,
            matching,
            glo_reduction,
            dim,
            hidden_dim,
            num_layers,
            num_iters,
        )
        # Made in any case, so that its arguments are checked.
        self.structure = structure if weight > 0 else None
        warn_of_unused(self, given)

    @property
    def out_dim(self) -> int | None:  # type: ignore[override]
        if self.score == 'backbone' or self.structure is None:
            return self.model.out_dim
        part = self.structure.cf_shared.out_dim
        return part if part is None or self.score == 'shared' else 2 * part

    def scored(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        if self.structure is None or self.score == 'backbone':
            return user, item
        return (
            self.structure.scored(user, self.score),
            self.structure.scored(item, self.score),
        )

    def parts(
        self, data: HeteroData | BipartiteGraph
    ) -> dict[str, tuple[Tensor, Tensor]]:
        r"""What embeddings of users and of items are made of: in the default
        form, the model's own (:obj:`'specific'`) and what profiles add
        (:obj:`'shared'`), in its input or, of a sample of the nodes, in its
        output; in the literal form, the four parts of
        :class:`~pyg_darec.nn.align.DisentangledStructure`, by their names.
        """
        graph = self._graph(data)
        self.check_profiles(graph)
        out: dict[str, tuple[Tensor, Tensor]] = {}
        with evaluating(self):
            pair = self.unscored(graph)
            if self.structure is not None:
                llm = graph.llm_x['user'], graph.llm_x['item']
                out |= self.structure.parts(pair, llm)
            if self.injection is not None:
                out['specific'], out['shared'] = self.own_and_added(graph, pair)
        return out

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        if self.structure is None:
            return {}
        llm = graph.llm_x['user'], graph.llm_x['item']
        terms = self.structure((user, item), llm, profiled_nodes(graph))
        return {name: self.weight * term for name, term in terms.items()}

    def check_profiles(self, graph: BipartiteGraph) -> None:
        # Half of the profiles is better than none; the four terms need all.
        if self.structure is not None or not graph.llm_x:
            super().check_profiles(graph)
        for kind in graph.llm_x:
            self.check_width(graph, kind)

    def __repr__(self) -> str:
        args: dict[str, Any] = {}
        if self.injection is not None:
            names = 'profile_weight', 'neighbor_weight', 'num_neighbors'
            args |= {name: getattr(self.injection, name) for name in names}
        if self.structure is not None:
            args |= {
                'weight': self.weight,
                'num_samples': self.structure.num_samples,
                'num_clusters': self.structure.num_clusters,
            }
        listed = ''.join(f', {name}={value}' for name, value in args.items())
        return (
            f'{self.__class__.__name__}({self.model}, '
            f"llm_dim={self.llm_dim}, preset='{self.preset}'{listed})"
        )
