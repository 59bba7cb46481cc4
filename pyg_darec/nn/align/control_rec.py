import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_positive, check_weight
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.nodes import with_profile
from pyg_darec.nn.functional import symmetric_info_nce
from pyg_darec.nn.models.embed_source import Embed


class ControlRecAlign(Aligner):
    r"""The heterogeneous feature matching of the `"ControlRec: Bridging the
    Semantic Gap between Language Model and Personalized Recommendation"
    <https://arxiv.org/abs/2311.16441>`_ paper, which matches IDs with
    descriptions: an item with its own, and a user with that of the item
    that comes next.

    A perceptron :math:`P` projects the profiles to descriptions
    :math:`\mathbf{t}_v = P(\mathbf{s}_v)`, each side has to find its partner
    on the other one,

    .. math::
        \ell(\mathcal{X}) = -\frac{1}{2 |\mathcal{X}|}
        \sum_{(x, y) \in \mathcal{X}} \left( \log
        \frac{e^{\cos(\mathbf{e}_x, \mathbf{t}_y) / \tau}}
        {\sum_{(\cdot, c)} e^{\cos(\mathbf{e}_x, \mathbf{t}_c) / \tau}} +
        \log \frac{e^{\cos(\mathbf{t}_y, \mathbf{e}_x) / \tau}}
        {\sum_{(c, \cdot)} e^{\cos(\mathbf{t}_y, \mathbf{e}_c) / \tau}}
        \right),

    and the loss is that of the model and

    .. math::
        w \left( w_{desc} \left( \ell(\{(u, u)\}) + \ell(\{(i, i)\}) \right)
        + w_{next} \, \ell(\{(u, p)\}) \right)

    over the users :math:`u` and all items :math:`i` of the batch, each
    counted once, and its pairs :math:`(u, p)` of a user and a positive item.

    .. note::

        The other half of the paper, instruction contrastive learning,
        compares the sequences that a generative language model writes for
        different tasks. It has no counterpart for a recommender that is
        scored by inner product, and is left out. Published are the two
        matchings and that they are contrastive, on tokens and with sampled
        negatives. Embeddings of a graph, negatives from the batch, the
        second direction, profiles of users beside descriptions of items,
        :math:`P`, :math:`\tau` and the weights are our choice, after
        :class:`RLMRecConAlign`; as there is no sequence, any training
        interaction may come next.

    Args:
        model (torch.nn.Module): The model to wrap.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The weight :math:`w` of the alignment.
            (default: :obj:`0.01`)
        desc_weight (float, optional): The weight :math:`w_{desc}` of the
            match with one's own description; here and below, 0 leaves it
            out. (default: :obj:`1.0`)
        next_weight (float, optional): The weight :math:`w_{next}` of the
            match of users with descriptions of their items.
            (default: :obj:`1.0`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on :math:`P`. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Raises:
        TypeError: If the model cannot be wrapped; says what to pass.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 0.01,
        desc_weight: float = 1.0,
        next_weight: float = 1.0,
        temperature: float = 0.2,
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        check_weight(desc_weight=desc_weight, next_weight=next_weight)
        if desc_weight == next_weight == 0:
            raise ValueError(
                "One of 'desc_weight' and 'next_weight' needs to be positive "
                '(got 0 and 0)'
            )
        check_positive(temperature=temperature)
        self.desc_weight = desc_weight
        self.next_weight = next_weight
        self.temperature = temperature
        self.encoder = Encoder(llm_dim, self.out_dim)

    def align(
        self, graph: BipartiteGraph, batch: Batch, user: Tensor, item: Tensor
    ) -> dict[str, Tensor]:
        buyers, pos, neg = batch
        if (known := graph.profiled('item')) is not None:
            has_text = known.mask[pos]
            buyers, pos = buyers[has_text], pos[has_text]
            neg = with_profile(graph, 'item', neg)
        p, p_of = pos.unique(return_inverse=True)
        i = torch.cat([pos, neg]).unique() if self.desc_weight != 0 else p
        text, terms = self._describe(graph, 'item', i, item), {}
        if self.desc_weight != 0:
            u = with_profile(graph, 'user', batch[0].unique())
            own = self._describe(graph, 'user', u, user)
            loss = self._match(user.index_select(0, u), own)
            loss = loss + self._match(item.index_select(0, i), text)
            terms['desc'] = self.weight * self.desc_weight * loss
        if self.next_weight != 0:
            u, u_of = buyers.unique(return_inverse=True)
            text = text.index_select(0, torch.searchsorted(i, p))
            loss = self._match(user.index_select(0, u), text, (u_of, p_of))
            terms['next'] = self.weight * self.next_weight * loss
        return terms

    def _describe(
        self, graph: BipartiteGraph, kind: str, index: Tensor, cf: Tensor
    ) -> Tensor:
        profile = graph.llm_x[kind].index_select(0, index).to(cf.dtype)
        out: Tensor = self.encoder(profile, cf.size(1))
        return out

    def _match(
        self,
        x: Tensor,
        y: Tensor,
        pairs: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        loss = symmetric_info_nce(x, y, self.temperature, pairs)
        num_pairs = x.size(0) if pairs is None else pairs[0].size(0)
        return loss / (2 * max(num_pairs, 1))

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f'desc_weight={self.desc_weight}, '
            f'next_weight={self.next_weight}, '
            f'temperature={self.temperature})'
        )
