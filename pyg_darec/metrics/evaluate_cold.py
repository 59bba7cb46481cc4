"""Evaluation on users or items that a model has never seen."""

from collections.abc import Sequence

import torch
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_choice
from pyg_darec.graph import KINDS, BipartiteGraph, Kind
from pyg_darec.metrics.evaluate import evaluate_embeddings
from pyg_darec.retrieval.cold import embed_new
from pyg_darec.retrieval.embedding import compute_embeddings


def evaluate_cold(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    cold: HeteroData | BipartiteGraph,
    kind: Kind = 'item',
    ks: Sequence[int] = (5, 10, 20),
) -> dict[str, float]:
    r"""Ranks by what profiles alone say of items or users that were held out
    by :class:`~pyg_darec.transforms.HoldOutNodes`, and returns the metrics of
    :func:`~pyg_darec.metrics.evaluate`.

    * **Items** that were held out are ranked among themselves, for the users
      of :obj:`data` who have interactions with them.
    * To **users** that were held out, all items of :obj:`data` are
      recommended but those of their training interactions.

    Args:
        model (torch.nn.Module): A model with
            :meth:`~pyg_darec.retrieval.ProfileEmbedder.embed_profiles`, such as
            :class:`~pyg_darec.nn.align.DaRecAlign`, trained on :obj:`data`.
        data (torch_geometric.data.HeteroData or BipartiteGraph): What was not
            held out.
        cold (torch_geometric.data.HeteroData or BipartiteGraph): What was.
        kind (str, optional): Which nodes were, :obj:`'item'` or
            :obj:`'user'`. (default: :obj:`'item'`)
        ks (Sequence[int], optional): The cut-offs.
            (default: :obj:`(5, 10, 20)`)

    Raises:
        TypeError: If :obj:`model` cannot embed profiles.
        ValueError: If the nodes held out have no profiles, the two graphs do
            not belong together, or a cut-off is not in :math:`[1, I]`.
    """
    check_choice('kind', kind, KINDS)
    graph, held_out = as_graph(data), as_graph(cold)
    if kind not in held_out.llm_x:
        raise ValueError(
            f'The {kind}s that were held out have no profiles; attach them '
            f"before (got no 'llm_x' of {kind}s in 'cold')"
        )
    user, item = compute_embeddings(model, data)
    new = embed_new(model, graph, item, held_out.llm_x[kind], kind, 'cold')
    user, item = (new, item) if kind == 'user' else (user, new)
    for name, x, num in (
        ('user', user, held_out.num_users),
        ('item', item, held_out.num_items),
    ):
        if x.size(0) != num:
            raise ValueError(
                f"'data' and 'cold' need to be the two graphs of one "
                f"'HoldOutNodes', and 'kind' what it held out (got {x.size(0)} "
                f"{name}s for {num} in 'cold')"
            )
    return evaluate_embeddings(user, item, held_out, 'test', ks).mean()
