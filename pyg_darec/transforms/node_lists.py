"""Lists with one value per node."""

from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.count_nodes import count_nodes


def node_texts(data: HeteroData, node_type: str, attr: str) -> list[str]:
    r"""The texts of the nodes.

    Raises:
        ValueError: If there is not one per node.
    """
    texts, num_nodes = data[node_type][attr], count_nodes(data, node_type)
    if not isinstance(texts, list | tuple) or len(texts) != num_nodes:
        got = len(texts) if isinstance(texts, list | tuple) else type(texts)
        raise ValueError(
            f"'{attr}' of node type '{node_type}' needs to be a list of "
            f'{num_nodes} texts, one per node (got {got})'
        )
    return list(texts)


def node_ids(
    data: HeteroData, node_type: str, attr: str, where: str
) -> list[Any]:
    r"""The ids of the nodes.

    Args:
        data (HeteroData): The graph.
        node_type (str): The type of the nodes.
        attr (str): The attribute that holds the ids.
        where (str): What is matched by them, for error messages.

    Raises:
        ValueError: If there is not one per node.
    """
    ids, num_nodes = data[node_type].get(attr), count_nodes(data, node_type)
    if ids is None:
        raise ValueError(
            f'{where} is matched by id, and the nodes have none; set '
            f"data['{node_type}'].{attr} (got {list(data[node_type].keys())})"
        )
    ids = ids.tolist() if isinstance(ids, Tensor | np.ndarray) else ids
    if len(ids) != num_nodes:
        raise ValueError(
            f"'{attr}' of node type '{node_type}' needs one id per node (got "
            f'{len(ids)} ids for {num_nodes} nodes)'
        )
    return list(ids)
