# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts without xatlas: faces seen along the six directions of a box."""

from __future__ import annotations

import numpy as np

from ..lookup.raster import overlapping_texels
from ..surface.topology import edge_table, face_vectors, label_components, unit
from .packing import pack_rectangles

# For each direction +x, -x, +y, -y, +z, -z: the axes of the projection plane, right-handed seen from outside.
_PLANES = np.array(
    [
        [[0, 1, 0], [0, 0, 1]],
        [[0, -1, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0]],
        [[-1, 0, 0], [0, 1, 0]],
    ],
    dtype=np.float64,
)

_SMOOTHING_ROUNDS = 4
_OVERLAP_ROUNDS = 6
_OVERLAP_SIZE = 1024


def box_charts(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flatten ``faces`` int64 [F, 3] of ``vertices`` [V, 3] by box projection.

    Returns uv float64 [F, 3, 2] in the units of the vertices and the chart of each face, int64 [F]. Faces that would
    lie over others of their chart (a surface that passes above itself) get charts of their own.
    """
    table = edge_table(faces)
    left, right = table.pairs()
    left, right = left // 3, right // 3
    area_vector = face_vectors(vertices, faces)
    direction = _directions(area_vector, left, right)
    axes = _PLANES[direction]
    uv = np.einsum("fci,fpi->fcp", vertices[faces], axes)
    layer = np.zeros(len(faces), dtype=np.int64)
    chart = np.zeros(len(faces), dtype=np.int64)
    for _ in range(_OVERLAP_ROUNDS):
        same = (direction[left] == direction[right]) & (layer[left] == layer[right])
        chart = label_components(len(faces), left[same], right[same])
        placed = pack_rectangles(uv, chart, _OVERLAP_SIZE, 1) / _OVERLAP_SIZE
        covering = overlapping_texels(placed, _OVERLAP_SIZE)[1]
        if len(covering) == 0:
            break
        layer[covering] += 1
    return uv, chart


def _directions(area_vector: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Choose the box direction each face sees best, on normals evened out over neighbours so that charts have few rims.

    A face keeps to directions it actually faces.
    """
    normal = unit(area_vector)
    smooth = area_vector
    for _ in range(_SMOOTHING_ROUNDS):
        total = smooth.copy()
        for i in range(3):
            total[:, i] += np.bincount(left, smooth[right, i], minlength=len(smooth))
            total[:, i] += np.bincount(right, smooth[left, i], minlength=len(smooth))
        smooth = total
    smooth = unit(smooth)
    both = np.stack([smooth, -smooth], axis=2).reshape(-1, 6)
    faced = np.stack([normal, -normal], axis=2).reshape(-1, 6)
    return np.argmax(np.where(faced > 0.3, both + 2.0, faced), axis=1)
