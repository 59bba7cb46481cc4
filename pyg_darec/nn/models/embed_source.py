"""Models called on the data that a graph was built from."""

from collections.abc import Callable
from typing import Any

from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph

Embed = Callable[[Any, Any], Any]


def source_of(graph: BipartiteGraph) -> HeteroData | BipartiteGraph:
    return graph if graph.source is None else graph.source


class EmbedSource:
    """Hands a callable the data that the graph was built from. A class, as
    models that hold a function of a function cannot be pickled.
    """

    def __init__(self, embed: Embed) -> None:
        if not callable(embed):
            raise TypeError(
                f"'embed' needs to be callable (got '{type(embed).__name__}')"
            )
        self.embed = embed

    def __call__(self, model: Module, graph: BipartiteGraph) -> Any:
        return self.embed(model, source_of(graph))


def call_model(model: Module, data: Any) -> Any:
    return model(data)
