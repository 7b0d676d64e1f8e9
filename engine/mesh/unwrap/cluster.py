# SPDX-License-Identifier: GPL-3.0-or-later
"""Thins a dense mesh by merging vertices that share a cell of a grid: quick, in memory of the order of the mesh."""

from __future__ import annotations

import numpy as np


def cluster_vertices(vertices: np.ndarray, faces: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Merge the vertices [V, 3] in each cell of a ``cells``^3 grid over the unit cube [-0.5, 0.5]^3 into their mean.

    Columns beyond the third are further values of the vertices, of which the mean is taken too. Returns vertices
    float32 [V', 3 or more], in order of their cells, and the faces int32 [F', 3] that keep three different
    vertices, in their order. No vertex moves further than the diagonal of a cell.
    """
    place = np.clip((vertices[:, :3].astype(np.float64) + 0.5) * cells, 0, cells - 1).astype(np.int64)
    key = (place[:, 0] * cells + place[:, 1]) * cells + place[:, 2]
    _, cluster, count = np.unique(key, return_inverse=True, return_counts=True)
    cluster = cluster.reshape(-1).astype(np.int32)
    mean = np.stack([np.bincount(cluster, vertices[:, axis]) / count for axis in range(vertices.shape[1])], axis=1)
    merged = cluster[faces]
    a, b, c = merged.T
    return mean.astype(np.float32), merged[(a != b) & (b != c) & (c != a)]
