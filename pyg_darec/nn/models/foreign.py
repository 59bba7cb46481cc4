"""Models that were not written for this library."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, LightGCN

from pyg_darec.checks import check_scored
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.models.embed_hetero import (
    HELP,
    EmbedHetero,
    check_edge_dim,
)
from pyg_darec.nn.models.embed_homogeneous import embed_homogeneous
from pyg_darec.nn.models.embed_source import (
    Embed,
    EmbedSource,
    call_model,
    source_of,
)
from pyg_darec.nn.models.item_order import find_order
from pyg_darec.nn.models.unwrapped import unwrapped
from pyg_darec.nn.objectives import Objective
from pyg_darec.nn.recommender import Recommender, Step
from pyg_darec.nn.reset import reset
from pyg_darec.nn.wrapper import Wrapper


class ForeignModel(Wrapper):
    r"""Gives any module the surface of a :class:`Recommender`, without
    touching its code. :func:`as_recommender` makes it. A module with a
    :obj:`loss(data, batch)` of its own is trained with that and no
    :obj:`objective`.

    Args:
        model (torch.nn.Module): The module.
        embed (callable): Takes the module and the data and returns the
            embeddings of all users and all items. The data is the
            :class:`~torch_geometric.data.HeteroData` that was passed where
            there was one, else the :class:`~pyg_darec.BipartiteGraph`.
        out_dim (int, optional): The width of the embeddings, :obj:`None` to
            find out in the first step. (default: :obj:`None`)
    """

    # Not known yet; that of the code, so that no weights change it.
    _has_items_first: bool | None = None

    def __init__(
        self, model: Module, embed: Embed, out_dim: int | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.embed = embed
        self.out_dim = out_dim
        # Asked once: reading a signature takes longer than a small step.
        own: Any = getattr(model, 'loss', None)
        self._has_loss = callable(own) and _required(own) == ['data', 'batch']
        if callable(own) and not self._has_loss:
            warnings.warn(
                f"'{type(model).__name__}.loss' is not used, and the "
                "'objective' is: a loss of one's own is called as loss(data, "
                f'batch) (got loss({", ".join(_required(own))}))'
            )

    def check_objective(self, objective: Objective) -> None:
        if self._has_loss:
            warnings.warn(
                f"'{type(self.model).__name__}' has a loss(data, batch) of "
                "its own, which stays; the 'objective' is used only by "
                'aligners that apply one to what they make of its output '
                f'(got {objective!r})'
            )

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        out: Any = self.embed(self.model, graph)
        src, _, dst = graph.edge_type
        if isinstance(out, dict) and {src, dst} <= set(out):
            out = out[src], out[dst]
        is_pair = isinstance(out, tuple | list) and len(out) == 2
        if not is_pair or not all(isinstance(x, Tensor) for x in out):
            raise TypeError(
                f"'{type(self.model).__name__}' needs to give a pair (user, "
                f"item) of embeddings or a dictionary with '{src}' and "
                f"'{dst}'; {HELP} (got {_describe(out)})"
            )
        user, item = out
        check_scored(user, item, graph.num_users, graph.num_items)
        return user, item

    @property
    def has_own_step(self) -> bool:
        return self._has_loss

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        if not self._has_loss:
            return super().step(graph, batch)
        # A loss of its own does not tell which embeddings it used, so that
        # this propagates twice.
        loss, _ = self._own_loss(graph, batch)
        user, item = self.encode(graph)
        return Step({'base': loss}, user, item)

    def loss(
        self, data: HeteroData | BipartiteGraph, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if not self._has_loss:
            return super().loss(data, batch)
        graph = self._graph(data)
        user, pos, neg = (index.to(graph.device) for index in batch)
        return self._own_loss(graph, (user, pos, neg))

    def _own_loss(
        self, graph: BipartiteGraph, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """A loss and its terms, whether a model returns both or only one."""
        model: Any = self.model
        out = model.loss(source_of(graph), batch)
        loss, terms = (out, None) if isinstance(out, Tensor) else _pair(out)
        if not isinstance(loss, Tensor) or not isinstance(terms, dict | None):
            raise TypeError(
                f"'{type(model).__name__}.loss' needs to return the loss, or "
                'the loss and a dictionary of its terms (got '
                f"'{type(out).__name__}')"
            )
        if loss.numel() != 1:
            raise ValueError(
                f"'{type(model).__name__}.loss' needs to give one number "
                f'(got a loss of shape {tuple(loss.shape)})'
            )
        loss = loss.reshape(())
        # Plain numbers are as good, and 'loss' is the name of the total.
        shown = {
            name: torch.as_tensor(value).detach().to(loss).mean()
            for name, value in (terms or {}).items()
            if name != 'loss' and value is not None
        }
        return loss, shown or {'base': loss.detach()}

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        if self.has_renew:
            source = source_of(self._graph(graph))
            renew: Any = self.model.renew
            renew(source, epoch, step)

    @property
    def has_renew(self) -> bool:
        return callable(getattr(self.model, 'renew', None))

    def reset_parameters(self) -> None:
        reset(self.model)

    @property
    def in_dim(self) -> int | None:
        # Whether its tables are inputs of users and items, and not of
        # something else, is seen with the first graph.
        width = super().in_dim
        return width if width == self.out_dim else None

    def embedding_names(self) -> tuple[str, ...]:
        tables = {
            f'{name}.weight': module
            for name, module in self.named_modules()
            if isinstance(module, torch.nn.Embedding)
            # No biases, and none that is made of others, as by a weight norm.
            and module.embedding_dim > 1
            and 'weight' in module._parameters
        }
        # A lookup changes rows that are too long in place, which what takes
        # the place of a table cannot have.
        is_fixed = all(x.max_norm is None for x in tables.values())
        return tuple(tables) if len(tables) <= 2 and is_fixed else ()

    def has_items_first(self, graph: BipartiteGraph) -> bool:
        if self.embed is embed_homogeneous:
            return False
        if self._has_items_first is None:
            self._has_items_first = find_order(self, graph)
        return self._has_items_first

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}({type(self.model).__name__})'


def as_recommender(model: Module, embed: Embed | None = None) -> Recommender:
    r"""Gives :obj:`model` the surface of a
    :class:`~pyg_darec.nn.recommender.Recommender`. It takes

    * a backbone or aligner of this library, returned as it is;
    * any module together with :obj:`embed`;
    * a homogeneous model with
      :obj:`get_embedding(edge_index)`, such as
      :class:`torch_geometric.nn.LightGCN`, its nodes being users followed by
      items;
    * a heterogeneous model called as
      :obj:`model(x_dict, edge_index_dict)` that returns a dictionary of
      embeddings by node type, such as one made by
      :func:`torch_geometric.nn.to_hetero`; it reads :obj:`data[type].x`;
    * a module called as :obj:`model(data)` that returns the pair itself, or
      such a dictionary;
    * one of these inside :func:`torch.compile`,
      :class:`~torch.nn.DataParallel`,
      :class:`~torch.nn.parallel.DistributedDataParallel` or
      :class:`~torch.optim.swa_utils.AveragedModel`. As a rule, what
      is inside is called then, past what compiles or distributes it: for
      speed, pass :obj:`compile` or :obj:`devices` to
      :func:`~pyg_darec.train.fit`.

    A module without a :obj:`loss(data, batch)`, which returns the loss or the
    loss and its terms, is trained with the :obj:`objective` of what is
    returned here, BPR by default.

    Args:
        model (torch.nn.Module): The model.
        embed (callable, optional): A function of the model and the data that
            returns embeddings of users :math:`(U, d)` and of items
            :math:`(I, d)`. (default: :obj:`None`)

    Raises:
        TypeError: If :obj:`model` is none of these.
    """
    if not isinstance(model, Module):
        raise TypeError(
            "'model' needs to be a 'torch.nn.Module' "
            f"(got '{type(model).__name__}')"
        )
    if embed is not None:
        return ForeignModel(model, EmbedSource(embed))
    inner = unwrapped(model)
    if isinstance(inner, Recommender):
        return inner
    get: Any = getattr(model, 'get_embedding', None)
    if get is not None and _required(get) == ['edge_index']:
        # That of others may be of layers side by side.
        is_known = getattr(get, '__func__', None) is LightGCN.get_embedding
        width: Any = model.embedding_dim if is_known else None
        return ForeignModel(model, embed_homogeneous, width)
    names = _required(model.forward)
    is_traced = isinstance(model, torch.fx.GraphModule) and len(names) <= 2
    is_hetero = isinstance(model, HeteroConv) or is_traced
    if is_hetero:
        check_edge_dim(model)
    if is_hetero or names == ['x_dict', 'edge_index_dict']:
        return ForeignModel(model, EmbedHetero(model))
    if names == ['data']:
        return ForeignModel(model, EmbedSource(call_model))
    if inner is not model:
        return as_recommender(inner)
    raise TypeError(
        f"'{type(model).__name__}' cannot be wrapped as it is; {HELP} "
        f'(got forward({", ".join(names)}))'
    )


def _required(function: Callable[..., Any]) -> list[str]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of one that is built in, such as 'logsigmoid'
        return []
    return [
        name
        for name, param in signature.parameters.items()
        if param.default is param.empty
        and param.kind not in (param.VAR_POSITIONAL, param.VAR_KEYWORD)
    ]


def _pair(out: Any) -> tuple[Any, Any]:
    is_pair = isinstance(out, tuple | list) and len(out) == 2
    return (out[0], out[1]) if is_pair else (None, None)


def _describe(out: Any) -> str:
    return str(list(out)) if isinstance(out, dict) else type(out).__name__
