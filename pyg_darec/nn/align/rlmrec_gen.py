import torch
from torch import Tensor
from torch.nn import Module, Parameter

from pyg_darec.checks import check_positive
from pyg_darec.graph import Batch, BipartiteGraph
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.encoder import Encoder
from pyg_darec.nn.align.nodes import profiled_nodes, sample_nodes, take_nodes
from pyg_darec.nn.align.tables import by_table, input_tables
from pyg_darec.nn.call_with import call_with
from pyg_darec.nn.functional import info_nce
from pyg_darec.nn.models.embed_source import Embed
from pyg_darec.nn.recommender import Step, add_terms


class RLMRecGenAlign(Aligner):
    r"""The generative alignment, RLMRec-Gen, of the `"Representation
    Learning with Large Language Models for Recommendation"
    <https://arxiv.org/abs/2310.15950>`_ paper. In every step, a random set
    :math:`\mathcal{M}` of nodes gets one learned mask token as input
    embedding, and a perceptron :math:`Q` has to tell their profiles
    :math:`\mathbf{s}` from one another by what the backbone made of them,

    .. math::
        \mathcal{L} = \mathcal{L}_{base} - \frac{w}{|\mathcal{M}|}
        \sum_{v \in \mathcal{M}} \log
        \frac{\exp(\cos(Q(\mathbf{e}_v), \mathbf{s}_v) / \tau)}
        {\sum_{c \in \mathcal{M}}
        \exp(\cos(Q(\mathbf{e}_v), \mathbf{s}_c) / \tau)}.

    Args:
        model (torch.nn.Module): The model to wrap. It needs tables of input
            embeddings: one of users and one of items, or one of both.
        llm_dim (int): The width of the profile embeddings.
        weight (float, optional): The weight :math:`w` of the alignment,
            RLMRec's :obj:`recon_weight`. (default: :obj:`0.1`)
        mask_ratio (float, optional): The share of nodes that is masked; at
            least one is. (default: :obj:`0.1`)
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`0.2`)
        reg_weight (float, optional): The weight of an :math:`\ell_2` penalty
            on :math:`Q` and the mask token. (default: :obj:`0.0`)
        embed (callable, optional): How to get embeddings from a model that
            cannot be wrapped as it is. (default: :obj:`None`)

    Raises:
        TypeError: If the model has no such tables.
    """

    def __init__(
        self,
        model: Module,
        llm_dim: int,
        weight: float = 0.1,
        mask_ratio: float = 0.1,
        temperature: float = 0.2,
        reg_weight: float = 0.0,
        embed: Embed | None = None,
    ) -> None:
        super().__init__(model, llm_dim, weight, reg_weight, embed)
        if not 0 < mask_ratio <= 1:
            raise ValueError(
                f"'mask_ratio' needs to be in (0, 1] (got {mask_ratio})"
            )
        check_positive(temperature=temperature)
        self.mask_ratio = mask_ratio
        self.temperature = temperature
        names = self.model.embedding_names()
        if not names:
            raise TypeError(
                f"'{self.__class__.__name__}' masks input embeddings and "
                'needs a model that keeps them in one or two '
                "'torch.nn.Embedding' tables without 'max_norm'; use another "
                f'aligner for this one (got {self.model})'
            )
        width = self.model.get_parameter(names[0]).size(1)
        self.mask_token = Parameter(torch.zeros(width))
        self.encoder = Encoder(self.out_dim, llm_dim)

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        self.check_profiles(graph)
        # What has no profile could not be reconstructed.
        known = profiled_nodes(graph)
        total = graph.num_nodes if known is None else known.numel()
        num = max(int(self.mask_ratio * total), 1)
        masked = sample_nodes(graph.num_nodes, num, known)
        is_masked = torch.zeros(graph.num_nodes, dtype=torch.bool)
        is_masked[... if masked is None else masked] = True
        out: Step = call_with(
            self.model,
            'step',
            self._mask_tables(graph, is_masked.to(graph.device)),
            graph,
            batch,
        )
        embedding = take_nodes((out.user, out.item), masked)
        profile = take_nodes(
            (graph.llm_x['user'], graph.llm_x['item']), masked
        ).to(embedding.dtype)
        loss = info_nce(
            self.encoder(embedding, embedding.size(1)),
            profile,
            profile,
            self.temperature,
        )
        terms = add_terms(out.terms, {'gen': self.weight / num * loss})
        return Step(terms, out.user, out.item)

    def _mask_tables(
        self, graph: BipartiteGraph, is_masked: Tensor
    ) -> dict[str, Tensor]:
        tables = input_tables(self.model, graph)
        if tables is None:
            shapes = [
                tuple(self.model.get_parameter(name).shape)
                for name in self.model.embedding_names()
            ]
            raise ValueError(
                f"'{self.__class__.__name__}' needs a table of "
                f'{graph.num_users} users and one of {graph.num_items} items '
                f'of one width, or one of all (got tables of shapes {shapes})'
            )
        user, item = is_masked.split([graph.num_users, graph.num_items])
        masks = by_table(tables, (user, item))
        return {
            name: torch.where(
                mask[:, None], self.mask_token.to(table.dtype), table
            )
            for (name, table), mask in zip(
                tables.by_name.items(), masks, strict=True
            )
        }

    def reset_parameters(self) -> None:
        super().reset_parameters()
        torch.nn.init.zeros_(self.mask_token)

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.model}, '
            f'llm_dim={self.llm_dim}, weight={self.weight}, '
            f'mask_ratio={self.mask_ratio}, temperature={self.temperature})'
        )
