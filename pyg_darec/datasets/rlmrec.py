import hashlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.datasets.cached_dataset import CachedDataset
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.io import download, load_restricted_pickle, unpack_members
from pyg_darec.io.unpack import is_member

URL = 'https://archive.org/download/rlmrec_data/data.zip'
SHA256 = 'f7d283fc4b296764294ab836952ff9dda3556e743423da6cc538657c205ab997'

MATRICES = {
    'edge_index': 'trn_mat.pkl',
    'val_edge_label_index': 'val_mat.pkl',
    'test_edge_label_index': 'tst_mat.pkl',
}
EMBEDDINGS = {'user': 'usr_emb_np.pkl', 'item': 'itm_emb_np.pkl'}
PROFILES = {'user': 'usr_prf.pkl', 'item': 'itm_prf.pkl'}


class RLMRecDataset(CachedDataset):
    r"""Base class of the datasets of the `"Representation Learning with Large
    Language Models for Recommendation"
    <https://arxiv.org/abs/2310.15950>`_ paper.

    Files in :obj:`root/raw` are used as they are: the interaction matrices
    ``trn_mat.pkl``, ``val_mat.pkl`` and ``tst_mat.pkl``, and where present the
    profile embeddings ``usr_emb_np.pkl`` and ``itm_emb_np.pkl`` (attached as
    :obj:`llm_x`) and the profiles ``usr_prf.pkl`` and ``itm_prf.pkl``
    (attached as :obj:`profile`). They may hold another split or other
    embeddings than the published ones. What is missing comes from
    :obj:`root/raw/data.zip`, the public archive of 475 MB, which is
    downloaded if it is not there and deleted again if it was downloaded. The
    matrices of another split need to be all there: none is made up for by a
    published one.

    **The three matrices are enough**: nothing is downloaded then. Pass
    :obj:`profiles=True` to fetch the embeddings and profiles as well, or copy
    them to :obj:`root/raw` at any later time. Added to the matrices of
    another split, the published ones may know its held-out interactions,
    which a warning says.

    .. note::
        Nothing is known of the date up to which the published profiles were
        written. It cannot be ruled out that they know about held-out
        interactions.

    Args:
        root (str or Path): Root directory where the dataset is saved.
        profiles (bool, optional): If set to :obj:`True`, embeddings and
            profiles are required, and downloaded where they are missing.
            Otherwise, those in :obj:`root/raw` are attached.
            (default: :obj:`False`)
        transform (callable, optional): A transform of the
            :class:`~torch_geometric.data.HeteroData` at every access.
            (default: :obj:`None`)
        pre_transform (callable, optional): A transform of the
            :class:`~torch_geometric.data.HeteroData` before it is saved to
            disk. (default: :obj:`None`)
        force_reload (bool, optional): Whether to re-process the dataset.
            (default: :obj:`False`)

    Raises:
        DownloadError: If the archive is needed and cannot be downloaded.
        ValueError: If a file is damaged, tries to run code, or disagrees
            with the others about the number of users or items, or if some of
            the matrices of another split are missing.
    """

    folder: ClassVar[str]
    """The folder of the dataset in the archive."""

    sha256: ClassVar[Mapping[str, str]] = {}
    """The digests of the published files, as far as they are known."""

    def __init__(
        self,
        root: str | Path,
        profiles: bool = False,
        transform: Callable[[HeteroData], HeteroData] | None = None,
        pre_transform: Callable[[HeteroData], HeteroData] | None = None,
        force_reload: bool = False,
    ) -> None:
        self.profiles = profiles
        super().__init__(
            str(root), transform, pre_transform, force_reload=force_reload
        )
        self.load_cached()

    @property
    def raw_file_names(self) -> list[str]:
        optional = [*EMBEDDINGS.values(), *PROFILES.values()]
        return [*MATRICES.values(), *(optional if self.profiles else [])]

    @property
    def source_paths(self) -> list[Path]:
        names = [*MATRICES.values(), *EMBEDDINGS.values(), *PROFILES.values()]
        return [self._raw(name) for name in names]

    def download(self) -> None:
        archive = self._raw('data.zip')
        own = not archive.exists()
        given = [n for n in MATRICES.values() if self._raw(n).exists()]
        missing = [n for n in MATRICES.values() if n not in given]
        # Without the archive, before it is downloaded.
        if missing and (other := self._unpublished(given)):
            raise ValueError(
                f"'{self.raw_dir}' needs all matrices of one split; add "
                f'{missing}, or remove {other} to use the published split '
                f'(got {given}, not all of which are published)'
            )
        if own:
            download(URL, archive, SHA256)
        if not missing and (other := self._unpublished(given)):
            warnings.warn(
                f"'{self.raw_dir}' holds another split than the published "
                'one, whose embeddings and profiles are added and may know '
                'what this one holds out; put your own there instead (got '
                f'other {other})'
            )
        # Never over a file of the user, who may have another split.
        members = {
            f'{self.folder}/{path.name}': path
            for path in self.source_paths
            if not path.exists()
        }
        unpack_members(archive, members)
        if own:
            archive.unlink()

    def make_data(self) -> HeteroData:
        data = HeteroData()
        shapes = {}
        for key, name in MATRICES.items():
            self._warn_if_unpublished(name)
            shapes[name], data[EDGE_TYPE][key] = _read_pairs(self._raw(name))
        if len(set(shapes.values())) > 1:
            raise ValueError(
                f"The matrices in '{self.raw_dir}' belong to different "
                f'splits: they need one shape (got {shapes})'
            )
        if data[EDGE_TYPE].edge_index.numel() == 0:
            raise ValueError(
                f"'{self._raw(MATRICES['edge_index'])}' leaves nothing to "
                f'train on (got 0 interactions)'
            )
        sizes = zip(('user', 'item'), shapes[name], strict=True)
        for node_type, num_nodes in sizes:
            store = data[node_type]
            store.num_nodes = num_nodes
            if (path := self._raw(EMBEDDINGS[node_type])).exists():
                self._warn_if_unpublished(path.name)
                store.llm_x = _read_embeddings(path, num_nodes)
            if (path := self._raw(PROFILES[node_type])).exists():
                self._warn_if_unpublished(path.name)
                store.profile = _read_profiles(path, num_nodes)
        return data

    def _raw(self, name: str) -> Path:
        return Path(self.raw_dir) / name

    def _unpublished(self, names: list[str]) -> list[str]:
        """Those files that are not known to be the published ones."""
        archive = self._raw('data.zip')
        if archive.exists():
            return [
                name
                for name in names
                if not is_member(
                    archive, f'{self.folder}/{name}', self._raw(name)
                )
            ]
        return [n for n in names if self._digest(n) != self.sha256.get(n)]

    def _digest(self, name: str) -> str:
        with self._raw(name).open('rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()

    def _warn_if_unpublished(self, name: str) -> None:
        if name not in self.sha256:
            return
        digest = self._digest(name)
        if digest != self.sha256[name]:
            warnings.warn(
                f"'{self._raw(name)}' is not the published file of "
                f"'{self.__class__.__name__}': do not compare with published "
                f"results (got sha256 '{digest}')"
            )


def _read_pairs(path: Path) -> tuple[tuple[int, int], Tensor]:
    matrix = load_restricted_pickle(path)
    if not scipy.sparse.issparse(matrix):
        raise ValueError(
            f"'{path}' needs to hold a user-item matrix of scipy.sparse "
            f"(got '{type(matrix).__name__}')"
        )
    matrix = scipy.sparse.csr_matrix(matrix)  # sorted, duplicates summed
    matrix.eliminate_zeros()
    matrix.sort_indices()
    pairs = np.stack(matrix.nonzero()).astype(np.int64)
    return matrix.shape, torch.from_numpy(pairs)


def _read_embeddings(path: Path, num_nodes: int) -> Tensor:
    array = load_restricted_pickle(path)
    got = (
        f'{array.dtype} of shape {array.shape}'
        if isinstance(array, np.ndarray)
        else type(array).__name__
    )
    if not isinstance(array, np.ndarray) or array.dtype.kind != 'f':
        raise ValueError(f"'{path}' needs to hold a float array (got {got})")
    if array.ndim != 2 or len(array) != num_nodes:
        raise ValueError(
            f"'{path}' needs one row for each of {num_nodes} nodes (got {got})"
        )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise ValueError(
            f"'{path}' holds NaN or Inf in {bad.size} rows; replace them "
            f'(got the first in row {bad[0]})'
        )
    return torch.from_numpy(array.astype(np.float32))


def _read_profiles(path: Path, num_nodes: int) -> list[str]:
    content: Any = load_restricted_pickle(path)
    texts = []
    for node in range(num_nodes):
        try:
            text = content[node]['profile']
        except (LookupError, TypeError):
            text = None
        if not isinstance(text, str):
            raise ValueError(
                f"'{path}' needs to map each of {num_nodes} ids to a "
                f"dictionary with a text under 'profile' (got none for id "
                f'{node})'
            )
        texts.append(text)
    return texts
