"""FAISS indices of items, checked against the exact answer."""

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_darec.retrieval.topk import masked_topk

NUM_QUERIES = 1000


def build_index(item: Tensor, factory: str, parameters: str | None) -> Any:
    r"""An inner-product index of items, whose numbers are their rows.

    Raises:
        ImportError: If :obj:`faiss` is not installed.
        ValueError: If FAISS cannot make such an index of these items.
    """
    faiss = _faiss()
    x = _to_numpy(item)
    try:
        index = faiss.index_factory(
            x.shape[1], factory, faiss.METRIC_INNER_PRODUCT
        )
        index.train(x)
        index.add(x)
        if parameters is not None:
            space = faiss.ParameterSpace()
            space.set_index_parameters(index, parameters)
    except RuntimeError as e:
        raise ValueError(
            "FAISS cannot make this index of the items; pass 'index' as "
            "'Flat', or as its documentation of 'index_factory' says, and "
            "'index_parameters' likewise (got "
            f"index='{factory}', index_parameters={parameters!r} for "
            f'{x.shape[0]} items of width {x.shape[1]}: '
            f'{str(e).strip().splitlines()[-1]})'
        ) from e
    return index


def write_index(index: Any, path: str | os.PathLike[str]) -> None:
    faiss = _faiss()
    try:
        faiss.write_index(index, os.fspath(path))
    except RuntimeError as e:  # whatever is wrong with the disk
        raise OSError(str(e).strip().splitlines()[-1]) from e


def measure_recall(
    path: str | os.PathLike[str], user: Tensor, item: Tensor, k: int
) -> dict[str, float]:
    r"""The share of the exact :obj:`k` best items that a written index finds,
    seen ones included, and of how many evenly spaced users. An item that
    scores like the last of them, up to rounding, counts as one of them.
    """
    num = min(NUM_QUERIES, user.size(0))
    queries = torch.arange(num, device=user.device) * user.size(0) // num
    index = _faiss().read_index(os.fspath(path))
    found = torch.from_numpy(index.search(_to_numpy(user[queries]), k)[1])
    left = user[queries].detach().cpu().double()
    right = item.detach().cpu().double()
    exact, _ = masked_topk(left, right, k)
    last = exact[:, -1:]
    # Unfilled places are -1.
    score = (left.unsqueeze(1) * right[found.clamp(min=0)]).sum(dim=-1)
    width = left.norm(dim=1) * right.norm(dim=1).max()
    eps = (left.size(1) + 4) * torch.finfo(torch.float32).eps
    hit = (found >= 0) & (score >= last - eps * width.unsqueeze(1))
    return {'k': k, 'queries': num, 'recall': float(hit.double().mean())}


def _to_numpy(x: Tensor) -> Any:
    return np.ascontiguousarray(x.detach().cpu().float().numpy())


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as e:
        raise ImportError(
            "'index' needs FAISS; run 'pip install faiss-cpu'"
        ) from e
    return faiss
