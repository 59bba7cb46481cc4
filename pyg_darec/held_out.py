"""Where the pairs of splits are in a graph."""

from typing import Any

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.storage import EdgeStorage

# How the pairs of a split are called, after its name and '_'.
LABEL_INDEX = 'edge_label_index'


def held_out_keys(
    data: HeteroData, edge_type: tuple[str, str, str]
) -> list[str]:
    r"""What the pairs of the splits of a relation are called there."""
    return [k for k in data[edge_type] if k.endswith(LABEL_INDEX)]


def positive_pairs(store: EdgeStorage, key: str) -> Any:
    r"""The pairs that are called :obj:`key` in a relation, without the
    negative samples that PyG's splits mark by a label of 0.

    Raises:
        ValueError: If there is not one label per pair.
    """
    index, name = store[key], key.removesuffix('_index')
    label = store.get(name)
    is_matrix = isinstance(index, Tensor) and index.dim() == 2
    if label is None or not is_matrix:
        return index
    if not isinstance(label, Tensor) or label.shape != index.shape[1:]:
        got = tuple(label.shape) if isinstance(label, Tensor) else type(label)
        raise ValueError(
            f"'{name}' needs a label for each of the {index.size(1)} pairs of "
            f"'{key}', 0 for a negative sample (got {got})"
        )
    return index[:, label > 0]
