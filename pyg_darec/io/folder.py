"""Folders whose files belong together, with a manifest of their hashes."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyg_darec.io.atomic import PendingFile, atomic_write, flush_folder
from pyg_darec.io.json_lines import write_lines

MANIFEST = 'manifest.json'
# What files are to take their places, once all of them are there.
_NEXT = '.next.json'


class FolderWriter:
    r"""What :func:`write_folder` yields.

    Attributes:
        content (dict): What the manifest says besides the files, in JSON.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.content: dict[str, Any] = {}
        self.written: dict[str, Path] = {}
        self._pending: list[PendingFile] = []

    def add(self, name: str) -> Path:
        r"""A temporary path to write the file :obj:`name` to; it takes its
        place together with all others.
        """
        file = PendingFile(self.folder / name)
        self._pending.append(file)
        self.written[name] = file.tmp
        return file.tmp

    def add_lines(self, name: str, values: Sequence[Any]) -> None:
        r"""Writes a list to the file :obj:`name`, one value a line.

        Raises:
            TypeError: If a value cannot be written, naming file and position.
        """
        try:
            write_lines(self.add(name), values)
        except TypeError as e:
            raise TypeError(f"'{name}': {e}") from None

    def commit(self, format: str) -> None:
        r"""Gets all files to the disk, under their temporary names, with the
        manifest after them, and then a list of them: from then on, they are
        what the folder holds.
        """
        files = {name: _state(path) for name, path in self.written.items()}
        content = {'format': format, **self.content, 'files': files}
        manifest = PendingFile(self.folder / MANIFEST)
        self._pending.append(manifest)
        _dump_manifest(manifest.tmp, content)
        for file in self._pending:
            file.flush()
        names = [*self.written, MANIFEST]
        pairs = zip(names, self._pending, strict=True)
        earlier = _load_manifest(self.folder / MANIFEST).get('files', {})
        changes = {
            'format': format,
            'moves': {name: file.tmp.name for name, file in pairs},
            'removes': sorted(earlier.keys() - set(names)),
        }
        with atomic_write(self.folder / _NEXT) as tmp:
            _dump_manifest(tmp, changes)

    def discard(self) -> None:
        r"""Removes all that has not taken its place."""
        for file in self._pending:
            file.discard()


@contextmanager
def write_folder(
    path: str | os.PathLike[str], format: str
) -> Iterator[FolderWriter]:
    r"""Writes or replaces the files of a folder. They are written under
    temporary names and take their places when the block ends without an
    error, the manifest last; until then an earlier version stays as it was.
    What a kill cuts off in the moment of replacement is ended by whoever
    reads or writes the folder next.

    Args:
        path (str or os.PathLike): The folder, new, empty or of the same
            format.
        format (str): The name and version of the format.

    Raises:
        ValueError: If there is something else at :obj:`path`.
        OSError: If a file cannot be written, on a full disk for example.
    """
    folder = Path(path)
    check_folder(folder, format)
    state = 'any earlier version is as it was'
    try:
        _finish(folder)
        writer = FolderWriter(folder)
        # Says whose folder it is, should the first writing be cut off.
        if first := not (folder / MANIFEST).exists():
            _write_manifest(folder / MANIFEST, {'format': format})
        try:
            yield writer
            writer.commit(format)
        except BaseException:
            if (folder / _NEXT).exists():
                raise  # in the moment after, and it will be finished
            writer.discard()
            if first and _visible(folder) == [MANIFEST]:
                (folder / MANIFEST).unlink()
                with suppress(OSError):
                    folder.rmdir()  # others may have files in it by now
            raise
        state = (
            'the new version, which is complete, takes its place when it is '
            'next read'
        )
        _finish(folder)
    except OSError as e:
        raise OSError(
            f"'{folder}' could not be written, and {state}; free some space or "
            f'choose another folder (got {e})'
        ) from e


