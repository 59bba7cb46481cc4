import warnings

from torch_geometric.data import HeteroData


def count_nodes(
    data: HeteroData, node_type: str, llm_attr: str | None = None
) -> int:
    r"""The number of nodes of a type, where PyG need not guess it.

    Args:
        data (HeteroData): The data.
        node_type (str): The node type.
        llm_attr (str, optional): A node attribute that tells it as well,
            which PyG does not know when it filters nodes.
            (default: :obj:`None`)

    Raises:
        ValueError: If there is no such type or its size is not known.
    """
    if node_type not in data.node_types:
        raise ValueError(
            f"'data' has no node type '{node_type}'; name one of its own, or "
            f"set data['{node_type}'].num_nodes (got {data.node_types})"
        )
    store, size = data[node_type], None
    if store.can_infer_num_nodes:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of what is an error here
            size = store.num_nodes
    elif llm_attr in store:
        size = len(store[llm_attr])
    if size is None:
        raise ValueError(
            f"The number of nodes of type '{node_type}' is not known; set "
            f"data['{node_type}'].num_nodes (got {list(store.keys())})"
        )
    return int(size)
