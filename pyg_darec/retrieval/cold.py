"""Users and items without interactions, by their profiles alone."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_embeddings as check_profiles
from pyg_darec.checks import check_scored
from pyg_darec.graph import BipartiteGraph, Kind
from pyg_darec.modes import evaluating
from pyg_darec.nn.models.unwrapped import unwrapped
from pyg_darec.retrieval.candidates import rank_candidates
from pyg_darec.retrieval.embedding import (
    check_embeddings,
    compute_embeddings,
)
from pyg_darec.retrieval.nodes import Indices
from pyg_darec.retrieval.recommendation import Recommendation


@runtime_checkable
class ProfileEmbedder(Protocol):
    r"""A model that embeds nodes that it has never seen from their profile
    embeddings, in the space in which it scores.
    """

    def embed_profiles(self, llm_x: Tensor, kind: Kind) -> Tensor:
        r"""Returns embeddings :math:`(N, d)` of new users or items.

        Args:
            llm_x (torch.Tensor): Their profile embeddings :math:`(N, D)`.
            kind (str): :obj:`'user'` or :obj:`'item'`.
        """


def recommend_cold(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    llm_x: Tensor | NDArray[Any],
    k: int = 10,
    allow: Indices | None = None,
    deny: Indices | None = None,
    new_items: Tensor | NDArray[Any] | None = None,
) -> Recommendation:
    r"""Recommends items to new users of whom nothing is known but their
    profiles.

    .. code-block:: python

        llm_x = encode_texts(['Collects vintage tins.'], encoder)
        item, score = recommend_cold(model, data, llm_x)

    Args:
        model (torch.nn.Module): A model with
            :meth:`~pyg_darec.retrieval.ProfileEmbedder.embed_profiles`, or one
            inside of what :func:`~pyg_darec.nn.models.as_recommender` takes
            it out of.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions.
        llm_x (torch.Tensor or numpy.ndarray): The profile embeddings of the
            new users, by the encoder that made those of :obj:`data`.
        k (int, optional): The number of items per user.
            (default: :obj:`10`)
        allow (Sequence[int] or torch.Tensor, optional): As of
            :func:`~pyg_darec.retrieval.recommend`; the users of an edge index
            are rows of :obj:`llm_x`. (default: :obj:`None`)
        deny (Sequence[int] or torch.Tensor, optional): Likewise.
            (default: :obj:`None`)
        new_items (torch.Tensor or numpy.ndarray, optional): As of
            :func:`~pyg_darec.retrieval.recommend`. (default: :obj:`None`)

    Shapes:
        - **llm_x:** :math:`(B, D)`
        - **item:** :math:`(B, k)`
        - **score:** :math:`(B, k)`

    Raises:
        TypeError: If :obj:`model` cannot embed profiles.
        ValueError: If profile embeddings are not finite or as wide as those
            of :obj:`data`, or another argument is out of range.
    """
    graph = as_graph(data)
    as_embedder(model)
    _, item = compute_embeddings(model, data)
    user = embed_new(model, graph, item, llm_x, 'user', 'llm_x')
    item = append_items(model, graph, item, new_items)
    return rank_candidates(user, item, k, allow=allow, deny=deny)


def append_items(
    model: torch.nn.Module,
    graph: BipartiteGraph,
    item: Tensor,
    new_items: Tensor | NDArray[Any] | None,
) -> Tensor:
    r"""The embeddings of items, with those of new ones after them."""
    if new_items is None:
        return item
    new = embed_new(model, graph, item, new_items, 'item', 'new_items')
    return torch.cat([item, new.to(item.dtype)])


def as_embedder(model: torch.nn.Module) -> ProfileEmbedder:
    r"""What embeds new nodes in :obj:`model`; a :class:`TypeError` if nothing
    does.
    """
    inner = unwrapped(model)
    if not isinstance(inner, ProfileEmbedder):
        raise TypeError(
            f"'{type(inner).__name__}' cannot embed users or items that it "
            "was not trained on; wrap it in 'DaRecAlign', with no other "
            'aligner around that, or give it a method '
            "'embed_profiles(llm_x, kind)' (got no such method)"
        )
    return inner


def embed_new(
    model: torch.nn.Module,
    graph: BipartiteGraph,
    item: Tensor,
    llm_x: Tensor | NDArray[Any],
    kind: Kind,
    name: str,
) -> Tensor:
    r"""What a model makes of the profiles of new users or items, checked;
    :obj:`item` are embeddings of known items, :obj:`name` is the argument that
    errors speak of.
    """
    embedder = as_embedder(model)
    if isinstance(llm_x, np.ndarray):  # as encoders give them
        llm_x = torch.from_numpy(llm_x)
    if isinstance(llm_x, Tensor) and llm_x.dim() == 1:
        raise ValueError(
            f'The profile embeddings of new {kind}s need a row for each; pass '
            f"'{name}' as x.unsqueeze(0) for one of them (got shape "
            f'{tuple(llm_x.shape)})'
        )
    num = llm_x.size(0) if isinstance(llm_x, Tensor) and llm_x.dim() else 0
    check_profiles(f'new {kind}', llm_x, num)
    x, known = llm_x.to(item.device), graph.llm_x.get(kind)
    if known is not None:
        x = x.to(known.dtype)  # NumPy's default is no model's
    if known is not None and known.size(1) != x.size(1):
        raise ValueError(
            f"'{name}' needs to be as wide as the profile embeddings of the "
            f"data's {kind}s, {known.size(1)}; use the encoder that made them "
            f'(got {x.size(1)})'
        )
    with evaluating(model):
        out = embedder.embed_profiles(x, kind)
    user, items = (out, item) if kind == 'user' else (item, out)
    check_scored(user, items)
    check_embeddings(out, out)
    if out.size(0) != num:
        raise ValueError(
            f"'{type(embedder).__name__}.embed_profiles' needs to give one row "
            f'per profile (got {out.size(0)} for {num})'
        )
    return out
