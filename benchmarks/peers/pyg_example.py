"""PyG's ``LightGCN`` as ``examples/lightgcn.py`` of PyG uses it: the whole
propagation on a COO index in every step, random items as negatives (which may
be positives), Adam, a penalty on the nodes of the batch, and an evaluation that
marks training and held-out pairs in dense matrices.
"""

from typing import Any

import torch
import torch_geometric
from protocol import Contender, serve
from split import Split
from torch import Tensor
from torch_geometric.nn import LightGCN
from torch_geometric.utils import degree, to_undirected


class Example(Contender):
    def __init__(
        self, name: str, split: Split, settings: dict[str, Any]
    ) -> None:
        torch.manual_seed(settings['seed'])
        self.num_users = split.num_users
        self.num_nodes = split.num_users + split.num_items
        offset = torch.tensor([[0], [split.num_users]])
        self.pairs = torch.from_numpy(split.train) + offset
        self.test = torch.from_numpy(split.test) + offset
        self.edge_index = to_undirected(self.pairs, num_nodes=self.num_nodes)
        self.batch_size = settings['batch']
        self.model = LightGCN(
            self.num_nodes, settings['dim'], settings['layers']
        )
        self.adam = torch.optim.Adam(self.model.parameters(), lr=settings['lr'])
        self.loader = torch.utils.data.DataLoader(
            range(self.pairs.size(1)), self.batch_size, shuffle=True
        )
        self.index = next(iter(self.loader))

    def step(self, index: Tensor | None = None) -> float:
        pos = self.pairs[:, self.index if index is None else index]
        item = torch.randint(self.num_users, self.num_nodes, pos[0].shape)
        pairs = torch.cat([pos, torch.stack([pos[0], item])], dim=1)
        self.adam.zero_grad()
        high, low = self.model(self.edge_index, pairs).chunk(2)
        loss = self.model.recommendation_loss(high, low, node_id=pairs.unique())
        loss.backward()
        self.adam.step()
        return float(loss.detach()) * high.numel()

    def epoch(self) -> None:
        sum(self.step(index) for index in self.loader)

    @torch.no_grad()
    def propagate(self) -> Tensor:
        return self.model.get_embedding(self.edge_index)

    def embed(self) -> tuple[Any, Any]:
        user, item = self.propagate().tensor_split([self.num_users])
        return user.numpy(), item.numpy()

    @torch.no_grad()
    def evaluate(self, k: int = 20) -> float:
        """The mean recall."""
        user, item = self.propagate().tensor_split([self.num_users])
        recall, total = 0.0, 0
        for start in range(0, self.num_users, self.batch_size):
            score = user[start : start + self.batch_size] @ item.t()
            row, col = self._within(self.pairs, start)
            score[row, col] = float('-inf')
            row, col = self._within(self.test, start)
            truth = torch.zeros_like(score, dtype=torch.bool)
            truth[row, col] = True
            count = degree(row, num_nodes=score.size(0))
            top = score.topk(min(k, score.size(1)), dim=-1).indices
            hits = truth.gather(1, top).sum(dim=-1)
            recall += float((hits / count.clamp(1e-6)).sum())
            total += int((count > 0).sum())
        return recall / total

    def _within(self, pairs: Tensor, start: int) -> tuple[Tensor, Tensor]:
        chosen = (pairs[0] >= start) & (pairs[0] < start + self.batch_size)
        user, item = pairs[:, chosen]
        return user - start, item - self.num_users


if __name__ == '__main__':
    serve(
        Example,
        {'torch_geometric': torch_geometric.__version__},
    )
