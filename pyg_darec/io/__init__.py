r"""Reading and writing files that may be hostile, cut off or half-written."""

from pyg_darec.io.atomic import atomic_write
from pyg_darec.io.download import DownloadError, download
from pyg_darec.io.restricted_pickle import (
    RestrictedPickleError,
    load_restricted_pickle,
)
from pyg_darec.io.unpack import unpack_members

__all__ = [
    'DownloadError',
    'RestrictedPickleError',
    'atomic_write',
    'download',
    'load_restricted_pickle',
    'unpack_members',
]
