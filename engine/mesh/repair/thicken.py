# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns open sheets into solids: the sheet twice, back to back, with a wall around its rims."""

from __future__ import annotations

import numpy as np

from ..surface.topology import edge_table, face_vectors, half_edge_ends, unit


def thicken(vertices: np.ndarray, faces: np.ndarray, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return closed solids of ``thickness`` (world units) with the sheets in their middle: vertices and faces.

    vertices [V, 3]; faces int64 [F, 3] consistently wound, with one fan of faces at each vertex and at most two at an
    edge. The first F faces are the fronts. Where a sheet bends more sharply than it is thick, its back folds.
    """
    count = len(vertices)
    normal = 0.5 * thickness * vertex_normals(vertices, faces)
    rim = edge_table(faces).boundary()
    tail, head = (ends[rim] for ends in half_edge_ends(faces))
    walls = np.concatenate([np.stack([head, tail, tail + count], 1), np.stack([head, tail + count, head + count], 1)])
    return np.concatenate([vertices + normal, vertices - normal]), np.concatenate(
        [faces, faces[:, ::-1] + count, walls]
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals [V, 3] of vertices, by the area of the faces around; zero where there is none."""
    area = face_vectors(vertices, faces)
    return unit(
        np.stack([sum(np.bincount(corner, n, minlength=len(vertices)) for corner in faces.T) for n in area.T], 1)
    )
