"""The graph of whatever holds the interactions, built once."""

import warnings
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary
from torch_geometric.data import HeteroData

from pyg_darec.changes import stamp
from pyg_darec.graph import BipartiteGraph
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.held_out import held_out_keys

# Conversions already made. An entry lives as long as its data and counts
# only while the values that it was made from are the ones in the data.
_GRAPHS = WeakIdKeyDictionary()


def as_graph(data: HeteroData | BipartiteGraph) -> BipartiteGraph:
    r"""The :class:`BipartiteGraph` of :obj:`data`, built on first sight and
    again only after an attribute was set or a tensor changed. Warns then of
    profiles that may tell what is held out.

    Raises:
        TypeError: If :obj:`data` is neither a
            :class:`~torch_geometric.data.HeteroData` nor a
            :class:`BipartiteGraph`.
    """
    if isinstance(data, BipartiteGraph):
        return data
    if not isinstance(data, HeteroData):
        raise TypeError(
            "'data' needs to be a 'HeteroData' or a 'BipartiteGraph' "
            f"(got '{type(data).__name__}')"
        )
    items = [item for store in data.stores for item in store.items()]
    key = [(name, _stamp(value)) for name, value in items]
    known = _GRAPHS.get(data)
    if known is None or known[0] != key:
        # Holding the values keeps their ids from being given to others.
        known = key, items, BipartiteGraph.from_data(data)
        _warn_of_other_profiles(data, known[2])
        _GRAPHS[data] = known
    graph: BipartiteGraph = known[2]
    return graph


def _warn_of_other_profiles(data: HeteroData, graph: BipartiteGraph) -> None:
    """Where a split that knows nothing of profiles came after them. They may
    as well be of an earlier day, which is fine: no more than a warning.
    """
    stamped = [t for t in graph.edge_type[::2] if PROFILE_SPLIT in data[t]]
    store = data[graph.edge_type]
    # 'RandomLinkSplit' has no other name for what it takes away. A sample of
    # the interactions has others as well, and nodes with numbers.
    held_out = any(
        store[key].numel() > 0 for key in held_out_keys(data, graph.edge_type)
    )
    is_sample = 'n_id' in data[graph.edge_type[0]]
    if not stamped or not held_out or is_sample:
        return  # spares the hash
    split = hash_split(graph)
    others = [t for t in stamped if data[t][PROFILE_SPLIT] != split]
    if others:
        warnings.warn(
            f'The profiles of {others} were made from other interactions than '
            "the training ones of 'data', and may tell those that are held "
            'out; split first, and then make profiles '
            f"(got data['{others[0]}'].{PROFILE_SPLIT})"
        )


def _stamp(value: Any) -> Any:
    """What differs once another value is put there, or a tensor changed."""
    if isinstance(value, int | str):
        return value
    return stamp(value) if isinstance(value, Tensor) else (id(value), None)
