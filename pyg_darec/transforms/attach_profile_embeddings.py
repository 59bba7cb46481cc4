import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_darec.count_nodes import count_nodes
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.profiles.convert import to_embeddings, to_unit_length
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.encode import encode_texts
from pyg_darec.profiles.encoder import Encoder, describe
from pyg_darec.profiles.match import match_ids
from pyg_darec.profiles.read import Embeddings, read_embeddings
from pyg_darec.profiles.read_store import check_split, read_store
from pyg_darec.transforms.node_lists import node_ids, node_texts
from pyg_darec.transforms.relation import (
    check_hetero,
    list_options,
)
from pyg_darec.transforms.source import PATHS, SOURCES, Source, describe_source

# Options that matter to what is attached, shown where they are no defaults.
_NAMED = [
    'id_column',
    'text_attr',
    'id_attr',
    'cache_key',
    'dtype',
    'lazy',
    'edge_type',
]


@functional_transform('attach_profile_embeddings')
class AttachProfileEmbeddings(BaseTransform):
    r"""Puts the LLM profile embeddings of nodes into the graph (functional
    name: :obj:`attach_profile_embeddings`).

    They come from stores, files or tensors, or an encoder makes them from the
    profile texts of the nodes:

    .. code-block:: python

        AttachProfileEmbeddings({'user': 'usr.npy', 'item': tensor})
        AttachProfileEmbeddings({'item': 'embeddings/item'}, lazy=True)
        AttachProfileEmbeddings(encoder='all-MiniLM-L6-v2', cache_dir='cache')

    A file that holds ids is matched with the :obj:`id` of the nodes, each of
    which needs exactly one row. Any other source has one row per node, in
    their order. Nothing is filled in, repeated or left out. The store of an
    :func:`~pyg_darec.profiles.encode_profiles` says what it was made from,
    and is refused by a graph with other texts or training interactions.

    An empty text becomes a row of zeros, which
    :class:`~pyg_darec.nn.align.DaRecAlign` takes for no profile.

    Encoding takes long: use such a store, apply this as a
    :obj:`pre_transform`, or pass :obj:`cache_dir`, which also makes it go on
    after an interruption.

    Args:
        sources (dict, optional): For each node type, the folder of an
            :class:`~pyg_darec.profiles.EmbeddingStore`, a ``.npy``, ``.npz``,
            ``.safetensors``, ``.parquet`` or RLMRec ``.pkl`` file (see
            :func:`~pyg_darec.profiles.read_embeddings`), a tensor or an
            array. (default: :obj:`None`)
        encoder (str, SentenceTransformer or callable, optional): The name or
            the local folder of a sentence-transformers model, such a model,
            or a function from a list of texts to an array. It embeds every
            node type that has texts and is not in :obj:`sources`.
            (default: :obj:`None`)
        id_column (str, optional): The column or array of ids in the files.
            If :obj:`None`, the one called :obj:`id` or :obj:`ids`, if any.
            (default: :obj:`None`)
        attr_name (str, optional): The node attribute to write.
            (default: :obj:`'llm_x'`)
        text_attr (str, optional): The node attribute that holds the list of
            texts. (default: :obj:`'profile'`)
        id_attr (str, optional): The node attribute that holds the list of
            original ids. (default: :obj:`'id'`)
        cache_dir (str or os.PathLike, optional): The folder to keep encoded
            texts in. (default: :obj:`None`)
        cache_key (str, optional): What identifies a callable
            :obj:`encoder` in the cache. (default: :obj:`None`)
        batch_size (int, optional): The number of texts that go through the
            encoder at once. (default: :obj:`64`)
        normalize (bool, optional): If set to :obj:`True`, each row is
            divided by its L2 norm. (default: :obj:`False`)
        dtype (torch.dtype, optional): The type of the attribute.
            (default: :obj:`torch.float32`)
        lazy (bool, optional): If set to :obj:`True`, rows of a store stay in
            its file until they are used; see
            :meth:`~pyg_darec.profiles.EmbeddingStore.tensor`. The store needs
            to be in the order of the nodes and of type :obj:`dtype`.
            (default: :obj:`False`)
        edge_type (tuple, optional): The relation whose training interactions
            a store may have been made from.
            (default: :obj:`('user', 'rates', 'item')`)

    Shapes:
        - **output:** :obj:`data[type].llm_x` :math:`(N, D)` with one
          :math:`D` for all types

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If embeddings are not one finite floating-point vector of
            one width per node, ids are missing, extra or not unique, texts
            are missing, or a file is damaged. The message names the file,
            the node type and the first row or id at fault.
    """

    def __init__(
        self,
        sources: Mapping[str, Source] | None = None,
        encoder: Encoder | None = None,
        *,
        id_column: str | None = None,
        attr_name: str = 'llm_x',
        text_attr: str = 'profile',
        id_attr: str = 'id',
        cache_dir: str | os.PathLike[str] | None = None,
        cache_key: str | None = None,
        batch_size: int = 64,
        normalize: bool = False,
        dtype: torch.dtype = torch.float32,
        lazy: bool = False,
        edge_type: EdgeType = EDGE_TYPE,
    ) -> None:
        if sources is not None and not isinstance(sources, Mapping):
            raise TypeError(
                "'sources' needs to be a dict from node type to file or "
                "tensor; a model is passed as 'encoder' "
                f"(got '{type(sources).__name__}')"
            )
        if not sources and encoder is None:
            raise ValueError(
                "'sources' or 'encoder' needs to be given (got neither)"
            )
        for node_type, source in (sources or {}).items():
            if not isinstance(source, SOURCES):
                raise TypeError(
                    f"The source of node type '{node_type}' needs to be a "
                    'path, a tensor or an array '
                    f"(got '{type(source).__name__}')"
                )
        if not dtype.is_floating_point:
            raise ValueError(
                f"'dtype' needs to be a floating-point type (got {dtype})"
            )
        self.sources = dict(sources or {})
        self.encoder = encoder
        self.id_column = id_column
        self.attr_name = attr_name
        self.text_attr = text_attr
        self.id_attr = id_attr
        self.cache_dir = cache_dir
        self.cache_key = cache_key
        self.batch_size = batch_size
        self.normalize = normalize
        self.dtype = dtype
        self.lazy = lazy
        self.edge_type = edge_type

    def forward(self, data: HeteroData) -> HeteroData:
        check_hetero(data, self.__class__.__name__)
        out = {t: self._read(data, t) for t in self.sources}
        if self.encoder is not None:
            types = [
                t
                for t in data.node_types
                if t not in out and self.text_attr in data[t]
            ]
            if not types and not out:
                raise ValueError(
                    f'No node type has texts to encode; set '
                    f'data[type].{self.text_attr} (got {data.node_types})'
                )
            out |= {t: self._encode(data, t, self.encoder) for t in types}
        self._check_width(data, out)
        for node_type, x in out.items():
            if not (self.lazy and self._is_store(node_type)):
                if self.normalize:
                    x = to_unit_length(x)
                x = to_embeddings(x, self._name(node_type), dtype=self.dtype)
            data[node_type][self.attr_name] = x
        return data

    def _check_width(self, data: HeteroData, out: dict[str, Tensor]) -> None:
        present = {
            t: data[t][self.attr_name]
            for t in data.node_types
            if isinstance(data[t].get(self.attr_name), Tensor)
        }
        widths = {t: x.size(-1) for t, x in (present | out).items()}
        if len(set(widths.values())) > 1:
            names = ', '.join(self._name(t) for t in out)
            raise ValueError(
                f"'{self.attr_name}' needs one width for all node types; "
                f'embed them with the same model: {names} (got {widths})'
            )

    def __repr__(self) -> str:
        args = [
            f'{t}: {describe_source(source)}'
            for t, source in self.sources.items()
        ]
        args = ['{' + ', '.join(args) + '}'] if args else []
        if self.encoder is not None:
            args.append(f'encoder={describe(self.encoder)}')
        args.append(f"attr_name='{self.attr_name}'")
        args.append(f'normalize={self.normalize}')
        args += list_options(self, AttachProfileEmbeddings, _NAMED)
        return f'{self.__class__.__name__}({", ".join(args)})'

    def _is_store(self, node_type: str) -> bool:
        source = self.sources.get(node_type)
        return isinstance(source, PATHS) and Path(source).is_dir()

    def _read_store(self, data: HeteroData, node_type: str) -> Tensor:
        where, node = self._name(node_type), data[node_type]
        store = EmbeddingStore(str(self.sources[node_type]))
        manifest = store.manifest
        if manifest.split is not None:
            check_split(store, where, hash_split(data, self.edge_type))
            node[PROFILE_SPLIT] = manifest.split
        stored = manifest.dtype, manifest.normalized or not self.normalize
        if self.lazy and stored != (str(self.dtype)[6:], True):
            raise ValueError(
                f'{where} can only be read lazily as it is; encode it with '
                "this 'dtype' and 'normalize', or pass lazy=False (got "
                f'{manifest.dtype}, normalized={manifest.normalized})'
            )
        return read_store(
            store,
            where,
            count_nodes(data, node_type),
            None if manifest.ids is None else self._node_ids(data, node_type),
            self._texts(data, node_type) if self.text_attr in node else None,
            self.lazy,
        )

    def _read(self, data: HeteroData, node_type: str) -> Tensor:
        num_nodes = count_nodes(data, node_type)
        where, source = self._name(node_type), self.sources[node_type]
        if self._is_store(node_type):
            return self._read_store(data, node_type)
        if isinstance(source, PATHS):
            x, ids = read_embeddings(source, self.id_column, where)
        else:
            x, ids = Embeddings(to_embeddings(source, where), None)
        if ids is not None:
            x = x[match_ids(ids, self._node_ids(data, node_type), where)]
        if len(x) != num_nodes:
            raise ValueError(
                f'{where} needs one row per node; without ids, rows are '
                f'matched by position (got {len(x)} rows for {num_nodes} '
                'nodes)'
            )
        return x

    def _encode(
        self, data: HeteroData, node_type: str, encoder: Encoder
    ) -> Tensor:
        has_ids = self.id_attr in data[node_type]
        return encode_texts(
            self._texts(data, node_type),
            encoder,
            self._node_ids(data, node_type) if has_ids else None,
            self._name(node_type),
            self.cache_dir,
            self.cache_key,
            self.batch_size,
        )

    def _texts(self, data: HeteroData, node_type: str) -> list[str]:
        return node_texts(data, node_type, self.text_attr)

    def _node_ids(self, data: HeteroData, node_type: str) -> list[Any]:
        return node_ids(data, node_type, self.id_attr, self._name(node_type))

    def _name(self, node_type: str) -> str:
        source = self.sources.get(node_type)
        if source is None:
            what = f"'{self.text_attr}'"
        elif isinstance(source, PATHS):
            what = f"'{os.fspath(source)}'"
        else:
            what = 'The given tensor'
        return f"{what} of node type '{node_type}'"
