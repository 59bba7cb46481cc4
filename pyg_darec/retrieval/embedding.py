"""From a model to the two embedding matrices that are scored."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_scored
from pyg_darec.graph import BipartiteGraph
from pyg_darec.modes import evaluating
from pyg_darec.nn.models import as_recommender


def compute_embeddings(
    model: torch.nn.Module, data: HeteroData | BipartiteGraph
) -> tuple[Tensor, Tensor]:
    r"""The user and item embeddings of :obj:`model` in evaluation mode,
    without gradients. Every submodule is left in the mode it was in.

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions.

    Shapes:
        - **output:** :math:`(U, d)` and :math:`(I, d)`

    Raises:
        TypeError: If :obj:`model` does not give two tensors.
        ValueError: If what it returns does not fit :obj:`data` or is not
            finite.
    """
    graph = as_graph(data)
    with evaluating(model):
        user, item = as_recommender(model)(graph)
    check_embeddings(user, item, graph)
    return _own(user), _own(item)


def _own(x: Tensor) -> Tensor:
    # Training goes on to change a table that a model returns as it is.
    source = x if x._base is None else x._base
    return x.detach().clone() if source.requires_grad else x.detach()


def check_embeddings(
    user: Tensor, item: Tensor, graph: BipartiteGraph | None = None
) -> None:
    r"""Checks that embeddings can be scored against each other and, if
    :obj:`graph` is given, that there is one for each of its nodes.

    Raises:
        ValueError: If they are not two floating-point matrices of one width,
            do not fit :obj:`graph`, or hold a NaN or an infinity.
    """
    sizes = (graph.num_users, graph.num_items) if graph else (None, None)
    check_scored(user, item, *sizes)
    for kind, value in (('user', user), ('item', item)):
        finite = value.isfinite()
        if not finite.all():
            row = int((~finite).any(dim=1).int().argmax())
            raise ValueError(
                f'The {kind} embeddings hold NaN or infinity: the model '
                'diverged; lower the learning rate or the loss weights '
                f'(got row {row} as the first of '
                f'{int((~finite).any(dim=1).sum())})'
            )
