# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of the low-pass filter of normals. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def corners_by_point(point: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort the corners of faces (point int64 [F, 3] below ``count``): start int64 [count + 1], corners int64 [3F].

    The corners at point p are ``corners[start[p]:start[p + 1]]``, as 3 * face + corner, ascending.
    """
    start = np.zeros(count + 1, np.int64)
    for face in range(len(point)):
        for corner in range(3):
            start[point[face, corner] + 1] += 1
    for p in range(count):
        start[p + 1] += start[p]
    place = start[:-1].copy()
    corners = np.empty(3 * len(point), np.int64)
    for face in range(len(point)):
        for corner in range(3):
            p = point[face, corner]
            corners[place[p]] = 3 * face + corner
            place[p] += 1
    return start, corners


@compiled
def normals_and_angles(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals float32 [F, 3] of faces and the angles at their corners float32 [F, 3]; zero without area."""
    normals, angles = np.zeros((len(faces), 3), np.float32), np.zeros((len(faces), 3), np.float32)
    edge, length = np.empty((3, 3)), np.empty(3)
    for face in range(len(faces)):
        for corner in range(3):
            here, there = faces[face, corner], faces[face, (corner + 1) % 3]
            total = 0.0
            for axis in range(3):
                step = np.float64(vertices[there, axis]) - np.float64(vertices[here, axis])
                edge[corner, axis] = step
                total += step * step
            length[corner] = np.sqrt(total)
        x = edge[0, 1] * edge[1, 2] - edge[0, 2] * edge[1, 1]
        y = edge[0, 2] * edge[1, 0] - edge[0, 0] * edge[1, 2]
        z = edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0]
        area = np.sqrt(x * x + y * y + z * z)
        if area == 0.0:
            continue
        normals[face, 0], normals[face, 1], normals[face, 2] = x / area, y / area, z / area
        for corner in range(3):
            last = (corner + 2) % 3
            cosine = 0.0
            for axis in range(3):
                cosine -= edge[corner, axis] * edge[last, axis]
            angles[face, corner] = np.arccos(min(max(cosine / (length[corner] * length[last]), -1.0), 1.0))
    return normals, angles


@compiled
def corner_means(
    start: np.ndarray,
    corners: np.ndarray,
    point: np.ndarray,
    own: np.ndarray,
    angles: np.ndarray,
    normals: np.ndarray,
    crease: float,
) -> np.ndarray:
    """Mean normals float32 [N, 3, 3] of the faces around each corner of N of the faces, those beyond a crease left out.

    start and corners of all faces as ``corners_by_point`` gives them; point int64 [N, 3] and the normals ``own`` [N, 3]
    of the N. A face's weight is its angle [F, 3] at the point, times how far the cosine between its normal [F, 3] and
    the own one is above ``crease``.
    """
    means = np.empty((len(point), 3, 3), np.float32)
    for face in range(len(point)):
        nx, ny, nz = own[face, 0], own[face, 1], own[face, 2]
        for corner in range(3):
            x, y, z = 0.0, 0.0, 0.0
            for place in range(start[point[face, corner]], start[point[face, corner] + 1]):
                other, at = corners[place] // 3, corners[place] % 3
                ox, oy, oz = normals[other, 0], normals[other, 1], normals[other, 2]
                weight = angles[other, at] * max(np.float64(nx * ox + ny * oy + nz * oz) - crease, 0.0)
                x, y, z = x + weight * ox, y + weight * oy, z + weight * oz
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0.0:
                x, y, z = x / length, y / length, z / length
            else:
                x, y, z = nx, ny, nz
            means[face, corner, 0], means[face, corner, 1], means[face, corner, 2] = x, y, z
    return means


@compiled
def face_means(means: np.ndarray) -> np.ndarray:
    """The unit mean float32 [F, 3] of the normals [F, 3, 3] of each face's corners."""
    normals = np.empty((len(means), 3), np.float32)
    for face in range(len(means)):
        x = np.float64(means[face, 0, 0]) + means[face, 1, 0] + means[face, 2, 0]
        y = np.float64(means[face, 0, 1]) + means[face, 1, 1] + means[face, 2, 1]
        z = np.float64(means[face, 0, 2]) + means[face, 1, 2] + means[face, 2, 2]
        length = max(np.sqrt(x * x + y * y + z * z), 1e-30)
        normals[face, 0], normals[face, 1], normals[face, 2] = x / length, y / length, z / length
    return normals
