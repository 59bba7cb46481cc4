"""Taking single files out of published archives."""

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pyg_darec.io.atomic import atomic_write

_CHUNK = 2**20


def unpack_members(
    archive: str | os.PathLike[str],
    members: Mapping[str, str | os.PathLike[str]],
    max_bytes: int = 2**30,
) -> None:
    r"""Unpacks the named members of a zip archive and nothing else. Where
    they go is up to the caller, never to the archive.

    Args:
        archive (str or os.PathLike): The zip archive.
        members (dict): For each member, the end of its path in the archive
            (:obj:`'yelp/trn_mat.pkl'` is found in any parent folder) and the
            file to write.
        max_bytes (int, optional): The largest size that a member may have
            when unpacked. (default: :obj:`2**30`)

    Raises:
        ValueError: If :obj:`archive` is not a complete zip archive, or if a
            member is missing, there more than once, or too large.
    """
    with _opened(archive) as file:
        # All are looked up before the first is written.
        infos = {m: _find(file, m, max_bytes) for m in members}
        for member, info in infos.items():
            _extract(file, info, Path(members[member]), max_bytes)


def is_member(
    archive: str | os.PathLike[str],
    member: str,
    path: str | os.PathLike[str],
    max_bytes: int = 2**30,
) -> bool:
    r"""Whether a file holds what :func:`unpack_members` would write to it.

    Args:
        archive (str or os.PathLike): The zip archive.
        member (str): The end of the path of the member in the archive.
        path (str or os.PathLike): The file.
        max_bytes (int, optional): The largest size that a member may have
            when unpacked. (default: :obj:`2**30`)

    Raises:
        ValueError: As :func:`unpack_members`.
    """
    with _opened(archive) as file:
        info = _find(file, member, max_bytes)
    if info.file_size != os.path.getsize(path):
        return False
    checksum = 0
    with Path(path).open('rb') as source:
        while chunk := source.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum == info.CRC


@contextmanager
def _opened(archive: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as e:
        raise ValueError(
            f"'{archive}' is not a complete zip archive; delete it and fetch "
            f'it again (got {e})'
        ) from e


def _find(
    file: zipfile.ZipFile, member: str, max_bytes: int
) -> zipfile.ZipInfo:
    parts = PurePosixPath(member).parts
    found = [
        info
        for info in file.infolist()
        if PurePosixPath(info.filename).parts[-len(parts) :] == parts
    ]
    if len(found) != 1:
        raise ValueError(
            f"The archive '{file.filename}' needs exactly one '{member}' "
            f'(got {len(found)}: {[info.filename for info in found]})'
        )
    if found[0].file_size > max_bytes:
        raise _too_large(file, found[0], max_bytes)
    return found[0]


def _extract(
    file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, max_bytes: int
) -> None:
    size = 0
    with (
        atomic_write(path) as tmp,
        file.open(info) as source,
        tmp.open('wb') as target,
    ):
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            # The size in the header is only what the archive says.
            if size > max_bytes:
                raise _too_large(file, info, max_bytes)
            target.write(chunk)


def _too_large(
    file: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int
) -> ValueError:
    return ValueError(
        f"'{info.filename}' of the archive '{file.filename}' is too large; "
        f"pass a larger 'max_bytes' if you trust it (got more than "
        f'{max_bytes} bytes)'
    )
