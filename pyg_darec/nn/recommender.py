"""The surface that every model of the library shows."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import describe
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.objectives import BPR, Objective


class Step(NamedTuple):
    """What one propagation of a model yields: the weighted loss terms by
    name, and the embeddings that they came from, so that an aligner need not
    propagate a second time.
    """

    terms: dict[str, Tensor]
    user: Tensor
    item: Tensor


def add_terms(
    first: dict[str, Tensor], second: dict[str, Tensor]
) -> dict[str, Tensor]:
    r"""The terms of both; those of one name are added up, so that none is
    lost where parts of a model or aligners around each other share one.
    """
    twice = first.keys() & second.keys()
    sums = {name: first[name] + second[name] for name in twice}
    return {**first, **second, **sums}


class Recommender(Module, ABC):
    r"""A model that embeds users and items and is scored by inner product.

    Backbones, aligners and adapted foreign models all show this surface;
    training and evaluation know nothing else. A subclass implements
    :meth:`encode`, and :meth:`auxiliary` where its loss is more than the
    :attr:`objective`.
    """

    out_dim: int | None = None
    """Width of the embeddings, where it is known before the first step."""

    @property
    def in_dim(self) -> int | None:
        r"""Width of the input embeddings, or of the embeddings if the model
        keeps no tables of them, where it is known before the first step.
        """
        names = self.embedding_names()
        return self.get_parameter(names[0]).size(1) if names else self.out_dim

    _objective: Objective = BPR()

    @property
    def objective(self) -> Objective:
        r"""What rewards interactions in the loss; assign another of
        :mod:`pyg_darec.nn.objectives` to any model.

        Raises:
            TypeError: If what is assigned is no
                :class:`~pyg_darec.nn.objectives.Objective`.
        """
        return self._objective

    @objective.setter
    def objective(self, objective: Objective) -> None:
        if not isinstance(objective, Objective):
            raise TypeError(
                "'objective' needs to be an 'Objective', such as "
                f"'SampledSoftmax()' (got {objective!r})"
            )
        self.check_objective(objective)
        self._objective = objective

    def check_objective(self, objective: Objective) -> None:
        r"""Raises or warns where a model has no use for an :attr:`objective`
        that is assigned; does nothing by default.
        """

    @abstractmethod
    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        r"""User and item embeddings; deterministic in evaluation mode."""

    @abstractmethod
    def reset_parameters(self) -> None:
        r"""Resets all learnable parameters of the module."""

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        r"""One propagation, the loss terms of :obj:`batch` on it, and its
        embeddings. The hook under :meth:`loss` that aligners build on.
        """
        user, item = self.encode(graph)
        terms = self.supervise(graph, user, item, batch)
        terms = add_terms(terms, self.auxiliary(graph, batch))
        return Step(terms, user, item)

    @property
    def has_own_step(self) -> bool:
        r"""Whether :meth:`step` may be more than a propagation, the objective
        and the auxiliary terms; if it is overridden, by default. A model whose
        step is no more, but shares a propagation among them, says so: aligners
        that go into a model can then take them apart.
        """
        return type(self).step is not Recommender.step

    def supervise(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        r"""The term of the :attr:`objective`, by its name."""
        loss = self.objective(graph, user, item, batch)
        return {self.objective.name: loss}

    def auxiliary(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        r"""Weighted loss terms beside the objective that spread embeddings
        out, such as a contrast between two views; none by default. Where an
        aligner adds to the embeddings of a model, these terms are those of
        the model's own embeddings, and what was added is left alone.
        """
        return {}

    def regularize(self, batch: Batch) -> dict[str, Tensor]:
        r"""Weighted loss terms that depend on parameters alone; none by
        default.
        """
        return {}

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        r"""Called before every training step, for state that a method
        renews per epoch or every few steps; does nothing by default.

        Args:
            graph (BipartiteGraph): The training graph.
            epoch (int): The epoch, from 1.
            step (int): The step within the epoch, from 0.
        """

    @property
    def has_renew(self) -> bool:
        r"""Whether :meth:`renew` may do something."""
        return type(self).renew is not Recommender.renew

    def is_ready(self, epoch: int) -> bool:
        r"""Whether the model can be judged after this epoch;
        :func:`~pyg_darec.train.fit` evaluates it only then. Always, by
        default: a method whose first epochs train something else says so.
        """
        return True

    def forward(
        self, data: HeteroData | BipartiteGraph
    ) -> tuple[Tensor, Tensor]:
        r"""Returns the user embeddings :math:`(U, d)` and the item
        embeddings :math:`(I, d)` that are scored.
        """
        return self.encode(self._graph(data))

    def loss(
        self, data: HeteroData | BipartiteGraph, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        r"""Returns the training loss and the detached, weighted terms that
        it is the sum of.

        Args:
            data (HeteroData or BipartiteGraph): The training interactions.
            batch (tuple): Users, positive items and negative items: three
                index tensors :math:`(B)`. An empty batch rewards nothing.

        Raises:
            ValueError: If the three tensors differ in length, are no vectors,
                hold no indices or, on a CPU, negative ones, or a term of the
                loss is not one number.
        """
        _check_batch(batch)
        graph = self._graph(data)
        user, pos, neg = (x.to(graph.device, torch.long) for x in batch)
        terms = self.loss_terms(graph, (user, pos, neg))
        self._check_terms(terms)
        loss = torch.stack(list(terms.values())).sum()
        return loss, {name: term.detach() for name, term in terms.items()}

    def loss_terms(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        r"""The weighted terms that the training loss is the sum of."""
        return add_terms(self.step(graph, batch).terms, self.regularize(batch))

    def _check_terms(self, terms: dict[str, Tensor]) -> None:
        for name, term in terms.items():
            if not isinstance(term, Tensor) or term.dim() > 0:
                raise ValueError(
                    f"'{name}' of '{type(self).__name__}' needs to be a term "
                    'of the loss, a tensor of one number without dimensions, '
                    f'such as a mean over the batch (got {describe(term)})'
                )

    def _graph(self, data: HeteroData | BipartiteGraph) -> BipartiteGraph:
        # Training may have left the model on another device than the data.
        device = next((p.device for p in self.parameters()), None)
        graph = as_graph(data)
        return graph if device is None else graph.to(device)

    def embedding_names(self) -> tuple[str, ...]:
        r"""Names of the parameters that hold input embeddings: one of users
        and one of items, or a single one of users followed by items.
        """
        return ()

    def has_items_first(self, graph: BipartiteGraph) -> bool:
        r"""Whether what :meth:`embedding_names` names holds items before
        users, where sizes and names do not tell; never, by default.
        """
        return False


def _check_batch(batch: Batch) -> None:
    if not all(isinstance(index, Tensor) for index in batch):
        kinds = [type(index).__name__ for index in batch]
        raise ValueError(
            "'batch' needs three index tensors: users, positive items, "
            f'negative items (got {kinds})'
        )
    shapes = [tuple(index.shape) for index in batch]
    if len(shapes) != 3 or shapes != [(batch[0].numel(),)] * 3:
        raise ValueError(
            "'batch' needs three index tensors of equal length: users, "
            f'positive items, negative items (got shapes {shapes})'
        )
    for index in batch:
        if index.is_floating_point() or index.dtype == torch.bool:
            raise ValueError(
                f"'batch' needs tensors of indices (got {index.dtype})"
            )
        # The host would wait for a GPU to tell.
        is_known = index.is_cpu and not torch.compiler.is_compiling()
        if is_known and index.numel() > 0 and index.min() < 0:
            raise ValueError(
                "'batch' needs indices of at least 0, as others count "
                f'from the end (got {int(index.min())})'
            )
