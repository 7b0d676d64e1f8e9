# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading normals of a dense voxel surface without the noise of its voxels.

Every dual vertex is placed on its own, so neighbouring faces of a flat wall differ by some degrees. A normal map that
kept this would look like orange peel. The normals are smoothed where they agree roughly and kept apart at creases
(bilateral filtering; Zheng et al., 2011).
"""

from __future__ import annotations

import numpy as np

from ...kernels.host_arrays import on_card
from ..compilation import in_portions, load_loops
from ..surface import tensor_normals
from ..surface.normals import CREASE_DEGREES, corner_normals

ROUNDS = 2
"""Each widens what is averaged by one ring of faces: about a voxel."""


def smooth_corner_normals(vertices: np.ndarray, faces: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """Return unit normals float32 [F, 3, 3] of the corners of a surface (vertices [V, 3], faces [F, 3]), low-passed.

    Faces whose normals differ by more than ``CREASE_DEGREES`` do not touch each other's. Vertices in one place count as
    one. Without numba the normals come as they are.
    """
    loops = load_loops("surface.compiled_normals")
    if loops is None:
        return corner_normals(vertices, faces)
    crease = float(np.cos(np.radians(CREASE_DEGREES)))
    found = on_card(lambda *arrays: tensor_normals.smooth_corner_normals(*arrays, rounds, crease), faces, vertices)
    if found is not None:
        return found
    places = _places(vertices)
    point = places[faces]
    start, corners = loops.corners_by_point(point, int(places.max()) + 1)
    normals, angles, means = (np.empty((len(faces), *shape), np.float32) for shape in ((3,), (3,), (3, 3)))

    def measure(part: slice) -> None:
        normals[part], angles[part] = loops.normals_and_angles(vertices, faces[part])

    def widen(part: slice) -> None:
        means[part] = loops.corner_means(start, corners, point[part], normals[part], angles, normals, crease)

    def narrow(part: slice) -> None:
        normals[part] = loops.face_means(means[part])

    for step in (measure, *(widen, narrow) * rounds, widen):
        in_portions(step, len(faces))
    return means


def _places(vertices: np.ndarray) -> np.ndarray:
    """Number the different positions of vertices [V, 3] in float32, int64 [V]: vertices in one place get one number."""
    bits = (vertices.astype(np.float32) + np.float32(0.0)).view(np.uint32).astype(np.uint64)
    # A hash, for sorting rows takes ten times as long; that two places share one is less likely than a broken disk.
    key = bits[:, 0] * np.uint64(0x9E3779B97F4A7C15) + bits[:, 1]
    key = (key ^ key >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9) + bits[:, 2]
    key = (key ^ key >> np.uint64(32)) * np.uint64(0x94D049BB133111EB)
    return np.unique(key, return_inverse=True)[1].reshape(-1)
