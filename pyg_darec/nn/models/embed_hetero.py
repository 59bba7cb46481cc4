"""Models called on dictionaries of features and of edges, by type."""

import inspect
import re
import warnings
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData
from torch_geometric.nn import MessagePassing

from pyg_darec.graph import BipartiteGraph, EdgeType

HELP = (
    'pass embed=callable(model, data) -> (user, item), which returns the '
    'embeddings of all users and of all items'
)

_CHECKED: WeakSet[BipartiteGraph] = WeakSet()


def check_edge_dim(model: Module) -> None:
    r"""Raises a :class:`TypeError` if a layer reads edge attributes."""
    for name, conv in model.named_modules():
        width = getattr(conv, 'edge_dim', None)
        if isinstance(conv, MessagePassing) and width is not None:
            raise TypeError(
                f"'{name}' of '{type(model).__name__}' reads edge attributes, "
                f'which are not passed; {HELP} (got edge_dim={width})'
            )


def _edge_inputs(model: Module) -> list[str]:
    """The attributes of edges that a model takes where they are passed."""
    if isinstance(model, torch.fx.GraphModule):
        inputs = (n for n in model.graph.nodes if n.op == 'placeholder')
        # PyG's own models have all of them, of whatever layers.
        names = [n.target for n in inputs if _reaches_conv(model, n)]
    else:
        names = list(inspect.signature(model.forward).parameters)
    prefixes = 'edge_attr', 'edge_weight'
    return [x for x in prefixes if any(n.startswith(x) for n in names)]


def _reaches_conv(model: Module, node: torch.fx.Node) -> bool:
    return any(
        isinstance(model.get_submodule(str(user.target)), MessagePassing)
        if user.op == 'call_module'
        else _reaches_conv(model, user)
        for user in node.users
    )


def _relations(model: Module) -> set[tuple[str, ...]]:
    """The relations that parts of a model are named after by PyG."""
    names = [
        name for path, _ in model.named_modules() for name in path.split('.')
    ]
    parts = [re.split('_{2,3}', name.strip('<>')) for name in names]
    return {tuple(part) for part in parts if len(part) == 3}


def _check_name(
    model: Module, reverse: EdgeType, known: set[tuple[str, ...]]
) -> None:
    others = [r for r in known if r[::2] == reverse[::2]]
    if others and reverse not in known:
        warnings.warn(
            f"'{type(model).__name__}' gets the training interactions in "
            f'reverse as {reverse}, and has no part for them; make it with '
            f'that relation, unless they are not to be used (got {others})'
        )


class EmbedHetero:
    """Calls a heterogeneous model on features and edges by type."""

    def __init__(self, model: Module) -> None:
        # Found once: reading a signature takes longer than a small step.
        self.edge_inputs = _edge_inputs(model)
        self.relations = _relations(model)
        self.is_named = False

    def __call__(self, model: Module, graph: BipartiteGraph) -> Any:
        (src, rel, dst), source = graph.edge_type, graph.source or HeteroData()
        x_dict = source.collect('x', True)
        for node_type in (src, dst):
            if node_type not in x_dict:
                raise TypeError(
                    f"'{type(model).__name__}' reads data['{node_type}'].x, "
                    f'which is not there; set it, or {HELP}'
                )
        for name in self.edge_inputs:
            if found := list(source.collect(name, True)):
                raise TypeError(
                    f"'{type(model).__name__}' takes '{name}', which the data "
                    f'has and which is not passed; {HELP} (got it of {found})'
                )
        # The reverse direction is made from training interactions whatever
        # the data has under its name: one stored before a split leaks
        # held-out ones.
        reverse = dst, f'rev_{rel}', src
        if not self.is_named and not torch.compiler.is_compiling():
            _check_name(model, reverse, self.relations)
            self.is_named = True
        edge_index_dict = source.collect('edge_index', True)
        if reverse in edge_index_dict and not torch.compiler.is_compiling():
            _check_reverse(graph, reverse, edge_index_dict)
        edge_index_dict |= {
            (src, rel, dst): graph.edge_index,
            reverse: graph.edge_index.flip(0),
        }
        return model(x_dict, edge_index_dict)


def _check_reverse(
    graph: BipartiteGraph,
    reverse: EdgeType,
    edge_index_dict: dict[EdgeType, Tensor],
) -> None:
    """Warns of neighbours that are lost, as of those that were sampled in one
    direction only.
    """
    if graph in _CHECKED:
        return
    _CHECKED.add(graph)
    item, user = edge_index_dict[reverse]
    key = user * graph.num_items + item
    user, item = edge_index_dict[graph.edge_type]
    forward = user * graph.num_items + item
    # Batches of both directions are new in every step: two sums are fast.
    if len(key) == len(forward) and int(key.sum()) == int(forward.sum()):
        return
    pairs = graph.edge_label_index.values()
    held_out = [user * graph.num_items + item for user, item in pairs]
    lost = ~torch.isin(key, torch.cat([forward, *held_out]))
    if bool(lost.any()):
        warnings.warn(
            f'The edges of {reverse} are replaced by those of '
            f'{graph.edge_type} in reverse, as they may be held-out ones; '
            "sample with subgraph_type='bidirectional', or pass "
            "'embed=callable(model, data) -> (user, item)' to use them (got "
            f'{int(lost.sum())} of {lost.numel()} that are not in the other '
            'direction)'
        )
