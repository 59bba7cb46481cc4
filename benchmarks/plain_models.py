"""The backbones as research code writes them: one COO adjacency matrix of all
nodes that is coalesced when edges are dropped, ``torch.sparse.mm``, similarity
matrices that are kept whole, vectors per edge. Parameters and settings are
those of a model of the library.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import (
    cosine_similarity,
    dropout,
    leaky_relu,
    normalize,
    softplus,
)

from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.models.lightgcl import low_rank

Loss = Callable[[Batch], Tensor]


class PlainGraph:
    """The symmetrically normalised adjacency matrix, with and without
    self-loops, in COO.
    """

    def __init__(self, graph: BipartiteGraph) -> None:
        self.graph = graph
        self.sizes = [graph.num_users, graph.num_items]
        self.num = sum(self.sizes)
        user, item = graph.edge_index[0], graph.edge_index[1] + self.sizes[0]
        self.index = torch.stack(
            [torch.cat([user, item]), torch.cat([item, user])]
        )
        self.adj = self.normalized(self.index)
        loop = torch.arange(self.num).repeat(2, 1)
        self.looped = self.normalized(torch.cat([self.index, loop], dim=1))

    def normalized(self, index: Tensor) -> Tensor:
        degree = torch.bincount(index[0], minlength=self.num).clamp(min=1)
        value = (degree[index[0]] * degree[index[1]]).float().rsqrt()
        return self.matrix(index, value)

    def matrix(self, index: Tensor, value: Tensor) -> Tensor:
        size = (self.num, self.num)
        return torch.sparse_coo_tensor(index, value, size).coalesce()

    def drop(self, p: float) -> Tensor:
        index, value = self.adj.indices(), self.adj.values()
        keep = torch.rand(value.numel()) >= p
        return self.matrix(index[:, keep], value[keep]) if p else self.adj

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.split(self.sizes)


def propagate(
    adj: Tensor,
    x: Tensor,
    num_layers: int,
    perturb: Callable[[Tensor], Tensor] = lambda x: x,
) -> list[Tensor]:
    layers = [x]
    for _ in range(num_layers):
        layers.append(perturb(torch.sparse.mm(adj, layers[-1])))
    return layers


def table(model: Any) -> Tensor:
    return torch.cat([model.user_embedding.weight, model.item_embedding.weight])


def bpr(graph: PlainGraph, x: Tensor, batch: Batch) -> Tensor:
    user, item = graph.split(x)
    u, pos, neg = user[batch[0]], item[batch[1]], item[batch[2]]
    return softplus((u * neg).sum(1) - (u * pos).sum(1)).mean()


def penalty(model: Any) -> Tensor:
    total: Tensor = sum(p.norm(2).square() for p in model.parameters())
    return model.reg_weight * total  # type: ignore[no-any-return]


def info_nce(a: Tensor, p: Tensor, c: Tensor, tau: float) -> Tensor:
    a, p, c = normalize(a), normalize(p), normalize(c)
    score = torch.exp((a * p).sum(1) / tau)
    return -torch.log(score / torch.exp(a @ c.t() / tau).sum(1)).sum()


def contrast(
    graph: PlainGraph,
    first: Tensor,
    second: Tensor,
    batch: tuple[Tensor, ...],
    tau: float,
) -> Tensor:
    total = first.new_zeros(())
    for n, index in enumerate(batch):
        a, b = (graph.split(x)[min(n, 1)] for x in (first, second))
        total = total + info_nce(a[index], b[index], b, tau)
    return total / batch[0].numel()


def lightgcn(model: Any, graph: PlainGraph) -> Loss:
    def loss(batch: Batch) -> Tensor:
        adj = graph.drop(model.edge_dropout)
        x = sum(propagate(adj, table(model), model.num_layers))
        return bpr(graph, x, batch) + penalty(model)

    return loss


def ngcf(model: Any, graph: PlainGraph) -> Loss:
    def loss(batch: Batch) -> Tensor:
        x = table(model)
        layers = [x]
        pairs = zip(model.neighbor, model.affinity, strict=True)
        for neighbor, affinity in pairs:
            near = torch.sparse.mm(graph.adj, x)
            x = leaky_relu(neighbor(near + x) + affinity(near * x), 0.2)
            x = dropout(x, model.message_dropout)
            layers.append(normalize(x))
        return bpr(graph, torch.cat(layers, dim=1), batch) + penalty(model)

    return loss


def gccf(model: Any, graph: PlainGraph) -> Loss:
    def loss(batch: Batch) -> Tensor:
        layers = propagate(graph.looped, table(model), model.num_layers)
        return bpr(graph, torch.cat(layers, dim=1), batch) + penalty(model)

    return loss


def sgl(model: Any, graph: PlainGraph) -> Loss:
    def view() -> Tensor:
        adj = graph.drop(model.drop_ratio)
        return sum(propagate(adj, table(model), model.num_layers))

    def loss(batch: Batch) -> Tensor:
        x = sum(propagate(graph.adj, table(model), model.num_layers))
        ssl = contrast(graph, view(), view(), batch, model.temperature)
        return bpr(graph, x, batch) + model.ssl_weight * ssl + penalty(model)

    return loss


def simgcl(model: Any, graph: PlainGraph) -> Loss:
    def shift(x: Tensor) -> Tensor:
        return x + model.eps * normalize(torch.rand_like(x)) * x.sign()

    def view() -> Tensor:
        return sum(propagate(graph.adj, table(model), model.num_layers, shift))

    def loss(batch: Batch) -> Tensor:
        x = sum(propagate(graph.adj, table(model), model.num_layers))
        ssl = contrast(graph, view(), view(), batch[:2], model.temperature)
        return bpr(graph, x, batch) + model.ssl_weight * ssl + penalty(model)

    return loss


def lightgcl(model: Any, graph: PlainGraph) -> Loss:
    p, q = (factor.float() for factor in low_rank(graph.graph, model.rank))

    def loss(batch: Batch) -> Tensor:
        adj = graph.drop(model.edge_dropout)
        layers = propagate(adj, table(model), model.num_layers)
        x = sum(layers)
        anchor = layers[0]
        for layer in layers[:-1]:
            user, item = graph.split(layer)
            anchor = anchor + torch.cat(
                [p @ (q.t() @ item), q @ (p.t() @ user)]
            )
        ssl = x.new_zeros(())
        for n, index in enumerate((batch[0], torch.cat(batch[1:]))):
            a, b = graph.split(anchor)[n], graph.split(x)[n]
            near = info_nce(a[index], b[index], b, model.temperature)
            ssl = ssl + near / index.numel()
        return bpr(graph, x, batch) + model.ssl_weight * ssl + penalty(model)

    return loss


def ncl(model: Any, graph: PlainGraph) -> Loss:
    def loss(batch: Batch) -> Tensor:
        layers = propagate(graph.adj, table(model), model.num_layers)
        tau, size = model.temperature, batch[0].numel()
        ssl = proto = layers[0].new_zeros(())
        states = (
            (batch[0], model.user_cluster, model.user_prototype, 1.0),
            (batch[1], model.item_cluster, model.item_prototype, model.alpha),
        )
        for n, (index, cluster, center, weight) in enumerate(states):
            own = graph.split(layers[0])[n]
            far = graph.split(layers[model.hop])[n]
            ssl = ssl + weight * info_nce(far[index], own[index], own, tau)
            near = center[cluster[index]]
            proto = proto + info_nce(own[index], near, center, tau)
        out = bpr(graph, sum(layers), batch) + penalty(model)
        out = out + model.ssl_weight / size * ssl
        return out + model.proto_weight / size * proto

    return loss


def dccf(model: Any, graph: PlainGraph) -> Loss:
    head, tail = graph.index

    def attend(x: Tensor) -> Tensor:
        parts = zip(
            graph.split(x), (model.user_intent, model.item_intent), strict=True
        )
        return torch.cat([(p @ c).softmax(1) @ c.t() for p, c in parts])

    def adapt(view: Tensor, x: Tensor) -> Tensor:
        alpha = (cosine_similarity(view[head], view[tail]) + 1) / 2
        norm = x.new_zeros(graph.num).index_add(0, head, alpha)
        return torch.sparse.mm(
            torch.sparse_coo_tensor(
                graph.index, alpha / norm[head], (graph.num, graph.num)
            ),
            x,
        )

    def loss(batch: Batch) -> Tensor:
        total = x = table(model)
        ssl = x.new_zeros(())
        index = [batch[0].unique(), batch[1].unique()]
        for _ in range(model.num_layers):
            near = torch.sparse.mm(graph.adj, x)
            intent = attend(x)
            others = [intent, adapt(near, x), adapt(intent, x)]
            x = near + sum(others) + x
            total = total + x
            for other in others:
                for n, i in enumerate(index):
                    a, b = graph.split(near)[n][i], graph.split(other)[n][i]
                    ssl = ssl + info_nce(a, b, b, model.temperature)
        ssl = model.ssl_weight * ssl / index[0].numel()
        return bpr(graph, total, batch) + ssl + penalty(model)

    return loss


def autocf(model: Any, graph: PlainGraph) -> Loss:
    scene = model._masked
    matrix = scene.decoder[0]
    counts = matrix.ptr.diff().long()
    row = torch.arange(graph.num).repeat_interleave(counts)
    col = matrix.col.long()
    user, item = graph.graph.edge_index
    item = item + graph.sizes[0]
    index = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    adj = graph.matrix(index, scene.encoder.weight.repeat(2))

    def attend(x: Tensor, layer: int) -> Tensor:
        q, k, v = (
            linear[layer](x[end]).unflatten(1, (model.num_heads, -1))
            for linear, end in (
                (model.query, row),
                (model.key, col),
                (model.value, col),
            )
        )
        weight = (q * k).sum(-1).clamp(-10, 10).exp()
        norm = weight.new_zeros(graph.num, model.num_heads)
        norm = norm.index_add(0, row, weight)
        weight = weight / (norm[row] + 1e-8)
        out = torch.zeros_like(x)
        return out.index_add(0, row, (weight.unsqueeze(-1) * v).flatten(1))

    def spread(a: Tensor, c: Tensor) -> Tensor:
        return torch.log(torch.exp(a @ c.t()).sum(1)).mean()

    def loss(batch: Batch) -> Tensor:
        layers = propagate(adj, table(model), model.num_layers)
        for n in range(len(model.query)):
            layers.append(attend(layers[-1], n))
        user, item = graph.split(sum(layers))
        u, pos, _ = batch
        rec = -(user[u] * item[pos]).sum(1).mean()
        own = spread(user[u.unique()], user) + spread(item[pos.unique()], item)
        return (
            rec
            + spread(user[u], item)
            + model.ssl_weight * own
            + penalty(model)
        )

    return loss


PLAIN: dict[str, Callable[[Any, PlainGraph], Loss]] = {
    'LightGCN': lightgcn,
    'NGCF': ngcf,
    'GCCF': gccf,
    'SGL': sgl,
    'SimGCL': simgcl,
    'LightGCL': lightgcl,
    'NCL': ncl,
    'DCCF': dccf,
    'AutoCF': autocf,
}
