"""The parameters that hold the input embeddings of any model."""

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

import torch
from torch import Tensor

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.recommender import Recommender


class InputTables(NamedTuple):
    """The parameters that hold the input embeddings of users and items."""

    by_name: dict[str, Tensor]  # of users and of items, or a single one
    has_items_first: bool  # in a single one


def input_tables(
    model: Recommender, graph: BipartiteGraph
) -> InputTables | None:
    r"""The parameters that hold the input embeddings of users and items: a
    table of each, of one width, or one of both. :obj:`None` if the model has
    no such tables for :obj:`graph`, as for a sample of the nodes, which may be
    all of them in another order.
    """
    if _is_renumbered(graph):
        return None
    # No parameters where an aligner around this one replaced them.
    tables: dict[str, Tensor] = {
        name: attrgetter(name)(model) for name in model.embedding_names()
    }
    found = list(tables.values())
    sizes = [x.size(0) for x in found]
    wanted = [graph.num_users, graph.num_items]
    if sizes not in (wanted, wanted[::-1], [graph.num_nodes]):
        return None
    is_tied = len(found) == 2 and found[0] is found[1]
    is_even = found[0].size(1) == found[-1].size(1)
    if is_tied or not is_even:
        return None
    if len(found) == 2 and wanted != wanted[::-1]:  # sizes tell
        is_flipped = sizes != wanted
    else:
        is_flipped = _is_flipped(model, graph, tables)
    if is_flipped:
        tables = dict(reversed(tables.items()))
    return InputTables(tables, is_flipped)


def _is_renumbered(graph: BipartiteGraph) -> bool:
    """Whether nodes have other numbers than all of them have, which loaders
    of PyG keep as 'n_id'.
    """
    if graph.source is None or torch.compiler.is_compiling():
        return False
    ids = [graph.source[kind].get('n_id') for kind in graph.edge_type[::2]]
    return any(
        isinstance(x, Tensor)
        and not x.is_meta
        and not torch.arange(x.numel(), device=x.device).equal(x)
        for x in ids
    )


def _is_flipped(
    model: Recommender, graph: BipartiteGraph, names: Iterable[str]
) -> bool:
    """Where sizes do not tell whether items come first."""
    parts = [name.lower() for name in names]
    if len(parts) == 2:
        items, users = (
            first in parts[0] and second in parts[1]
            for first, second in (('item', 'user'), ('user', 'item'))
        )
        if items != users:  # neither or both say nothing
            return items
    return model.has_items_first(graph)


def split_tables(
    graph: BipartiteGraph, tables: InputTables
) -> tuple[Tensor, Tensor]:
    r"""The rows of users and of items in :func:`input_tables`."""
    first, *rest = tables.by_name.values()
    if rest:
        return first, rest[0]
    if tables.has_items_first:
        item, user = first.split([graph.num_items, graph.num_users])
    else:
        user, item = first.split([graph.num_users, graph.num_items])
    return user, item


def by_table(
    tables: InputTables, pair: tuple[Tensor, Tensor]
) -> tuple[Tensor, ...]:
    r"""What belongs to the rows of users and of items, as
    :func:`input_tables` have them.
    """
    if len(tables.by_name) == 2:
        return pair
    user, item = pair
    return (torch.cat((item, user) if tables.has_items_first else pair),)


def join_tables(
    tables: InputTables, pair: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    r"""The rows of users and of items, in place of :func:`input_tables` and
    of their dtype.
    """
    parts = by_table(tables, pair)
    return {
        name: part.to(table.dtype)
        for (name, table), part in zip(
            tables.by_name.items(), parts, strict=True
        )
    }
