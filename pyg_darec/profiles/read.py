"""Reading embedding files, none of which may run code or go unchecked."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from pyg_darec.io import RestrictedPickleError, load_restricted_pickle
from pyg_darec.profiles.convert import to_embeddings
from pyg_darec.profiles.parquet import merge_columns, read_columns

EMBEDDING_NAMES = ('embeddings', 'embedding', 'emb')
ID_NAMES = ('id', 'ids')


class Embeddings(NamedTuple):
    r"""Embeddings and, where their file has them, the ids of the rows."""

    x: Tensor
    ids: list[Any] | None


def read_embeddings(
    path: str | os.PathLike[str],
    id_column: str | None = None,
    where: str | None = None,
) -> Embeddings:
    r"""Reads a matrix of embeddings, and the ids of its rows if there are
    any. The embeddings come as :obj:`torch.float32`.

    * ``.npy`` and RLMRec's ``.pkl`` hold the matrix and no ids. Pickled
      code is never run.
    * ``.npz`` and ``.safetensors`` hold the matrix and may hold a vector of
      ids. Where they hold more than these two, the matrix is called
      :obj:`embeddings`, :obj:`embedding` or :obj:`emb`.
    * ``.parquet`` holds the matrix as one column of lists, or as one
      floating-point column per dimension, numbered like :obj:`'0'` or
      :obj:`'dim_0'` and in the order of these numbers, and may hold a column
      of ids.
      Other columns are as above.

    Args:
        path (str or os.PathLike): The file.
        id_column (str, optional): The array or column of ids. If
            :obj:`None`, the one called :obj:`id` or :obj:`ids`, if any.
            (default: :obj:`None`)
        where (str, optional): What error messages call the file.
            (default: its path)

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of an unknown format, lacks what
            is asked of it, or holds anything but finite floating-point
            vectors of one width.
    """
    path = Path(path)
    where = where or f"'{path}'"
    if path.suffix not in _READERS:
        raise ValueError(
            f'{where} needs to be one of {sorted(_READERS)}; the name of a '
            f"model is passed as 'encoder' (got suffix '{path.suffix}')"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f'{where} does not exist or is no file; check the path (got '
            f"'{path.absolute()}')"
        )
    try:
        arrays = _READERS[path.suffix](path)
    except (ImportError, RestrictedPickleError):
        raise
    except Exception as error:  # each library has its own
        raise ValueError(
            f'{where} is not a complete and valid {path.suffix} file; write '
            f'it again (got {type(error).__name__}: {error})'
        ) from error
    ids = _pop_ids(arrays, id_column, where)
    if path.suffix == '.parquet':
        arrays = merge_columns(arrays, where, ids is not None)
    matrix = _pick(arrays, ids is not None, where)
    if not isinstance(matrix, Tensor | np.ndarray | list):
        raise ValueError(
            f'{where} needs to hold a matrix of embeddings '
            f"(got '{type(matrix).__name__}')"
        )
    x = to_embeddings(matrix, where, ids)
    if ids is not None and len(ids) != len(x):
        raise ValueError(
            f'{where} needs one id per embedding (got {len(ids)} ids and '
            f'{len(x)} embeddings)'
        )
    return Embeddings(x, ids)


def _pop_ids(
    arrays: dict[str, Any], id_column: str | None, where: str
) -> list[Any] | None:
    names = ID_NAMES if id_column is None else (id_column,)
    found = [name for name in names if name in arrays]
    if not found and id_column is None:
        return None
    if len(found) != 1:
        raise ValueError(
            f"{where} needs one array or column of ids, '{id_column or 'id'}'; "
            f"say which with 'id_column' (got {sorted(arrays)})"
        )
    ids = arrays.pop(found[0])
    if ids.ndim != 1:
        raise ValueError(
            f"'{found[0]}' of {where} needs one id per row, as a vector (got "
            f'shape {tuple(ids.shape)})'
        )
    return list(ids.tolist())


def _pick(arrays: dict[str, Any], has_ids: bool, where: str) -> Any:
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    # Without ids, what else is there could be ids by another name.
    named = [name for name in EMBEDDING_NAMES if name in arrays]
    if has_ids and len(named) == 1:
        return arrays[named[0]]
    raise ValueError(
        f"{where} needs one matrix, called 'embeddings' if there is more, "
        "and ids called 'id' if there are any; rename them or say which "
        f"holds the ids with 'id_column' (got {sorted(arrays)})"
    )


def _read_npy(path: Path) -> dict[str, Any]:
    return {'': np.load(path, allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def _read_pickle(path: Path) -> dict[str, Any]:
    return {'': load_restricted_pickle(path)}


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    '.npy': _read_npy,
    '.npz': _read_npz,
    '.safetensors': _read_safetensors,
    '.pkl': _read_pickle,
    '.parquet': read_columns,
}
