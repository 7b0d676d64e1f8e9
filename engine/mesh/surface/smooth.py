# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes voxel noise off a surface: without shrinking it (Taubin, 1995), or within bounds for a look at its shape."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, diags

from ...kernels.host_arrays import on_card
from . import tensor_smooth
from .topology import edge_table

SHRINK, GROW = 0.5, -0.53
"""Factors of the two half steps; the second undoes the shrinking of the first."""


def taubin_smooth(vertices: np.ndarray, faces: np.ndarray, passes: int) -> np.ndarray:
    """Return ``vertices`` [V, 3] after ``passes`` passes of low-pass filtering over the edges of ``faces`` [F, 3].

    Vertices at one position move as one, so a surface that was cut open along a seam stays shut.
    """
    factors = (SHRINK, GROW) * passes
    found = on_card(lambda *arrays: tensor_smooth.filtered(*arrays, factors), faces, vertices)
    if found is not None:
        return found
    points, of = np.unique(vertices.astype(np.float64), axis=0, return_inverse=True)
    of = of.reshape(-1)
    corners = of[faces]
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    links = coo_matrix((np.ones(len(both)), both.T), shape=(len(points), len(points))).tocsr()
    degree = np.asarray(links.sum(1)).ravel()
    mean = diags(1 / np.maximum(degree, 1)) @ links
    moves = (degree > 0)[:, None]
    for factor in factors:
        points = points + factor * moves * (mean @ points - points)
    return points[of]


def smoothed(vertices: np.ndarray, faces: np.ndarray, steps: int, furthest: float) -> np.ndarray:
    """Move every vertex to the mean of itself and its neighbours, ``steps`` times; float64 [V, 3].

    Rims stay, and nothing moves further than ``furthest``.
    """
    table = edge_table(faces)
    a, b = table.ends.T
    count = len(vertices)
    fixed = np.zeros(count, dtype=bool)
    fixed[table.ends[table.count == 1].reshape(-1)] = True
    degree = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
    points = vertices.astype(np.float64)
    for _ in range(steps):
        moved = np.empty_like(points)
        for i in range(3):
            around = np.bincount(a, points[b, i], minlength=count) + np.bincount(b, points[a, i], minlength=count)
            moved[:, i] = 0.5 * points[:, i] + 0.5 * around / np.maximum(degree, 1)
        points = np.where((fixed | (degree == 0))[:, None], points, moved)
    way = points - vertices
    length = np.linalg.norm(way, axis=1, keepdims=True)
    return vertices + way * np.minimum(1.0, furthest / np.maximum(length, 1e-300))
