import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyg_darec._version import __version__
from pyg_darec.io import atomic_write
from pyg_darec.io.folder import MANIFEST, json_digest
from pyg_darec.profiles.chain_hash import START

FORMAT = 'pyg_darec.embeddings.1'
DTYPES = ('float32', 'float16')


@dataclass(frozen=True)
class Manifest:
    r"""What the rows of an embedding store are, and what they were made
    from.

    Args:
        encoder (dict): The :obj:`name` and :obj:`revision` of the encoder
            (the hash of a local model, the commit of one on a hub), its
            :obj:`precision` and :obj:`library`.
        dim (int): The width :math:`D`.
        dtype (str): The type of the numbers.
        normalized (bool): Whether rows have length one.
        split (str, optional): The hash of the training interactions that
            the texts were written from.
        rows (int): The number of rows :math:`N`.
        ids (str, optional): The hash of the ids of the rows.
        texts (str): The hash of the texts.
        library (str): The version that began to write.
    """

    encoder: dict[str, str | None]
    dim: int
    dtype: str
    normalized: bool
    split: str | None
    rows: int = 0
    ids: str | None = None
    texts: str = START
    library: str = f'pyg_darec {__version__}'

    @property
    def row_bytes(self) -> int:
        return self.dim * self.numpy_dtype.itemsize

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        return np.dtype(self.dtype).newbyteorder('<')

    @property
    def array_header(self) -> bytes:
        r"""The first bytes of ``embeddings.npy``. There are equally many for
        any number of rows: numpy leaves room for it to grow.
        """
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            out,
            {
                'shape': (self.rows, self.dim),
                'fortran_order': False,
                'descr': self.numpy_dtype.str,
            },
        )
        return out.getvalue()

    def difference(self, other: 'Manifest') -> str | None:
        r"""The first setting that makes rows of one differ from rows of the
        other, in words.
        """
        pairs: dict[str, tuple[Any, Any]] = {
            f'encoder {k}': (self.encoder.get(k), other.encoder.get(k))
            for k in ('name', 'revision', 'precision')
        }
        for name in ('dtype', 'normalized', 'split'):
            pairs[name] = getattr(self, name), getattr(other, name)
        pairs['ids'] = self.ids is not None, other.ids is not None
        for name, (one, two) in pairs.items():
            if one != two:
                return f'{name} {one!r}, now {two!r}'
        return None

    def to_dict(self) -> dict[str, Any]:
        return {'format': FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, content: Any, where: str) -> 'Manifest':
        r"""Checks and takes what :meth:`to_dict` returned.

        Raises:
            ValueError: If it is something else.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        is_ours = isinstance(content, dict) and content.get('format') == FORMAT
        if not is_ours or set(content) - {'format'} != names:
            raise ValueError(
                f'{where} needs to describe embeddings in format {FORMAT!r}; '
                'encode again, or choose another folder '
                f'(got {str(content)!r:.120})'
            )
        out = cls(**{name: content[name] for name in names})
        sizes = (out.dim, out.rows)
        integers = all(type(size) is int and size >= 0 for size in sizes)
        if not integers or out.dim == 0 or out.dtype not in DTYPES:
            raise ValueError(
                f'{where} needs a width, a number of rows and a dtype of '
                f'{DTYPES}; encode again (got {out.dim!r}, {out.rows!r} and '
                f'{out.dtype!r})'
            )
        return out

    def save(self, folder: Path) -> None:
        content = self.to_dict()
        content['sha256'] = json_digest(content)
        text = json.dumps(content, indent=1) + '\n'
        path = folder / MANIFEST
        if not path.exists() or path.read_text('utf-8') != text:
            with atomic_write(path) as tmp:
                tmp.write_text(text, encoding='utf-8')

    @classmethod
    def load(cls, folder: Path) -> 'Manifest':
        r"""Reads ``manifest.json``.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged or no manifest of embeddings.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            expected = content.pop('sha256', None)
            is_whole = json_digest(content) == expected
        except (ValueError, TypeError, AttributeError, RecursionError) as e:
            raise ValueError(
                f"'{path}' is damaged or of another program; encode again or "
                f'choose another folder (got {type(e).__name__}: {e})'
            ) from e
        if content.get('format') == FORMAT and not is_whole:
            raise ValueError(
                f"'{path}' is damaged; call 'encode_profiles' again, which "
                'keeps the rows (got a content that is not the '
                'one that was written)'
            )
        return cls.from_dict(content, f"'{path}'")
