"""What is computed of profiles once, and what it depends on."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.changes import stamp, version_of
from pyg_darec.graph import BipartiteGraph
from pyg_darec.sparse import Matrix


class Profiles(NamedTuple):
    """What is computed of the profiles of one node type once."""

    x: Tensor  # a constant, and the reduced ones; weighted, (N, 1 + r)
    # Of the nearest profiles and the node itself, (N, N), if they are used.
    neighbors: Matrix | None


class Prepared(NamedTuple):
    """What profiles were reduced to, and all that it depends on."""

    # Holding them keeps their ids from being given to others.
    sources: dict[str, Tensor]
    source_versions: list[int]
    buffer_versions: list[tuple[int, int]]
    buffers: list[Tensor]
    profiles: dict[str, Profiles]
    # Evaluation passes over what training would learn of.
    is_complete: bool

    @classmethod
    def of(
        cls,
        module: Module,
        graph: BipartiteGraph,
        profiles: dict[str, Profiles],
        is_complete: bool,
    ) -> 'Prepared':
        sources = _sources(graph)
        return cls(
            sources,
            [version_of(x) for x in sources.values()],
            [stamp(x) for x in module.buffers()],
            [x.clone() for x in module.buffers()],
            profiles,
            is_complete,
        )

    def is_from(self, graph: BipartiteGraph) -> bool:
        """Whether it was found in these tensors, which a compiled step asks;
        not whether they are as they were.
        """
        sources = _sources(graph)
        return all(x is self.sources.get(k) for k, x in sources.items())

    def is_of(self, module: Module, graph: BipartiteGraph) -> bool:
        """Loading weights changes buffers in place, moving them makes others;
        those of the weights that a training saved are equal all the same,
        which is looked at only then.
        """
        if module.training and not self.is_complete:
            return False
        if len(self.sources) != len(_sources(graph)):
            return False
        now = [version_of(x) for x in self.sources.values()]
        if not self.is_from(graph) or now != self.source_versions:
            return False
        buffers = list(module.buffers())
        versions = [stamp(x) for x in buffers]
        if versions == self.buffer_versions:
            return True
        is_equal = all(
            x.device == known.device and torch.equal(x, known)
            for x, known in zip(buffers, self.buffers, strict=True)
        )
        if is_equal:
            self.buffer_versions[:] = versions
        return is_equal


def _sources(graph: BipartiteGraph) -> dict[str, Tensor]:
    return {**graph.llm_x, 'edge_index': graph.edge_index}
