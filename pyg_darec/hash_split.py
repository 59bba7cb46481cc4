import hashlib

from torch_geometric.data import HeteroData

from pyg_darec.graph import EDGE_TYPE, BipartiteGraph, EdgeType

# The attribute of nodes whose profiles were made from interactions: the hash
# of these. A split that comes later would hold out what the profiles tell.
PROFILE_SPLIT = 'profile_split'


def hash_split(
    data: HeteroData | BipartiteGraph, edge_type: EdgeType = EDGE_TYPE
) -> str:
    r"""Identifies the training interactions of a graph, in any order and
    with any duplicates: SHA-256 over the numbers of users and items and the
    sorted pairs.

    Args:
        data (HeteroData or BipartiteGraph): The graph.
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
    """
    if isinstance(data, BipartiteGraph):
        graph = data
    else:
        graph = BipartiteGraph.from_data(data, edge_type)
    out = hashlib.sha256(f'{graph.num_users},{graph.num_items};'.encode())
    out.update(graph.edge_index.cpu().numpy().astype('<i8').tobytes())
    return out.hexdigest()
