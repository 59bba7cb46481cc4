"""A model from the names of its parts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import as_seed
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import Aligner
from pyg_darec.nn.models import Backbone
from pyg_darec.nn.recommender import Recommender
from pyg_darec.nn.resolver import resolve


def build_model(
    data: HeteroData | BipartiteGraph,
    backbone: str = 'lightgcn',
    aligner: str | None = None,
    dim: int = 64,
    backbone_options: Mapping[str, Any] | None = None,
    aligner_options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Recommender:
    r"""A backbone by name and, if wanted, the alignment method around it,
    with initial weights that :obj:`seed` decides. The global random state is
    neither used nor changed.

    .. code-block:: python

        model = build_model(data, 'lightgcn', 'darec', dim=64)

    Args:
        data (HeteroData or BipartiteGraph): What the model is for.
        backbone (str, optional): The name of the backbone, as
            :func:`~pyg_darec.nn.resolver.resolve` takes it.
            (default: :obj:`'lightgcn'`)
        aligner (str, optional): The name of the alignment method. If
            :obj:`None` or :obj:`'none'`, the backbone alone.
            (default: :obj:`None`)
        dim (int, optional): The width of the embeddings.
            (default: :obj:`64`)
        backbone_options (dict, optional): More arguments of the backbone.
            (default: :obj:`None`)
        aligner_options (dict, optional): More arguments of the alignment
            method. (default: :obj:`None`)
        seed (int, optional): The seed. (default: :obj:`0`)

    Raises:
        ValueError: If there is no such backbone or method, it does not take
            an option, or :obj:`data` has no profile embeddings to align with.
    """
    seed = as_seed(seed)
    graph = as_graph(data)
    model_cls, align_cls = resolve(backbone), None
    if not issubclass(model_cls, Backbone):
        raise ValueError(
            f"'backbone' needs to be a backbone (got '{backbone}', an "
            'alignment method)'
        )
    if aligner in (None, 'none'):
        if aligner_options:
            raise ValueError(
                "'aligner_options' are for an alignment method; name it as "
                f"'aligner' (got {dict(aligner_options)} for none)"
            )
    else:
        align_cls = resolve(aligner)
        if not issubclass(align_cls, Aligner):
            raise ValueError(
                "'aligner' needs to be an alignment method "
                f"(got '{aligner}', a backbone)"
            )
        if not graph.llm_x:
            raise ValueError(
                "'aligner' needs profile embeddings; encode them first, or "
                f"choose 'none' (got '{aligner}' and no embeddings)"
            )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model: Recommender
        model = _call(model_cls.from_data, backbone_options, graph, dim)
        if align_cls is not None:
            llm_dim = next(iter(graph.llm_x.values())).size(1)
            aligned = _call(align_cls, aligner_options, model, llm_dim)
            aligned.check_profiles(graph)
            model = aligned
    return model


def _call(make: Any, options: Mapping[str, Any] | None, *args: Any) -> Any:
    try:
        return make(*args, **(options or {}))
    except TypeError as e:
        # Names and types of options come from configurations.
        raise ValueError(
            f'The options of a model need to be arguments of its class; {e} '
            f'(got {dict(options or {})})'
        ) from e
