"""Where in the folder of a store its files are written."""

import json
from pathlib import Path

from pyg_darec.io.folder import MANIFEST
from pyg_darec.profiles.embedding_store import EMBEDDINGS, IDS
from pyg_darec.profiles.journal import JOURNAL
from pyg_darec.profiles.manifest import FORMAT, Manifest

NEW = '.new'


class OtherStoreError(ValueError):
    r"""A folder holds another store than the one to be written, or a damaged
    one.
    """


def choose_place(folder: Path, settings: Manifest, overwrite: bool) -> Path:
    r"""The folder itself, or one within for what is to overwrite its store.

    Raises:
        OtherStoreError: If there is something else that is not to be
            overwritten.
        ValueError: If there is something else that is no store.
    """
    _check_format(folder)
    _check_owner(folder)
    if (folder / NEW / MANIFEST).exists():
        swap(folder)  # which a kill cut off
        # The call that was killed is made again: nothing is left to do.
        if Manifest.load(folder).difference(settings) is None:
            return folder
    if not overwrite:
        _check_unfinished(folder)
        return folder
    place = folder / NEW
    place.mkdir(exist_ok=True)
    return place


def swap(folder: Path) -> None:
    r"""Puts a new store in the place of the old one.

    Can be cut off anywhere and made again: as long as the manifest of the new
    store is in its own folder, what else is there is to be moved.
    """
    new = folder / NEW
    has_ids = Manifest.load(new).ids is not None
    (folder / MANIFEST).unlink(missing_ok=True)
    if not has_ids:
        # Of the old store, or of an unfinished one before this one.
        (folder / IDS).unlink(missing_ok=True)
        (new / IDS).unlink(missing_ok=True)
    for name in (IDS, EMBEDDINGS, JOURNAL, MANIFEST):
        if (new / name).exists():
            (new / name).replace(folder / name)
    remove_new(folder)


def remove_new(folder: Path) -> None:
    new = folder / NEW
    for path in new.glob('*'):
        path.unlink()
    new.rmdir()


def _check_format(folder: Path) -> None:
    """Nothing of others is overwritten."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return  # there is none, or it is damaged
    found = content.get('format') if isinstance(content, dict) else None
    if found not in (None, FORMAT):
        raise ValueError(
            f"'{folder}' holds no embeddings; choose another folder "
            f"(got the format '{found}' in '{MANIFEST}')"
        )


def _check_owner(folder: Path) -> None:
    """Embeddings of no store may be all that there is of them."""
    ours = MANIFEST, JOURNAL, f'{NEW}/{MANIFEST}'
    if any((folder / name).exists() for name in ours):
        return
    for name in (EMBEDDINGS, IDS):
        if (folder / name).exists():
            raise ValueError(
                f"'{folder / name}' is of no store and would be lost; choose "
                f'another folder, or delete it (got no {MANIFEST!r})'
            )


def _check_unfinished(folder: Path) -> None:
    path = folder / MANIFEST
    if path.exists() and not (folder / JOURNAL).exists():
        raise OtherStoreError(
            f"'{path}' is not of an unfinished store; choose another "
            f"folder or pass 'overwrite' (got no {JOURNAL!r})"
        )
