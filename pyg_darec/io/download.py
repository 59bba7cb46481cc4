"""Fetching published files."""

import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from tqdm.auto import tqdm

from pyg_darec.io.atomic import atomic_write

_CHUNK = 2**20


class DownloadError(OSError):
    r"""A file that could not be fetched whole and as published."""


def download(
    url: str,
    path: str | os.PathLike[str],
    sha256: str,
    timeout: float = 60.0,
) -> Path:
    r"""Downloads a file with a progress bar. It appears under its name only
    when it is complete and is the file that was published.

    Args:
        url (str): Where the file is.
        path (str or os.PathLike): Where to put it.
        sha256 (str): The SHA-256 digest of the file, in hexadecimal.
        timeout (float, optional): After how many seconds of silence to give
            up. (default: :obj:`60.0`)

    Raises:
        DownloadError: If the server cannot be reached, does not have the
            file, falls silent or cuts the connection, if the disk is full,
            or if the digest differs. An earlier :obj:`path` stays.
    """
    path = Path(path)
    try:
        with atomic_write(path) as tmp:
            digest = _fetch(url, tmp, path.name, timeout)
            if digest != sha256.lower():
                raise DownloadError(
                    'the file is incomplete or is not the published one: '
                    f"expected sha256 '{sha256}', found '{digest}'"
                )
    except (OSError, HTTPException) as e:
        raise DownloadError(
            f"Could not download '{path.name}'; try again, or fetch it by "
            f"other means and save it as '{path}' (got {e} from '{url}')"
        ) from e
    return path


def _fetch(url: str, path: Path, name: str, timeout: float) -> str:
    sha256 = hashlib.sha256()
    with (
        urlopen(url, timeout=timeout) as response,
        path.open('wb') as file,
        tqdm(
            desc=name,
            total=int(response.headers.get('Content-Length') or 0) or None,
            unit='B',
            unit_scale=True,
        ) as progress,
    ):
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            sha256.update(chunk)
            progress.update(len(chunk))
    return sha256.hexdigest()
