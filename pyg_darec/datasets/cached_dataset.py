import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_darec.io import atomic_write


class CachedDataset(InMemoryDataset):
    r"""Base class of datasets of a single graph, processed once and again
    whenever a file that it is made from is added, removed or replaced.

    Subclasses implement :meth:`make_data` and :attr:`source_paths`.
    """

    @property
    def cache_name(self) -> str:
        r"""What the cached file is called; one for each set of arguments."""
        return 'data'

    @property
    def source_paths(self) -> list[Path]:
        r"""All files that the graph can be made from."""
        raise NotImplementedError

    def make_data(self) -> HeteroData:
        r"""Reads the source files."""
        raise NotImplementedError

    @property
    def processed_file_names(self) -> str:
        digest = hashlib.sha256()
        for path in self.source_paths:
            if path.exists():
                stat = path.stat()
                state = f'{path.name} {stat.st_size} {stat.st_mtime_ns}'
                digest.update(state.encode())
        return f'{self.cache_name}_{digest.hexdigest()[:12]}.pt'

    def load_cached(self) -> None:
        r"""Loads the cached file, which is made again if it is damaged, or
        holds anything but tensors and plain values: no code of it is run.
        """
        path = self.processed_paths[0]
        try:
            content, self.slices, _ = _load(path)
            self.data = HeteroData.from_dict(content)
        except Exception as e:  # PyTorch's depend on where the damage is
            warnings.warn(
                f"'{path}' is damaged and is made again from its source "
                f'files (got {type(e).__name__})'
            )
            self.process()
            # Of this process, and so to be trusted with what a
            # 'pre_transform' may have put there.
            self.load(path, data_cls=HeteroData)

    def _process(self) -> None:
        # PyTorch Geometric would run the code of these as well.
        for name in ('pre_transform.pt', 'pre_filter.pt'):
            path = Path(self.processed_dir) / name
            try:
                if path.exists():
                    _load(path)
            except Exception:  # as above
                path.unlink()
        super()._process()

    def process(self) -> None:
        data = self.make_data()
        if self.pre_transform is not None:
            data = self.pre_transform(data)
        path = Path(self.processed_paths[0])
        # A cache cut off by a crash would fail to load ever after.
        with atomic_write(path) as tmp:
            self.save([data], str(tmp))
        for other in path.parent.glob(f'{self.cache_name}_*.pt'):
            if other != path:
                other.unlink()


def _load(path: str | Path) -> Any:
    """What 'torch_geometric.io.fs.torch_load' loads, which falls back to
    running code.
    """
    return torch.load(path, weights_only=True)
