import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_positive
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.nodes import with_profile
from pyg_darec.nn.functional import info_nce
from pyg_darec.nn.models.contrast import contrast_nodes
from pyg_darec.nn.models.embed_source import Embed


class RLMRecConAlign(Aligner):
    r"""The contrastive alignment, RLMRec-Con, of the `"Representation
    Learning with Large Language Models for Recommendation"
    <https://arxiv.org/abs/2310.15950>`_ paper. One perceptron :math:`P`
    projects the profiles :math:`\mathbf{s}` of users and items, and

    .. math::
        \mathcal{L} = \mathcal{L}_{base} + \frac{w}{B} \sum_{(u, p, n)}
        \left( \ell(u, \mathcal{U}) + \ell(p, \mathcal{P}) +
        \ell(n, \mathcal{N}) \right), \quad
        \ell(v, \mathcal{C}) = -\log
        \frac{\exp(\cos(\mathbf{e}_v, P(\mathbf{s}_v)) / \tau)}
        {\sum_{c \in \mathcal{C}}
        \exp(\cos(\mathbf{e}_v, P(\mathbf{s}_c)) / \tau)}

    with all users :math:`\mathcal{U}`, and the positive items
    :math:`\mathcal{P}` and negative items :math:`\mathcal{N}` of the batch,
    repeated ones included, as candidates.

    Args:
        model (torch.nn.Module): The model to wrap.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The weight :math:`w` of the alignment,
            RLMRec's :obj:`kd_weight`. (default: :obj:`0.01`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on :math:`P`. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 0.01,
        temperature: float = 0.2,
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        check_positive(temperature=temperature)
        self.temperature = temperature
        self.encoder = Encoder(llm_dim, self.out_dim)

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        users, profile = batch[0], graph.llm_x['user']
        if (known := graph.profiled('user')) is not None:
            users = with_profile(graph, 'user', users)
            users = torch.searchsorted(known.nodes, users)
            profile = profile.index_select(0, known.nodes)
            user = user.index_select(0, known.nodes)
        targets = self.encoder(profile.to(user.dtype), user.size(1))
        loss = contrast_nodes(user, targets, users, self.temperature)
        # Repeated items count as often as they occur, but are compared once,
        # and projected once if they are among both.
        parts = [with_profile(graph, 'item', part) for part in batch[1:]]
        items, place = torch.cat(parts).unique(return_inverse=True)
        profile = graph.llm_x['item'].index_select(0, items).to(item.dtype)
        anchors = item.index_select(0, items)
        targets = self.encoder(profile, item.size(1))
        for part in place.split([part.numel() for part in parts]):
            i, count = part.unique(return_counts=True)
            anchor = anchors.index_select(0, i)
            target = targets.index_select(0, i)
            loss = loss + info_nce(
                anchor, target, target, self.temperature, count, count
            )
        return {'con': self.weight / max(batch[0].numel(), 1) * loss}

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f'temperature={self.temperature})'
        )
