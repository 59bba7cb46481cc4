"""Graphs in a folder, to be read by a later command or another program."""

import copy
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.checks import describe, is_dense
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.held_out import held_out_keys
from pyg_darec.io.folder import MANIFEST, read_folder, write_folder
from pyg_darec.io.json_lines import read_lines, to_plain
from pyg_darec.transforms import AttachProfileEmbeddings

FORMAT = 'pyg_darec.data.1'
TENSORS = 'tensors.safetensors'


def save_data(
    data: HeteroData,
    folder: str | os.PathLike[str],
    embeddings: Mapping[str, str | os.PathLike[str]] | None = None,
) -> None:
    r"""Saves a graph with its splits, ids and texts to a folder that
    :func:`load_data` reads, without pickle.

    Tensors are in ``tensors.safetensors``, each list in a text file with one
    JSON value a line, such as ``item.profile.jsonl``, and the rest in
    ``manifest.json``, with the hash of each file. An earlier graph in the
    folder stays as it was until the new one is complete.

    .. code-block:: python

        data = SplitInteractions()(from_table('ratings.csv'))
        save_data(data, 'data')
        data = load_data('data')

    Args:
        data (torch_geometric.data.HeteroData): The graph.
        folder (str or os.PathLike): The folder, which is made if it does not
            exist.
        embeddings (dict, optional): For each node type, the file or store
            that its :obj:`llm_x` was attached from with
            :class:`~pyg_darec.transforms.AttachProfileEmbeddings`. It is
            referred to, by a path relative to the folder, and not copied.
            (default: :obj:`None`)

    Raises:
        TypeError: If :obj:`data` is no graph or holds what cannot be saved
            exactly, such as a sparse tensor or an id that is a date.
        ValueError: If something else is in the folder, or a file of
            :obj:`embeddings` does not give the :obj:`llm_x` of its type.
        OSError: If the folder cannot be written.
    """
    if not isinstance(data, HeteroData):
        raise TypeError(
            "'data' needs to be a 'HeteroData' to be saved "
            f"(got '{type(data).__name__}')"
        )
    folder, sources = Path(folder), dict(embeddings or {})
    _check_sources(data, sources)
    tensors: dict[str, Tensor] = {}
    lists: dict[str, list[Any]] = {}
    parts = []
    for key, store in data.to_dict().items():
        name = '.'.join([key] if isinstance(key, str) else key)
        attributes: dict[str, Any] = {}
        for attr, value in store.items():
            what = f'{name}.{attr}'
            if attr == 'llm_x' and key in sources:
                path = _relative(Path(sources[key]), folder)
                attributes[attr] = {
                    'source': path.as_posix(),
                    'sha256': _digest(value),
                }
            elif isinstance(value, Tensor):
                # A name with a dot can make two names one.
                what = what if what not in tensors else f'{len(tensors)}.{what}'
                tensors[what] = _packed(value, what)
                attributes[attr] = {'tensor': what}
            elif type(value) is list:
                file = _file_name(what, lists)
                lists[file] = value
                attributes[attr] = {'list': file}
            else:
                attributes[attr] = {'value': _plain(value, what)}
        parts.append({'key': key, 'attributes': attributes})

    with write_folder(folder, FORMAT) as writer:
        writer.content['parts'] = parts
        # Not 'save_file': it leaves a file of its own behind after a kill.
        writer.add(TENSORS).write_bytes(save(tensors))
        for file, values in lists.items():
            writer.add_lines(file, values)


