# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes voxel noise off a surface without shrinking it (Taubin, 1995)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, diags

SHRINK, GROW = 0.5, -0.53
"""Factors of the two half steps; the second undoes the shrinking of the first."""


def taubin_smooth(vertices: np.ndarray, faces: np.ndarray, passes: int) -> np.ndarray:
    """Return ``vertices`` [V, 3] after ``passes`` passes of low-pass filtering over the edges of ``faces`` [F, 3].

    Vertices at one position move as one, so a surface that was cut open along a seam stays shut.
    """
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
    for factor in (SHRINK, GROW) * passes:
        points = points + factor * moves * (mean @ points - points)
    return points[of]
