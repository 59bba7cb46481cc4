"""Aligners that change what goes into a model."""

from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Module

from pyg_darec.checks import check_choice, check_embeddings, describe, is_dense
from pyg_darec.graph import KINDS, Batch, BipartiteGraph, Kind
from pyg_darec.modes import evaluating
from pyg_darec.nn.align.base import Aligner
from pyg_darec.nn.align.injection import ProfileInjection
from pyg_darec.nn.align.profile_scale import Pair
from pyg_darec.nn.align.tables import (
    InputTables,
    input_tables,
    join_tables,
    split_tables,
)
from pyg_darec.nn.call_with import call_with
from pyg_darec.nn.functional import regression_kriging
from pyg_darec.nn.recommender import Recommender, Step, add_terms

# What a model was trained on or called with last; nothing that a copy or a
# saved file of it should hold.
_SEEN: WeakKeyDictionary[Module, BipartiteGraph] = WeakKeyDictionary()
# The one that its tables of input embeddings are of, likewise.
_WHOLE: WeakKeyDictionary[Module, BipartiteGraph] = WeakKeyDictionary()


class InjectingAligner(Aligner):
    r"""An aligner whose :attr:`injection`, if it has one, goes into the input
    embeddings of the model, without a change to the model; into its output
    where it keeps no tables of input embeddings, and then its
    :attr:`objective` applies there. What the loss of the model has beside
    the objective to spread embeddings out
    (:meth:`~pyg_darec.nn.recommender.Recommender.auxiliary`) does so with
    the model's own: it would take apart what profiles bring together. Where
    another aligner lies between the two, it sees what was added as well.

    A subclass sets :attr:`injection` and implements :meth:`align`, which may
    add terms to the loss, and :meth:`scored`.
    """

    injection: ProfileInjection | None

    def scored(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        r"""What is scored of the embeddings of the model."""
        return user, item

    def unscored(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        r"""The embeddings of the model, with what goes into it."""
        if self.injection is not None:
            self.check_profiles(graph)
        _SEEN[self] = graph
        tables = self._tables(graph)
        if tables is not None:
            user, item = call_with(self.model, 'encode', tables, graph)
        else:
            user, item = self._inject(graph, *self.model.encode(graph))
        return user, item

    def encode(self, graph: BipartiteGraph) -> tuple[Tensor, Tensor]:
        return self.scored(*self.unscored(graph))

    def step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        # An aligner around this one works on what is scored.
        terms, user, item = self._unscored_step(graph, batch)
        return Step(terms, *self.scored(user, item))

    def loss_terms(
        self, graph: BipartiteGraph, batch: Batch
    ) -> dict[str, Tensor]:
        if type(self).step is not InjectingAligner.step:
            return super().loss_terms(graph, batch)
        # Nobody looks at embeddings then, and scoring them takes time.
        terms = self._unscored_step(graph, batch).terms
        return add_terms(terms, self.regularize(batch))

    def _unscored_step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        self.check_profiles(graph)
        if not torch.compiler.is_compiling():  # then by 'renew'
            _SEEN[self] = graph
        terms, user, item = self._model_step(graph, batch)
        aligned = self.align(graph, batch, user, item)
        return Step(add_terms(terms, aligned), user, item)

    def _model_step(self, graph: BipartiteGraph, batch: Batch) -> Step:
        model, tables = self.model, self._tables(graph)
        if tables is None:
            terms, user, item = self.unrewarded(graph, batch)
            user, item = self._inject(graph, user, item)
        elif self._is_apart:
            terms = model.auxiliary(graph, batch)
            user, item = call_with(model, 'encode', tables, graph)
        else:
            out: Step = call_with(model, 'step', tables, graph, batch)
            return out
        return self.rewarded(graph, batch, Step(terms, user, item))

    @property
    def _is_apart(self) -> bool:
        """Whether part of the loss is about the model's own embeddings."""
        has_auxiliary = type(self.model).auxiliary is not Recommender.auxiliary
        # A step of its own may have other terms as well.
        is_plain = not self.model.has_own_step
        # Where profiles say nothing, the model is what it is alone.
        is_changed = self.injection is not None and self.injection.adds
        return is_changed and has_auxiliary and is_plain

    def _inject(
        self, graph: BipartiteGraph, user: Tensor, item: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.injection is None:
            return user, item
        pair = self.injection(graph, user, item)
        return pair[0].to(user.dtype), pair[1].to(item.dtype)

    def _tables(self, graph: BipartiteGraph) -> dict[str, Tensor] | None:
        r"""The input embeddings to call the model with, :obj:`None` if there
        are no tables of them.
        """
        if self.injection is None:
            return {}
        found = self._find_tables(graph)
        if found is None:
            return None
        graph, tables = found
        pair = split_tables(graph, tables)
        response = partial(self._response, graph, tables)
        return join_tables(tables, self.injection(graph, *pair, response))

    def _find_tables(
        self, graph: BipartiteGraph
    ) -> tuple[BipartiteGraph, InputTables] | None:
        """The tables of input embeddings and the data whose nodes they are
        of: of a sample, in which a model looks its nodes up, all of it.
        """
        injection, tables = self.injection, input_tables(self.model, graph)
        assert injection is not None
        is_compiled = torch.compiler.is_compiling()  # 'renew' came before
        whole = None if is_compiled else _WHOLE.get(self)
        if tables is None and whole is not None:
            graph = self._graph(whole)  # on the device where the model is now
            tables = input_tables(self.model, graph)
        if injection.is_at_input is (tables is None):
            raise self._moved(graph, tables is not None)
        found = None if tables is None else (graph, tables)
        if not is_compiled:
            injection.is_at_input = found is not None
            if found is not None:
                _WHOLE[self] = graph
        return found

    def _moved(self, graph: BipartiteGraph, to_input: bool) -> ValueError:
        """What profiles say cannot move from input to output, or back."""
        places = ('output', 'input') if to_input else ('input', 'output')
        return ValueError(
            f'What profiles add was in the {places[0]} of '
            f"'{type(self.model).__name__}' and would be in its {places[1]}; "
            'keep its tables of input embeddings as they were, and call '
            "'model(data)' once with all interactions before any part of "
            "them, after 'reset_parameters' if it began with a part "
            f'(got {graph})'
        )

    def _response(
        self, graph: BipartiteGraph, tables: InputTables, added: Pair
    ) -> Pair:
        """What is added to the output by what is added to the tables."""
        user, item = split_tables(graph, tables)
        moved = join_tables(tables, (user + added[0], item + added[1]))
        with evaluating(self.model):
            before = self.model.encode(graph)
            after = call_with(self.model, 'encode', moved, graph)
        return after[0] - before[0], after[1] - before[1]

    def own_and_added(
        self, graph: BipartiteGraph, pair: Pair
    ) -> tuple[Pair, Pair]:
        r"""The model's own embeddings and what profiles add to them, where
        they are added; of a sample of the nodes, in the output :obj:`pair`.
        """
        assert self.injection is not None
        found = self._find_tables(graph)
        if found is None:
            own = self.model.encode(graph)
            both = self.injection(graph, *own)
        elif found[0].num_nodes == graph.num_nodes:
            own = split_tables(*found)
            both = self.injection(graph, *own)
        else:  # a sample, whose rows of the tables are not known
            own, both = self.model.encode(graph), pair
        # Copies, as training goes on with the tables.
        user, item = (x.detach().clone() for x in own)
        return (user, item), (both[0] - user, both[1] - item)

    def renew(self, graph: BipartiteGraph, epoch: int, step: int) -> None:
        graph = self._graph(graph)
        _SEEN[self] = graph
        if self.injection is not None:  # a compiled step cannot
            self.check_profiles(graph)
            found, of, response = self._find_tables(graph), graph, None
            if found is not None:
                of, own = found
                pair = split_tables(of, own)
                self.injection.initialize_parameters(of, *pair)
                response = partial(self._response, of, own)
            self.injection.prepare(of, response)
        # Most models have nothing to renew.
        if not self.model.has_renew:
            return
        with torch.no_grad():
            tables = None if self._is_apart else self._tables(graph)
        call_with(self.model, 'renew', tables or {}, graph, epoch, step)

    @torch.no_grad()
    def embed_profiles(self, llm_x: Tensor, kind: Kind = 'item') -> Tensor:
        r"""Embeds new users or items, of which nothing is known but their
        profiles, in the space that is scored: by what a linear map of the
        profiles of those with interactions says of their embeddings, and by
        what it leaves unexplained at those with the nearest profiles
        (:func:`~pyg_darec.nn.functional.regression_kriging`). That belongs
        to the data that the model saw last and is found at every call, so
        pass all new nodes at once.

        Args:
            llm_x (torch.Tensor): Their profile embeddings.
            kind (str, optional): What they are, :obj:`'user'` or
                :obj:`'item'`. (default: :obj:`'item'`)

        Shapes:
            - **llm_x:** :math:`(N, D)`
            - **output:** :math:`(N, d)`

        Raises:
            ValueError: If the model has seen no data, that has no profiles
                of such nodes, or :obj:`llm_x` is not :obj:`llm_dim` wide or
                not finite.
        """
        check_choice('kind', kind, KINDS)
        graph = _SEEN.get(self)
        if graph is None or kind not in graph.llm_x:
            raise ValueError(
                f"'embed_profiles' learns from {kind}s with profiles; train "
                "the model on them, or call 'model(data)' once where it was "
                f'loaded (got {graph})'
            )
        is_matrix = is_dense(llm_x) and llm_x.dim() == 2
        if not is_matrix or llm_x.size(1) != self.llm_dim:
            raise ValueError(
                f"'llm_x' needs to be a tensor of shape (N, {self.llm_dim}) "
                f'(got {describe(llm_x)})'
            )
        check_embeddings(f'new {kind}', llm_x, llm_x.size(0))
        graph = self._graph(graph)
        with evaluating(self):
            embedding = self.encode(graph)[KINDS.index(kind)]
        profile = graph.llm_x[kind].to(embedding.dtype)
        degree = graph.user_degree if kind == 'user' else graph.item_degree
        known, profiled = degree > 0, graph.profiled(kind)
        if profiled is not None:
            known = known & profiled.mask
        if not known.any():
            raise ValueError(
                f"'embed_profiles' learns from {kind}s that have both "
                f'interactions and a profile (got none of {known.numel()})'
            )
        return regression_kriging(profile[known], embedding[known])(
            llm_x.to(embedding)
        )
