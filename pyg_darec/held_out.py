"""Where the pairs of splits are in a graph."""

from torch_geometric.data import HeteroData

from pyg_darec.graph import EdgeType

# How the pairs of a split are called, after its name and '_'.
LABEL_INDEX = 'edge_label_index'


def held_out_keys(data: HeteroData, edge_type: EdgeType) -> list[str]:
    r"""What the pairs of the splits of a relation are called there."""
    return [k for k in data[edge_type] if k.endswith(LABEL_INDEX)]
