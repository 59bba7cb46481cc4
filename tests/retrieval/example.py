"""A model with given embeddings, on a small graph with ids and texts."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

RATES = ('user', 'rates', 'item')


class Fixed(torch.nn.Module):
    """A recommender whose embeddings are given."""

    def __init__(self, user: Tensor, item: Tensor) -> None:
        super().__init__()
        self.user, self.item = user, item

    def forward(self, data: object) -> tuple[Tensor, Tensor]:
        return self.user, self.item


def countdown() -> Fixed:
    """Item i has score i for each of three users."""
    return Fixed(torch.ones(3, 1), torch.arange(5.0).view(-1, 1))


def shop() -> HeteroData:
    """Users 0 and 1 have seen items, user 1 all of them."""
    data = HeteroData()
    data['user'].id = [7, 'seven', '8']
    data['user'].num_nodes = 3
    data['item'].id = ['a', 'b', 'ß', '茶', '🫖']
    data['item'].profile = ['Apron', 'Bowl', 'Süßes', '緑茶\nin leaves', 'Pot']
    data['item'].num_nodes = 5
    data[RATES].edge_index = torch.tensor(
        [[0, 0, 1, 1, 1, 1, 1], [4, 2, 0, 1, 2, 3, 4]]
    )
    data['item'].llm_x = torch.tensor(
        [[1.0, 0.0], [1.0, 0.1], [3.0, 0.0], [0.0, 1.0], [0.1, 1.0]]
    )
    data['user'].llm_x = torch.eye(3, 2)
    return data
