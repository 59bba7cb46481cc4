"""Small data with known properties."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

RATES = ('user', 'rates', 'item')
METADATA = (['user', 'item'], [RATES, ('item', 'rev_rates', 'user')])


def random_data(
    num_users: int = 30,
    num_items: int = 20,
    num_edges: int = 150,
    llm_dim: int = 12,
    seed: int = 0,
) -> HeteroData:
    """Random interactions; the last user and the last item have none."""
    generator = torch.Generator().manual_seed(seed)

    def randint(high: int, size: int) -> Tensor:
        return torch.randint(max(high, 1), (size,), generator=generator)

    data = HeteroData()
    data['user'].num_nodes = num_users
    data['item'].num_nodes = num_items
    pairs = [randint(n - 1, num_edges) for n in (num_users, num_items)]
    data[RATES].edge_index = torch.stack(pairs).unique(dim=1)
    for split in ('val', 'test'):
        held_out = [randint(n, 15) for n in (num_users, num_items)]
        data[RATES][f'{split}_edge_label_index'] = torch.stack(held_out)
    for kind, size in (('user', num_users), ('item', num_items)):
        data[kind].llm_x = torch.randn(size, llm_dim, generator=generator)
    return data


def telling_data(llm_dim: int = 12, seed: int = 0) -> HeteroData:
    """30 users and 20 items of five tastes, which profiles tell and most
    interactions follow; otherwise as :func:`random_data`.
    """
    data = random_data(llm_dim=llm_dim, seed=seed)
    user, item = data[RATES].edge_index
    item = torch.where(user % 3 > 0, item - (item - user) % 5, item) % 20
    data[RATES].edge_index = torch.stack([user, item]).unique(dim=1)
    taste = torch.randn(5, llm_dim, generator=torch.Generator().manual_seed(1))
    for kind in ('user', 'item'):
        which = torch.arange(data[kind].num_nodes) % 5
        data[kind].llm_x = 3 * taste[which] + data[kind].llm_x
    return data


def random_batch(
    data: HeteroData, size: int = 40, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = [data[kind].num_nodes for kind in ('user', 'item', 'item')]
    user, pos, neg = (
        torch.randint(n, (size,), generator=generator) for n in sizes
    )
    return user, pos, neg


def block_data(
    num_blocks: int = 4, num_users: int = 6, num_items: int = 8
) -> HeteroData:
    """Users like all items of their own block and no other; two of them,
    another two for each user, are held out. The right ranking puts these two
    first: they are all that a user of the block has not seen.
    """
    train, test = [], []
    for block in range(num_blocks):
        for u in range(num_users):
            user = block * num_users + u
            for i in range(num_items):
                item = block * num_items + i
                held_out = i in (u % num_items, (u + 3) % num_items)
                (test if held_out else train).append((user, item))
    data = HeteroData()
    data['user'].num_nodes = num_blocks * num_users
    data['item'].num_nodes = num_blocks * num_items
    data[RATES].edge_index = torch.tensor(train).t()
    data[RATES].val_edge_label_index = torch.tensor(test).t()
    data[RATES].test_edge_label_index = torch.tensor(test).t()
    for kind, size in (('user', num_users), ('item', num_items)):
        block_of = torch.arange(data[kind].num_nodes) // size
        data[kind].llm_x = torch.eye(num_blocks).repeat(1, 3)[block_of]
    return data
