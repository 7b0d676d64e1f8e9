# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits quads along the diagonal over which the surface bends less (spec/ovoxel.md section 2, step 4)."""

from __future__ import annotations

import numpy as np

from ...kernels.host_arrays import on_card
from . import tensor_diagonals

# Cosines that differ by less are those of quads that are flat but for rounding.
ALIKE = 1e-12

# Quads at once: temporaries of this size stay in the processor's cache.
_CHUNK = 65_536


def quads_of(faces: np.ndarray) -> np.ndarray:
    """Return the quads int [Q, 4] in order around them that ``dual_grid_to_mesh`` split into faces [2Q, 3]."""
    first, second = faces[0::2], faces[1::2]
    along_02 = second[:, 0] == first[:, 0]
    third = np.where(along_02, first[:, 2], second[:, 2])
    fourth = np.where(along_02, second[:, 2], first[:, 2])
    return np.stack([first[:, 0], first[:, 1], third, fourth], 1)


def split_quads(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return triangles [2Q, 3] of quads [Q, 4] (in order around them), two in a row for each quad.

    vertices [V, 3]. Of the two diagonals the one with the smaller angle between the unit normals of its triangles; a
    triangle without area counts as folded over, and of two alike the diagonal 0-2 is taken.
    """
    if (found := on_card(lambda *arrays: tensor_diagonals.split_quads(*arrays, ALIKE), quads, vertices)) is not None:
        return found
    faces = np.empty((len(quads), 2, 3), dtype=quads.dtype)
    for start in range(0, len(quads), _CHUNK):
        quad = quads[start : start + _CHUNK]
        a, b, c, d = (np.ascontiguousarray(vertices[column].T, dtype=np.float64) for column in quad.T)
        flat_02 = _cosine(_cross(b - a, c - a), _cross(c - a, d - a))
        flat_13 = _cosine(_cross(b - a, d - a), _cross(b - d, c - d))
        along_13 = (flat_13 > flat_02 + ALIKE)[:, None]
        faces[start : start + _CHUNK, 0] = np.where(along_13, quad[:, [0, 1, 3]], quad[:, [0, 1, 2]])
        faces[start : start + _CHUNK, 1] = np.where(along_13, quad[:, [3, 1, 2]], quad[:, [0, 2, 3]])
    return faces.reshape(-1, 3)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine of the angle between vectors [3, N], -1 where one of them is (nearly) zero."""
    scale = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    tiny = scale <= 1e-12 * np.maximum((a * a).sum(0), (b * b).sum(0))
    return np.where(tiny, -1.0, (a * b).sum(0) / np.where(tiny, 1.0, scale))
