"""The contract of alignment methods."""

import warnings

from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_count, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.call_with import caller
from pyg_darec.nn.functional import l2_penalty
from pyg_darec.nn.models import as_recommender
from pyg_darec.nn.models.embed_source import Embed
from pyg_darec.nn.objectives import Objective
from pyg_darec.nn.recommender import Recommender, Step, add_terms
from pyg_darec.nn.reset import check_resettable, reset
from pyg_darec.nn.wrapper import Wrapper


class Aligner(Wrapper):
    r"""A wrapper that aligns a recommender with LLM profile embeddings.

    A subclass implements :meth:`align`, which sees the embeddings of the
    very propagation that the model's own loss used, or :meth:`step` where
    the alignment changes that propagation. Profile embeddings are
    read from the data; they are no parameters and not in the
    :obj:`state_dict`. A row of zeros is no profile, and a node without one
    has nothing to be aligned with, see
    :meth:`~pyg_darec.BipartiteGraph.profiled`.

    Args:
        model (torch.nn.Module): The model to wrap, whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        llm_dim (int): The width of the profile embeddings.
        weight (float): The weight of the alignment in the loss.
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on the aligner's own parameters. The model's own are its own
            matter, so that it is penalised alike with and without
            alignment. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float,
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__()
        check_count(llm_dim=llm_dim)
        check_weight(weight=weight, reg_weight=reg_weight)
        self.model = as_recommender(model, embed)
        _warn_of_overrides(self.model)
        caller(self.model)
        self.llm_dim = llm_dim
        self.weight = weight
        self.reg_weight = reg_weight

    @property
    def out_dim(self) -> int | None:  # type: ignore[override]
        return self.model.out_dim

    @property
    def in_dim(self) -> int | None:
        return self.model.in_dim

    @property
    def objective(self) -> Objective:
        r"""That of the wrapped model, which assigning changes."""
        return self.model.objective

    @objective.setter
    def objective(self, objective: Objective) -> None:
        self.model.objective = objective

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        r"""The weighted alignment terms of one step.

        Args:
            graph (BipartiteGraph): The training graph; its :obj:`llm_x` was
                checked.
            batch (tuple): Users, positive items and negative items.
            user (torch.Tensor): The user embeddings of the step.
            item (torch.Tensor): The item embeddings of the step.
        """
        return {}

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        return self.model.encode(graph)

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        self.check_profiles(graph)
        out = self.model.step(graph, batch)
        aligned = self.align(graph, batch, out.user, out.item)
        return Step(add_terms(out.terms, aligned), out.user, out.item)

    def unrewarded(self, graph: BipartiteGraph, batch: Batch) -> Step:
        r"""A step of the model for a method that applies the objective itself,
        to what it makes of the embeddings. The objective is left out where it
        can be told apart, and else is to be replaced.
        """
        if self.model.has_own_step:
            return self.model.step(graph, batch)
        user, item = self.model.encode(graph)
        return Step(self.model.auxiliary(graph, batch), user, item)

    def rewarded(
        self, graph: BipartiteGraph, batch: Batch, unrewarded: Step
    ) -> Step:
        r"""What :meth:`unrewarded` returned, with other embeddings, and the
        objective of these.
        """
        terms, user, item = unrewarded
        own = self.model.supervise(graph, user, item, batch)
        # That of a step that cannot be taken apart is replaced.
        is_own = self.model.has_own_step
        terms = {**terms, **own} if is_own else add_terms(terms, own)
        return Step(terms, user, item)

    def supervise(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        return self.model.supervise(graph, user, item, batch)

    def regularize(self, batch: Batch) -> dict[str, Tensor]:
        terms = self.model.regularize(batch)
        if self.reg_weight != 0:
            own = [
                param
                for name, param in self.named_parameters()
                if not name.startswith('model.')
            ]
            if own:
                penalty = self.reg_weight * l2_penalty(*own)
                terms = add_terms(terms, {'align_reg': penalty})
        return terms

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        self.model.renew(graph, epoch, step)

    @property
    def has_renew(self) -> bool:
        return type(self).renew is not Aligner.renew or self.model.has_renew

    def is_ready(self, epoch: int) -> bool:
        return self.model.is_ready(epoch)

    def reset_parameters(self) -> None:
        # A subclass with one of its own resets what it holds itself.
        if type(self).reset_parameters is Aligner.reset_parameters:
            check_resettable(self)
        for module in self.children():
            reset(module)

    def embedding_names(self) -> tuple[str, ...]:
        return tuple(f'model.{name}' for name in self.model.embedding_names())

    def has_items_first(self, graph: BipartiteGraph) -> bool:
        return self.model.has_items_first(graph)

    def check_profiles(self, graph: BipartiteGraph) -> None:
        r"""Raises a :class:`ValueError` if the graph lacks the profile
        embeddings of a node type or they are not :obj:`llm_dim` wide.
        """
        for kind in ('user', 'item'):
            if kind not in graph.llm_x:
                raise ValueError(
                    f"'{self.__class__.__name__}' needs profile embeddings "
                    f"of {kind}s: set data['{kind}'].llm_x or apply "
                    "'AttachProfileEmbeddings' (got none)"
                )
            self.check_width(graph, kind)

    def check_width(self, graph: BipartiteGraph, kind: str) -> None:
        r"""Raises a :class:`ValueError` if the profile embeddings of a node
        type are not :obj:`llm_dim` wide.
        """
        width = graph.llm_x[kind].size(1)
        if width != self.llm_dim:
            raise ValueError(
                f"'llm_dim' is {self.llm_dim} but the profile embeddings "
                f"of {kind}s, data['{kind}'].llm_x, have another width "
                f'(got {width})'
            )

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, llm_dim={self.llm_dim})'
        )


def _warn_of_overrides(model: Recommender) -> None:
    """What a model does there, it does without an aligner alone."""
    if isinstance(model, Wrapper):
        return
    own = [
        name
        for name in ('forward', 'loss', 'loss_terms')
        if getattr(type(model), name) is not getattr(Recommender, name)
    ]
    if own:
        warnings.warn(
            f"Aligners do not call {own} of '{type(model).__name__}', which "
            'are its own; what they change belongs into '
            "'encode', which makes embeddings, and 'step', 'auxiliary' or "
            "'regularize', which make the terms of the loss"
        )
