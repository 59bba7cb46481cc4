"""The alignment methods on LightGCN as research code writes them: what is
compared is a whole matrix of exponentials, of similarities or of distances, and
every profile is projected in every step (RLMRec) or every one of the sample
(DaRec). Parameters and settings are those of an aligner of the library.
"""

from collections.abc import Callable
from typing import Any

import torch
from plain_models import (
    Loss,
    PlainGraph,
    bpr,
    info_nce,
    penalty,
    propagate,
    table,
)
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from pyg_darec.graph import Batch


def profiles(graph: PlainGraph) -> Tensor:
    llm_x = graph.graph.llm_x
    return torch.cat([llm_x['user'], llm_x['item']]).float()


def encode(backbone: Any, graph: PlainGraph, x: Tensor) -> Tensor:
    dropout = backbone.edge_dropout
    adj = graph.drop(dropout) if dropout else graph.adj
    return sum(propagate(adj, x, backbone.num_layers))  # type: ignore[return-value]


def rlmrec_con(model: Any, graph: PlainGraph) -> Loss:
    llm, backbone = profiles(graph), model.model

    def loss(batch: Batch) -> Tensor:
        x = encode(backbone, graph, table(backbone))
        user, item = graph.split(x)
        projected = model.encoder(llm, x.size(1))
        user_llm, item_llm = graph.split(projected)
        u, pos, neg = batch
        con = info_nce(user[u], user_llm[u], user_llm, model.temperature)
        for i in (pos, neg):
            near = item_llm[i]
            con = con + info_nce(item[i], near, near, model.temperature)
        con = model.weight * con / u.numel()
        return bpr(graph, x, batch) + penalty(backbone) + con

    return loss


def rlmrec_gen(model: Any, graph: PlainGraph) -> Loss:
    llm, backbone = profiles(graph), model.model
    num = max(int(model.mask_ratio * graph.num), 1)

    def loss(batch: Batch) -> Tensor:
        masked = torch.randperm(graph.num)[:num]
        x = table(backbone).clone()
        x[masked] = model.mask_token
        x = encode(backbone, graph, x)
        rebuilt = model.encoder(x[masked], x.size(1))
        near = llm[masked]
        gen = info_nce(rebuilt, near, near, model.temperature)
        gen = model.weight * gen / num
        return bpr(graph, x, batch) + penalty(backbone) + gen

    return loss


def darec(model: Any, graph: PlainGraph) -> Loss:
    llm, backbone, part = profiles(graph), model.model, model.structure

    def loss(batch: Batch) -> Tensor:
        x = encode(backbone, graph, table(backbone))
        out = bpr(graph, x, batch) + penalty(backbone)
        node = torch.randperm(graph.num)[: part.num_samples or graph.num]
        cf, profile, width = x[node], llm[node], x.size(1)
        cf_sp, cf_sh = (
            encoder(cf, width) for encoder in (part.cf_specific, part.cf_shared)
        )
        llm_sp, llm_sh = (
            encoder(profile, width)
            for encoder in (part.llm_specific, part.llm_shared)
        )
        terms = {
            'or': orthogonality(cf_sp, cf_sh) + orthogonality(llm_sp, llm_sh),
            'uni': uniformity(cf_sp) + uniformity(llm_sp),
            'glo': gram_distance(cf_sh, llm_sh),
            'loc': center_alignment(
                cf_sh, llm_sh, part.num_clusters, part.num_iters
            ),
        }
        for name, term in terms.items():
            out = out + model.weight * part.term_weights[name] * term
        return out

    return loss


def orthogonality(specific: Tensor, shared: Tensor) -> Tensor:
    return cosine_similarity(specific, shared).square().mean()


def uniformity(x: Tensor) -> Tensor:
    x = normalize(x)
    potential = torch.exp(-2 * (2 - 2 * x @ x.t()))
    total = potential.sum() - potential.diagonal().sum()
    return torch.log(total / (len(x) * (len(x) - 1)))


def gram_distance(x: Tensor, y: Tensor) -> Tensor:
    x, y = normalize(x), normalize(y)
    return (x @ x.t() - y @ y.t()).square().mean()


def center_alignment(
    cf: Tensor, llm: Tensor, num_clusters: int, num_iters: int
) -> Tensor:
    x, y = (kmeans_centers(z, num_clusters, num_iters) for z in (cf, llm))
    similarity = normalize(x) @ normalize(y[match(x, y)]).t()
    diagonal = similarity.diagonal()
    repel = (similarity.square().sum() - diagonal.square().sum()) / max(
        num_clusters * (num_clusters - 1), 1
    )
    return (diagonal - 1).square().mean() + repel


def kmeans_centers(x: Tensor, num_clusters: int, num_iters: int) -> Tensor:
    """The means of the clusters, differentiable for given clusters."""
    points = x.detach()
    center = points[torch.randint(len(x), (1,))]
    while len(center) < num_clusters:
        far = torch.cdist(points, center).amin(dim=1).square()
        center = torch.cat([center, points[far.multinomial(1)]])
    for _ in range(num_iters):
        cluster = torch.cdist(points, center).argmin(dim=1)
        center = means(points, cluster, center)
    cluster = torch.cdist(points, center).argmin(dim=1)
    return means(x, cluster, center)


def means(x: Tensor, cluster: Tensor, center: Tensor) -> Tensor:
    rows = []
    for k in range(len(center)):
        own = x[cluster == k]
        rows.append(own.mean(dim=0) if len(own) else center[k])
    return torch.stack(rows)


def match(x: Tensor, y: Tensor) -> list[int]:
    """Greedy: the smallest distance first, each centre once."""
    distance = torch.cdist(x, y).detach()
    pairs = [0] * len(x)
    for _ in pairs:
        row, col = divmod(int(distance.argmin()), len(y))
        pairs[row] = col
        distance[row], distance[:, col] = torch.inf, torch.inf
    return pairs


PLAIN_ALIGN: dict[str, Callable[[Any, PlainGraph], Loss]] = {
    'DaRec': darec,
    'RLMRec-Con': rlmrec_con,
    'RLMRec-Gen': rlmrec_gen,
}