def _finish(folder: Path) -> None:
    """Lets what was committed take its place. Nothing slow is in between that
    could be interrupted, and another process may do the same.
    """
    path = folder / _NEXT
    if not path.is_file():
        return
    try:
        changes = _load_manifest(path)
    except ValueError:
        if not path.exists():
            return  # another process has just ended it
        raise
    targets = []
    for name, tmp in changes['moves'].items():
        # No list, not even a forged one, reaches outside.
        target = Path(os.path.realpath(folder / Path(name).name))
        with suppress(FileNotFoundError):  # it has its place already
            os.replace(target.with_name(Path(tmp).name), target)
        targets.append(target)
    for parent in {target.parent for target in targets}:
        flush_folder(parent)
    for name in changes['removes']:
        (folder / Path(name).name).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def read_folder(path: str | os.PathLike[str], format: str) -> dict[str, Any]:
    r"""The manifest of a folder, all files of which were checked.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder is of another format or was not finished,
            or a file is missing or damaged; names the file.
        OSError: If its writing was cut off in the last moment and cannot be
            ended, in a folder that cannot be written.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder '{folder}'; check the path (got "
            f"'{Path.cwd()}' as the current folder)"
        )
    try:
        _finish(folder)
    except OSError as e:
        raise OSError(
            f"The last writing of '{folder}' was cut off when it was all but "
            'done; read it once where it can be written, which ends it '
            f'(got {e})'
        ) from e
    manifest = _load_manifest(folder / MANIFEST)
    _check_format(folder, manifest, format)
    if 'files' not in manifest:
        raise ValueError(
            f"'{folder}' was not finished when its writing was cut off; write "
            f"it again (got no files in '{MANIFEST}')"
        )
    for name, expected in manifest['files'].items():
        # No manifest, not even a forged one, reaches outside.
        file = folder / Path(name).name
        if not file.is_file():
            raise ValueError(
                f"'{file}' is missing; write the folder again (got no file)"
            )
        if _state(file) != expected:
            raise ValueError(
                f"'{file}' is damaged or of another writing than "
                f"'{MANIFEST}'; write the folder again (got a file that is "
                'not the one described there)'
            )
    return manifest


def check_folder(path: str | os.PathLike[str], format: str) -> None:
    r"""Raises a :class:`ValueError` if a folder of this format cannot be
    written to :obj:`path` without damage to something else.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"'{folder}' needs to be a folder; choose another name (got a file)"
        )
    if (folder / MANIFEST).exists():
        manifest = _load_manifest(folder / MANIFEST)
        _check_format(folder, manifest, format)
    elif folder.exists() and (other := _visible(folder)):
        raise ValueError(
            f"'{folder}' holds other files; choose a new or an empty folder "
            f'(got {other[:3]})'
        )


def _visible(folder: Path) -> list[str]:
    """Without the temporary files that a kill leaves behind."""
    return sorted(f for f in os.listdir(folder) if not f.startswith('.'))


def _check_format(folder: Path, manifest: dict[str, Any], format: str) -> None:
    if manifest.get('format') != format:
        raise ValueError(
            f"'{folder}' is a folder of another kind; choose another one, or "
            f'write it again with this version (got format '
            f"{manifest.get('format')!r} in '{MANIFEST}', not '{format}')"
        )


def _write_manifest(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as tmp:
        _dump_manifest(tmp, content)


def _dump_manifest(path: Path, content: dict[str, Any]) -> None:
    content = {**content, 'sha256': json_digest(content)}
    path.write_text(json.dumps(content, indent=1), encoding='utf-8')


def _load_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        expected = content.pop('sha256', None)
        is_whole = 'format' not in content or json_digest(content) == expected
    except FileNotFoundError:
        raise ValueError(
            f"'{path}' is missing; it needs to be in a folder that this "
            f'library wrote (got {_visible(path.parent)[:3]})'
        ) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as e:
        raise ValueError(
            f"'{path}' is damaged or of another program; write the folder "
            f'again or choose another one (got {e})'
        ) from e
    if not is_whole:
        raise ValueError(
            f"'{path}' is damaged; write the folder again (got a content that "
            'is not the one that was written)'
        )
    out: dict[str, Any] = content
    return out


def json_digest(content: dict[str, Any]) -> str:
    r"""What a manifest is signed with: the SHA-256 of its content."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _state(path: Path) -> dict[str, Any]:
    with path.open('rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    return {'bytes': path.stat().st_size, 'sha256': digest}
