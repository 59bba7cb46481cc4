"""The bipartite interaction graph that everything downstream works on."""

import copy
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.changes import is_trained, stamp, version_of
from pyg_darec.checks import check_embeddings, check_index, check_shape
from pyg_darec.count_nodes import count_nodes
from pyg_darec.held_out import positive_pairs
from pyg_darec.profiled import Profiled, find_profiled
from pyg_darec.sparse import CSR, Propagate

EdgeType = tuple[str, str, str]
EDGE_TYPE: EdgeType = ('user', 'rates', 'item')
Kind: TypeAlias = Literal['user', 'item']
KINDS: tuple[Kind, Kind] = ('user', 'item')
Batch = tuple[Tensor, Tensor, Tensor]  # users, positive, negative items


class BipartiteGraph:
    r"""User-item interactions as a sparse matrix, sorted and normalised once
    and ready in both directions.

    Edges carry the symmetric normalisation of
    :class:`~torch_geometric.nn.conv.LGConv`,

    .. math::
        w_{ui} = \frac{1}{\sqrt{\deg(u) \deg(i)}},

    so that one :meth:`propagate` equals one
    :class:`~torch_geometric.nn.conv.LGConv` on the undirected graph.
    Duplicate interactions count once: implicit feedback is a set. Weights
    are of the default dtype, and rounded to it in wider products as well.

    Args:
        edge_index (torch.Tensor): User indices (row 0) and item indices
            (row 1) of the training interactions, in any order.
        num_users (int): The number of users :math:`U`.
        num_items (int): The number of items :math:`I`.
        llm_x (dict, optional): LLM profile embeddings of :obj:`'user'` and
            :obj:`'item'`; those made in inference mode are copied, so that
            they can be trained on. (default: :obj:`None`)
        edge_label_index (dict, optional): Held-out interactions, keyed
            by :obj:`'val'` and :obj:`'test'`. (default: :obj:`None`)
        edge_type (tuple, optional): The relation that the interactions came
            from. (default: :obj:`('user', 'rates', 'item')`)
        source (HeteroData, optional): What the graph was built from, for
            foreign models that read more than interactions.
            (default: :obj:`None`)

    Shapes:
        - **edge_index:** :math:`(2, E)`, of any integer dtype
        - **weight:** :math:`(E)`, in the order of :attr:`edge_index`
        - **llm_x:** :math:`(U, D_U)` and :math:`(I, D_I)`

    Raises:
        ValueError: If an index is not an integer tensor of shape
            :math:`(2, E)` or names a node that does not exist, or if
            embeddings have the wrong number of rows or are not finite.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        edge_index: Tensor,
        num_users: int,
        num_items: int,
        llm_x: Mapping[str, Tensor] | None = None,
        edge_label_index: Mapping[str, Tensor] | None = None,
        edge_type: EdgeType = EDGE_TYPE,
        source: HeteroData | None = None,
    ) -> None:
        self.num_users = num_users
        self.num_items = num_items
        self.edge_type = edge_type
        self.source = source
        self.llm_x = dict(llm_x or {})
        for kind, size in (('user', num_users), ('item', num_items)):
            if kind in self.llm_x:
                x = self.llm_x[kind]
                check_embeddings(kind, x, size)
                # Encoders may run in inference mode, and no gradient can be
                # taken through what is made there.
                self.llm_x[kind] = x.clone() if x.is_inference() else x
        held_out = edge_label_index or {}
        for name, index in {'train': edge_index, **held_out}.items():
            check_index(name, index, num_users, num_items)
        self.edge_label_index = {k: v.long() for k, v in held_out.items()}

        key = edge_index[0].long() * num_items + edge_index[1].long()
        key = torch.unique(key)  # sorted by user, then by item
        user = torch.div(key, max(num_items, 1), rounding_mode='floor')
        item = key - user * num_items
        self.edge_index = torch.stack([user, item])
        """Unique interactions, sorted by user, then by item."""

        self.user_degree = torch.bincount(user, minlength=num_users)
        self.item_degree = torch.bincount(item, minlength=num_items)
        self._by_user = CSR.from_edges(
            user, item, (num_users, num_items), is_sorted=True
        )
        self._by_item = CSR.from_edges(item, user, (num_items, num_users))
        norm = self.user_degree[user].double() * self.item_degree[item]
        self._weight = norm.rsqrt().to(torch.get_default_dtype())
        self.is_weighted = False
        """Whether the weights are others than degrees give."""

        self._cache: dict[torch.dtype, tuple[int, tuple[Tensor, ...]]] = {}
        self._moved: dict[torch.device, tuple[Any, ...]] = {}
        self._profiled: dict[Kind, tuple[Tensor, int, Profiled | None]] = {}
        self._matrices(self.weight.dtype)  # before a CUDA graph owns them
        for kind in KINDS:
            self.profiled(kind)

    @classmethod
    def from_data(
        cls,
        data: HeteroData,
        edge_type: EdgeType = EDGE_TYPE,
        llm_attr: str = 'llm_x',
    ) -> 'BipartiteGraph':
        r"""Builds the graph from the :obj:`edge_index`,
        :obj:`val_edge_label_index` and :obj:`test_edge_label_index` of one
        relation and the profile embeddings of its two node types. Held-out
        pairs whose :obj:`val_edge_label` or :obj:`test_edge_label` is 0 are
        negative samples, and left out.

        Args:
            data (HeteroData): The data.
            edge_type (tuple, optional): The relation, from users to items.
                (default: :obj:`('user', 'rates', 'item')`)
            llm_attr (str, optional): The node attribute that holds profile
                embeddings. (default: :obj:`'llm_x'`)

        Raises:
            ValueError: If the relation, its :obj:`edge_index` or the number
                of nodes of one of its types is missing.
        """
        if edge_type not in data.edge_types:
            raise ValueError(
                f"'data' has no relation {edge_type}; name yours with "
                f"'BipartiteGraph.from_data(data, edge_type=...)' "
                f'(got {data.edge_types})'
            )
        store = data[edge_type]
        if 'edge_index' not in store:
            raise ValueError(f"data[{edge_type}] has no 'edge_index'")
        types = {'user': edge_type[0], 'item': edge_type[2]}
        return cls(
            store.edge_index,
            num_users=count_nodes(data, types['user'], llm_attr),
            num_items=count_nodes(data, types['item'], llm_attr),
            llm_x={
                kind: data[node_type][llm_attr]
                for kind, node_type in types.items()
                if llm_attr in data[node_type]
            },
            edge_label_index={
                split: positive_pairs(store, f'{split}_edge_label_index')
                for split in ('val', 'test')
                if f'{split}_edge_label_index' in store
            },
            edge_type=edge_type,
            source=copy.copy(data),
        )

    @property
    def weight(self) -> Tensor:
        r"""The weights of :attr:`edge_index`; :meth:`with_weight` gives a
        graph with others.
        """
        return self._weight

    @property
    def num_edges(self) -> int:
        return self.edge_index.size(1)

    @property
    def num_nodes(self) -> int:
        return self.num_users + self.num_items

    @property
    def device(self) -> torch.device:
        return self.edge_index.device

    def propagate(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        r"""One step of message passing in both directions,
        :math:`(\mathbf{A} \mathbf{X}_I, \mathbf{A}^{\top} \mathbf{X}_U)`,
        differentiable in both inputs and in :attr:`weight`.

        Args:
            user (torch.Tensor): User embeddings :math:`(U, d)`.
            item (torch.Tensor): Item embeddings :math:`(I, d)`.

        Raises:
            ValueError: If there is not one embedding per user and per item.
        """
        # Sparse products of torch would read past the end.
        if (*user.shape[:-1], *item.shape[:-1]) != (
            self.num_users,
            self.num_items,
        ):
            raise ValueError(
                f"'user' and 'item' need one row for each of {self.num_users} "
                f'users and {self.num_items} items (got shapes '
                f'{tuple(user.shape)} and {tuple(item.shape)})'
            )
        # Half-precision sparse products exist on no CPU, and lose accuracy
        # in long sums everywhere.
        half = user.dtype in (torch.float16, torch.bfloat16)
        dtype = torch.float32 if half else user.dtype
        weight = self.weight.to(dtype)
        out_user, out_item = Propagate.apply(
            user.to(dtype), item.to(dtype), weight, *self._matrices(dtype)
        )
        return out_user.to(user.dtype), out_item.to(item.dtype)

    def _matrices(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        # Others change no weights within a step, which is what is compiled.
        is_fixed = torch.compiler.is_compiling()
        version = 0 if is_fixed else version_of(self.weight)
        known = self._cache.get(dtype)
        if known is None or not (is_fixed or known[0] == version):
            weight = self.weight.detach().to(dtype)
            to_user, to_item = self._by_user, self._by_item
            parts = to_user.weighted(weight) + to_item.weighted(weight)
            known = version, parts
            if not is_trained(self.weight):
                self._cache[dtype] = known
        return known[1]

    def profiled(self, kind: Kind) -> Profiled | None:
        r"""Which users or items have a profile, as a row of zeros is none;
        :obj:`None` if all of them do, or there are no profiles.
        """
        x = self.llm_x.get(kind)
        if x is None:
            return None
        # Others change no profiles within a step, which is what is compiled.
        version = None if torch.compiler.is_compiling() else version_of(x)
        known = self._profiled.get(kind)
        is_known = known is not None and known[0] is x
        if known is None or not (is_known and version in (None, known[1])):
            known = self._profiled[kind] = x, version_of(x), find_profiled(x)
        return known[2]

    def with_weight(self, weight: Tensor) -> 'BipartiteGraph':
        r"""The same graph with other edge weights, sharing all the rest.

        Args:
            weight (torch.Tensor): One weight :math:`(E)` per edge, in the
                order of :attr:`edge_index`.

        Raises:
            ValueError: If :obj:`weight` has another shape.
        """
        check_shape(self.weight.shape, weight=weight)
        out = copy.copy(self)
        out._weight, out._cache, out._moved = weight, {}, {}
        out.is_weighted = True
        return out

    def drop_edges(self, p: float) -> 'BipartiteGraph':
        r"""A view in which each edge is missing with probability :obj:`p`,
        in both directions at once. The weights of those that stay are not
        rescaled, and nothing is sorted again.

        Raises:
            ValueError: If :obj:`p` is not in :math:`[0, 1)`.
        """
        if not 0 <= p < 1:
            raise ValueError(f"'p' needs to be in [0, 1) (got {p})")
        if p == 0:
            return self
        keep = torch.rand(self.num_edges, device=self.device) >= p
        return self.with_weight(self.weight * keep)

    def to(self, device: torch.device | str) -> 'BipartiteGraph':
        r"""The graph on another device, the same one at every call unless
        weights or profiles changed; itself where it is there already.
        """
        device = torch.device(device)
        if self.device == device:
            return self
        # What is not made by the graph itself may be replaced or changed.
        others = [self.weight, *self.llm_x.values()]
        key = [stamp(x) for x in others], list(self.llm_x)
        known = self._moved.get(device)
        if known is None or known[0] != key:
            # Holding them keeps their ids from being given to others.
            known = self._moved[device] = key, others, self._copy_to(device)
        out: BipartiteGraph = known[2]
        return out

    @torch.inference_mode(False)
    def _copy_to(self, device: torch.device) -> 'BipartiteGraph':
        out = copy.copy(self)
        out._cache, out._moved, out._profiled = {}, {}, {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor | CSR):
                setattr(out, name, value.to(device))
            elif isinstance(value, HeteroData):
                setattr(out, name, copy.copy(value).to(device))
            elif name in ('llm_x', 'edge_label_index'):
                moved = {k: v.to(device) for k, v in value.items()}
                setattr(out, name, moved)
        out._matrices(out.weight.dtype)
        return out

    def __getstate__(self) -> dict[str, Any]:
        # Copies of tensors count versions of their own.
        return {**vars(self), '_cache': {}, '_moved': {}, '_profiled': {}}

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items}, num_edges={self.num_edges})'
        )
