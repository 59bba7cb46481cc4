"""What goes on inside an aligner while it is trained."""

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import as_seed, check_count
from pyg_darec.graph import BipartiteGraph
from pyg_darec.loader import PairLoader
from pyg_darec.modes import evaluating, keeping_buffers, keeping_modes
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.darec import DaRecAlign
from pyg_darec.nn.align.nodes import profiled_nodes, sample_nodes, take_nodes
from pyg_darec.nn.align.structure import DisentangledStructure
from pyg_darec.nn.functional import effective_rank, mean_cosine


class Diagnostics:
    r"""Measures an aligner on the same interactions and the same nodes at
    every call, for :func:`~pyg_darec.train.fit` to log beside the validation
    metrics:

    .. code-block:: python

        model = DaRecAlign(LightGCN.from_data(data), 1536, preset='paper')
        result = fit(model, data, watch=Diagnostics(model, data))
        print(result.history[2]['gradient/loc'])

    - :obj:`'gradient/<term>'`, for each term of the loss, weighted as it is:
      the :math:`\ell_2` norm of its gradient by the parameters of the model
      that is aligned. A term that does not reach it has 0.
    - :obj:`'rank/<part>'` and :obj:`'cosine/<part>'`, for each of
      :meth:`DaRecAlign.parts <pyg_darec.nn.align.DaRecAlign.parts>`:
      :func:`~pyg_darec.nn.functional.effective_rank` and
      :func:`~pyg_darec.nn.functional.mean_cosine`, which fall and rise where
      a part collapses.
    - :obj:`'match/agreement'`, for the literal form: the share of nodes whose
      two shared parts are in centres that are matched.
    - :obj:`'match/stability'`, for the literal form and from the second call
      on: pairs of nodes :math:`(v, w)` count as matched where the
      collaborative cluster of :math:`v` is matched with the profile cluster
      of :math:`w`; of the pairs matched in this call or in the one before,
      the share that is so in both. The numbering of clusters has no say.

    The weights, their gradients, the modes of all parts and the global random
    state are the same before and after.

    Args:
        model (Aligner): The aligner.
        data (HeteroData or BipartiteGraph): The training interactions, with
            profiles.
        batch_size (int, optional): The number of interactions that gradients
            are of. (default: :obj:`4096`)
        num_nodes (int, optional): The number of nodes that parts and matches
            are measured on, :obj:`None` for all; of the literal form, nodes
            that have a profile. (default: :obj:`4096`)
        seed (int, optional): The seed of all that is drawn.
            (default: :obj:`0`)

    Raises:
        TypeError: If :obj:`model` is no aligner.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        model: Aligner,
        data: HeteroData | BipartiteGraph,
        batch_size: int = 4096,
        num_nodes: int | None = 4096,
        seed: int = 0,
    ) -> None:
        if not isinstance(model, Aligner):
            raise TypeError(
                "'model' needs to be an aligner, such as DaRecAlign "
                f"(got '{type(model).__name__}')"
            )
        check_count(num_nodes=num_nodes)
        seed = as_seed(seed)
        self.model = model
        self.graph = as_graph(data)
        self.loader = PairLoader(self.graph, batch_size, seed=seed)
        self.num_nodes = num_nodes
        self.seed = seed
        self._matches: tuple[Tensor, Tensor] | None = None

    def __call__(self) -> dict[str, float]:
        r"""Returns the measurements by their names."""
        device = next(self.model.parameters()).device
        graph = self.graph.to(device)
        if any(map(is_lazy, self.model.buffers())):
            with evaluating(self.model):  # which sets their sizes
                self.model.encode(graph)
        devices = [device] if device.type == 'cuda' else []
        with (
            torch.random.fork_rng(devices=devices),
            keeping_buffers(self.model),
            keeping_modes(self.model),
        ):
            torch.default_generator.manual_seed(self.seed)
            if devices:
                torch.cuda.manual_seed(self.seed)
            self.model.train()
            values = self._gradients(graph)
            self.model.eval()
            values |= self._parts(graph)
        return {name: float(value) for name, value in values.items()}

    def _gradients(self, graph: BipartiteGraph) -> dict[str, Tensor]:
        self.loader.epoch = 0  # the same batch as before
        batch = next(iter(self.loader))
        device = graph.device
        users, positives, negatives = (index.to(device) for index in batch)
        batch = users, positives, negatives
        with torch.enable_grad():
            terms = self.model.loss_terms(graph, batch)
        params = [p for p in self.model.model.parameters() if p.requires_grad]
        values = {}
        for name, term in terms.items():
            square = term.new_zeros(())
            if term.requires_grad and params:
                found = torch.autograd.grad(
                    term, params, retain_graph=True, allow_unused=True
                )
                for gradient in found:
                    if gradient is not None:
                        square = square + gradient.square().sum()
            values[f'gradient/{name}'] = square.sqrt()
        return values

    @torch.no_grad()
    def _parts(self, graph: BipartiteGraph) -> dict[str, Tensor]:
        if not isinstance(self.model, DaRecAlign):
            return {}
        structure = self.model.structure
        # The literal form aligns those that have a profile.
        among = None if structure is None else profiled_nodes(graph)
        nodes = sample_nodes(graph.num_nodes, self.num_nodes, among)
        parts = {
            name: take_nodes(pair, nodes)
            for name, pair in self.model.parts(graph).items()
        }
        values = {}
        for name, x in parts.items():
            values[f'rank/{name}'] = effective_rank(x)
            values[f'cosine/{name}'] = mean_cosine(x)
        if structure is not None:
            cf, llm = parts['cf_shared'], parts['llm_shared']
            values |= self._match(structure, cf, llm)
        return values

    def _match(
        self, structure: DisentangledStructure, cf: Tensor, llm: Tensor
    ) -> dict[str, Tensor]:
        first, second, match = structure.clusters(cf, llm)
        # The cluster that each node's own is matched with, and its other one.
        now = match[first], second
        values = {'match/agreement': (now[0] == now[1]).double().mean()}
        if self._matches is not None:
            num = structure.num_clusters
            values['match/stability'] = _overlap(self._matches, now, num)
        self._matches = now
        return values


def _overlap(
    before: tuple[Tensor, Tensor], now: tuple[Tensor, Tensor], num: int
) -> Tensor:
    r"""The share of pairs :math:`(v, w)` with equal labels :math:`a_v = b_w`
    in both of two :math:`(a, b)`, of those with equal ones in any. Counted by
    labels: nobody lists the pairs.
    """

    def count(labels: Tensor, size: int) -> Tensor:
        return torch.bincount(labels, minlength=size).double()

    both = count(before[0] * num + now[0], num * num) @ count(
        before[1] * num + now[1], num * num
    )
    one, two = (count(a, num) @ count(b, num) for a, b in (before, now))
    return both / (one + two - both)