def load_data(
    folder: str | os.PathLike[str], embeddings: bool = True
) -> HeteroData:
    r"""Loads a graph that :func:`save_data` saved, bit by bit the same, on
    the CPU.

    Args:
        folder (str or os.PathLike): The folder.
        embeddings (bool, optional): If set to :obj:`False`, leaves out
            embeddings that the folder refers to, whatever became of them.
            (default: :obj:`True`)

    Raises:
        FileNotFoundError: If there is no such folder, or embeddings that it
            refers to are gone.
        ValueError: If the folder holds something else, or a file is missing,
            truncated or damaged; names the file.
    """
    folder = Path(folder)
    manifest = read_folder(folder, FORMAT)
    stores: dict[Any, dict[str, Any]] = {}
    referred: dict[str, dict[str, str]] = {}
    try:
        with safe_open(folder / TENSORS, framework='pt') as file:
            for part in manifest['parts']:
                key = part['key']
                key = key if isinstance(key, str) else tuple(key)
                stores[key] = {}
                for attr, value in part['attributes'].items():
                    match value:
                        case {'tensor': name}:
                            # A copy: the original is a slice of the file.
                            loaded = file.get_tensor(name).clone()
                        case {'list': name}:
                            loaded = read_lines(folder / Path(name).name)
                        case {'source': _}:
                            if embeddings:
                                referred[part['key']] = value
                            continue
                        case _:
                            loaded = value['value']
                    stores[key][attr] = loaded
        data = HeteroData.from_dict(stores)
    except (LookupError, TypeError, AttributeError, SafetensorError) as e:
        raise ValueError(
            f"'{folder / MANIFEST}' does not describe a graph; save it again "
            f'(got {type(e).__name__}: {e})'
        ) from e
    if referred:
        sources = {key: folder / v['source'] for key, v in referred.items()}
        for node_type, source in sources.items():
            if not source.exists():
                raise FileNotFoundError(
                    f"'{folder}' refers to '{source}' for the embeddings of "
                    f"node type '{node_type}'; bring it back, or make them "
                    "again, as by 'pyg-darec encode' (got nothing there)"
                )
        data = _attach(data, sources)
    for node_type, reference in referred.items():
        if _digest(data[node_type].llm_x) != reference['sha256']:
            raise ValueError(
                f"'{sources[node_type]}' holds other embeddings than when "
                f"'{folder}' was saved; bring the file back, or attach it and "
                f"save again (got another hash for node type '{node_type}')"
            )
    return data


def _check_sources(data: HeteroData, sources: Mapping[str, Any]) -> None:
    if not sources:
        return
    read = _attach(copy.copy(data), sources)
    for node_type, source in sources.items():
        x = data[node_type].get('llm_x')
        same = isinstance(x, Tensor) and x.cpu().equal(read[node_type].llm_x)
        if not same:
            raise ValueError(
                f"'embeddings' names '{source}', which does not hold the "
                f"'llm_x' of node type '{node_type}'; attach it as it is, or "
                'leave it out to save a copy (got other values)'
            )


def _attach(data: HeteroData, sources: Mapping[str, Any]) -> HeteroData:
    # The relation matters to stores, which know what they were made from: the
    # one that is split, or else the one that all others take.
    edge_type = max(
        data.edge_types,
        key=lambda e: (bool(held_out_keys(data, e)), e == EDGE_TYPE),
        default=EDGE_TYPE,
    )
    out: HeteroData = AttachProfileEmbeddings(sources, edge_type=edge_type)(
        data
    )
    return out


def _relative(source: Path, folder: Path) -> Path:
    # '..' leads out of where a link points to, not out of where it is. The
    # last part of the source stays: a link there may change its target.
    source = Path(os.path.realpath(source.parent), source.name)
    return Path(os.path.relpath(source, os.path.realpath(folder)))


def _packed(value: Tensor, what: str) -> Tensor:
    # What a subclass knows besides its values would be lost.
    if not is_dense(value) or type(value) is not Tensor:
        raise TypeError(
            f"Only dense tensors can be saved; convert '{what}' "
            f"(got a '{type(value).__name__}', {describe(value)})"
        )
    # A copy each: safetensors refuses storage that tensors share.
    return value.detach().to('cpu', copy=True).contiguous()


def _plain(value: Any, what: str) -> Any:
    try:
        return to_plain(value)
    except TypeError as e:
        raise TypeError(f"'{what}' cannot be saved: {e}") from None


def _file_name(what: str, taken: Mapping[str, Any]) -> str:
    name = f'{what}.jsonl'
    # Not every file system tells cases apart or takes every letter.
    is_free = name.lower() not in {other.lower() for other in taken}
    if re.fullmatch(r'\w[\w.-]{0,99}', name, re.ASCII) and is_free:
        return name
    return f'{len(taken)}.jsonl'


def _digest(x: Tensor) -> str:
    raw = x.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.sha256(raw.data).hexdigest()
