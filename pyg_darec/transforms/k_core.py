import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_darec.checks import as_count
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.held_out import held_out_keys
from pyg_darec.transforms.keep_nodes import keep_nodes
from pyg_darec.transforms.relation import (
    check_hetero,
    check_relation,
    check_two_types,
    list_options,
)


@functional_transform('k_core')
class KCore(BaseTransform):
    r"""Removes users and items with fewer than :math:`k` interactions until
    none is left (functional name: :obj:`k_core`).

    What remains is the largest subgraph in which every user and every item
    has at least :math:`k` distinct partners. Nodes are numbered anew in the
    same order. Attributes with one value per node or per interaction, as a
    tensor, an array or a list, are reduced with them, and so are the other
    relations of the two node types.

    Args:
        k (int or tuple): The least number of interactions of a user and of
            an item, or one number for each of the two.
        edge_type (tuple, optional): The relation that is counted.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If :obj:`k` is not positive, nothing is left, both sides
            are of one type, a relation of theirs is a sparse matrix, or the
            interactions are split already.
    """

    def __init__(
        self, k: int | tuple[int, int], edge_type: EdgeType = EDGE_TYPE
    ) -> None:
        self.k = tuple(k) if isinstance(k, tuple | list) else (k, k)
        if len(self.k) != 2 or min(map(as_count, self.k)) < 1:
            raise ValueError(
                "'k' needs to be a positive number, or one for users and one "
                f'for items (got {k})'
            )
        self.edge_type = edge_type

    def forward(self, data: HeteroData) -> HeteroData:
        check_hetero(data, self.__class__.__name__)
        check_two_types(self.edge_type, self.__class__.__name__)
        sizes = check_relation(data, self.edge_type)
        held_out = held_out_keys(data, self.edge_type)
        if held_out:
            raise ValueError(
                f'{self.edge_type} is split, and held-out pairs would keep '
                f"the old numbering; apply '{self.__class__.__name__}' before "
                f"'SplitInteractions' (got {held_out})"
            )
        keep_user, keep_item = self._core(
            data[self.edge_type].edge_index.long(), sizes
        )
        if not keep_user.any():
            raise ValueError(
                f'No user and no item of {self.edge_type} has enough '
                f"interactions; lower 'k' (got {self.k})"
            )
        keep = {self.edge_type[0]: keep_user, self.edge_type[2]: keep_item}
        keep_nodes(data, keep)
        return data

    def _core(
        self, edge_index: Tensor, sizes: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Masks of the users and items that remain."""
        # A repeated interaction is no second partner.
        pair = torch.unique(edge_index[0] * sizes[1] + edge_index[1])
        ends = [pair // sizes[1], pair % sizes[1]]
        while True:
            keep = [
                torch.bincount(end, minlength=size) >= k
                for end, size, k in zip(ends, sizes, self.k, strict=True)
            ]
            edge = keep[0][ends[0]] & keep[1][ends[1]]
            if edge.all():
                return keep[0], keep[1]
            ends = [end[edge] for end in ends]

    def __repr__(self) -> str:
        k = self.k[0] if self.k[0] == self.k[1] else self.k
        args = [str(k), *list_options(self, KCore, ['edge_type'])]
        return f'{self.__class__.__name__}({", ".join(args)})'
