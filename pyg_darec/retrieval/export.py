"""Embeddings and an index for a service that knows nothing of PyTorch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.checks import check_count, without_addresses
from pyg_darec.graph import KINDS, BipartiteGraph
from pyg_darec.io.folder import MANIFEST, check_folder, write_folder
from pyg_darec.retrieval.embedding import compute_embeddings
from pyg_darec.retrieval.faiss_index import (
    build_index,
    measure_recall,
    write_index,
)
from pyg_darec.retrieval.nodes import node_ids

FORMAT = 'pyg_darec.export.1'
INDEX = 'item.faiss'
Format: TypeAlias = Literal['safetensors', 'parquet']


@dataclass(frozen=True)
class Export:
    r"""What :func:`export` wrote.

    Attributes:
        folder (pathlib.Path): The folder.
        files (tuple): The names of the files in it.
        recall (float, optional): The share of the exact best items that the
            index finds.
    """

    folder: Path
    files: tuple[str, ...]
    recall: float | None


def export(
    model: torch.nn.Module,
    data: HeteroData | BipartiteGraph,
    folder: str | os.PathLike[str],
    format: Format | Sequence[Format] = 'safetensors',
    index: str | None = None,
    index_parameters: str | None = None,
    k: int = 20,
) -> Export:
    r"""Writes the user and item embeddings of a model, with original ids, and
    on request a `FAISS <https://faiss.ai>`_ index of the items. The score of
    an item is the inner product of the two.

    ============================  ===========================================
    file                          content
    ============================  ===========================================
    ``user.safetensors``          the tensor :obj:`embedding`, :math:`(U, d)`
    ``user.id.jsonl``             the ids in the same order, one a line
    ``user.parquet``              the columns :obj:`id` and :obj:`embedding`
    ``item.faiss``                the index; its numbers are rows of items
    ``manifest.json``             the model, the shapes, the measured recall
                                  of the index and the hash of each file
    ============================  ===========================================

    and the first three for items. After the index is written, it is read
    again and asked for the best items of up to 1,000 users: the share of
    the exact answer that it finds is returned and stored. All files take
    their places together, so that an earlier export is whole until then.

    .. code-block:: python

        export(model, data, 'export', format='parquet', index='Flat')

    Args:
        model (torch.nn.Module): Whatever
            :func:`~pyg_darec.nn.models.as_recommender` takes.
        data (torch_geometric.data.HeteroData or BipartiteGraph): The
            interactions.
        folder (str or os.PathLike): The folder: a new one, an empty one or
            an earlier export, which is replaced.
        format (str or Sequence[str], optional): :obj:`'safetensors'`,
            :obj:`'parquet'` or both. (default: :obj:`'safetensors'`)
        index (str, optional): The index as FAISS's ``index_factory`` calls
            it: :obj:`'Flat'` is exact, :obj:`'HNSW32'` and
            :obj:`'IVF256,Flat'` trade recall for speed. If :obj:`None`, no
            index is written. (default: :obj:`None`)
        index_parameters (str, optional): How the index searches, for example
            :obj:`'nprobe=16'` or :obj:`'efSearch=64'`; stored with it.
            (default: :obj:`None`)
        k (int, optional): The number of items per user in the check of the
            index; at most all of them. (default: :obj:`20`)

    Raises:
        ValueError: If something else is in the folder, embeddings are not
            finite, ids do not fit into a column of a Parquet file, FAISS
            cannot make the index, or a flat one is not exact.
        OSError: If the folder cannot be written.
        ImportError: If :obj:`faiss` or :obj:`pyarrow` is needed and not
            installed.
    """
    formats = (format,) if isinstance(format, str) else tuple(format)
    for choice in formats:
        if choice not in get_args(Format):
            raise ValueError(
                f"'format' needs to be one or several of {get_args(Format)} "
                f"(got '{choice}')"
            )
    if index is None and index_parameters is not None:
        raise ValueError(
            "'index_parameters' needs an 'index' that they are for "
            f"(got index_parameters='{index_parameters}')"
        )
    check_count(k=k)
    check_folder(folder, FORMAT)  # before anything that takes long
    graph = as_graph(data)
    user, item = compute_embeddings(model, data)
    x = {'user': user, 'item': item}
    ids = {kind: list(node_ids(data, kind)) for kind in KINDS}
    tables: dict[str, Any] = {}
    if 'parquet' in formats:
        tables = {kind: _to_table(ids[kind], x[kind], kind) for kind in KINDS}
    built = None
    if index is not None:
        built = build_index(item, index, index_parameters)

    recall = None
    with write_folder(folder, FORMAT) as writer:
        writer.content |= {
            'model': _describe(model),
            'data': repr(graph),
            'embeddings': {
                kind: {
                    'shape': list(x[kind].shape),
                    'dtype': str(x[kind].dtype),
                }
                for kind in KINDS
            },
        }
        for kind in KINDS:
            if 'safetensors' in formats:
                tensor = x[kind].detach().to('cpu', copy=True).contiguous()
                path = writer.add(f'{kind}.safetensors')
                path.write_bytes(save({'embedding': tensor}))
                writer.add_lines(f'{kind}.id.jsonl', ids[kind])
            if kind in tables:
                _write_parquet(tables[kind], writer.add(f'{kind}.parquet'))
        if built is not None:
            path = writer.add(INDEX)
            write_index(built, path)
            check = measure_recall(path, user, item, min(k, len(item)))
            recall = check['recall']
            if index == 'Flat' and recall < 1:
                raise ValueError(
                    "The index 'Flat' needs to be exact; its scores overflow "
                    'or lose their digits in single precision, so scale the '
                    f'embeddings down (got a recall of {recall})'
                )
            writer.content['index'] = {
                'factory': index,
                'parameters': index_parameters,
                **check,
            }
    return Export(Path(folder), (*writer.written, MANIFEST), recall)


def _describe(model: torch.nn.Module) -> str:
    name = f'{type(model).__module__}.{type(model).__qualname__}'
    return without_addresses(f'{name}: {model!r}')


def _to_table(ids: list[Any], x: Tensor, kind: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError as e:
        raise ImportError(
            "format='parquet' needs pyarrow; run 'pip install pyarrow'"
        ) from e
    try:
        id = pa.array(ids)
    except (pa.ArrowException, ValueError, OverflowError) as e:
        raise ValueError(
            f'The ids of {kind}s do not fit into one column of a Parquet '
            "file; give them one type, or use format='safetensors' "
            f'(got {e})'
        ) from e
    # Half precision is a type that few readers of Parquet know.
    dtype = torch.promote_types(x.dtype, torch.float32)
    flat = np.ascontiguousarray(x.detach().cpu().to(dtype).numpy()).reshape(-1)
    rows = pa.FixedSizeListArray.from_arrays(pa.array(flat), x.size(1))
    return pa.table({'id': id, 'embedding': rows})


def _write_parquet(table: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)
