"""Canonical correlations straight from their formula."""

import numpy as np

from pyg_darec.graph import BipartiteGraph


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T


def formula(
    graph: BipartiteGraph, x: np.ndarray, y: np.ndarray, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    count = np.zeros((len(x), len(y)))
    count[graph.edge_index[0], graph.edge_index[1]] = 1
    left, right = count.sum(1), count.sum(0)
    scale = np.sqrt(np.maximum(left, 1)[:, None] * np.maximum(right, 1)[None])
    adjacency = count / scale

    def shrunk(z: np.ndarray) -> np.ndarray:
        gram = z.T @ z
        width = len(gram)
        return gram + 0.1 * np.trace(gram) / width * np.eye(width)

    cx, cy = power(shrunk(x), -0.5), power(shrunk(y), -0.5)
    p, s, qt = np.linalg.svd(cx @ x.T @ adjacency @ y @ cy)
    w_x = np.diag(np.sqrt(s[:dim])) @ p[:, :dim].T @ cx
    w_y = np.diag(np.sqrt(s[:dim])) @ qt[:dim] @ cy
    maps = []
    for w, z in ((w_x, x), (w_y, y)):
        maps.append(w / np.sqrt(((z @ w.T) ** 2).sum(1).mean()))
    return maps[0], maps[1]
