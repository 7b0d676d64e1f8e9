# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loop of ``flatten``: the same bits as the function named in it. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from .compilation import compiled


@compiled
def pull(rest: np.ndarray, uv: np.ndarray, corners: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``flatten.pull``: [V, 2] from rest [F, 3, 2], uv [V, 2], corners int [F, 3], weight [F, 3]."""
    total = np.zeros_like(uv)
    turned, force = np.empty((3, 2)), np.empty((3, 2))
    for face in range(len(corners)):
        cos, sin = 0.0, 0.0
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            px, py = rest[face, j, 0] - rest[face, k, 0], rest[face, j, 1] - rest[face, k, 1]
            qx = uv[corners[face, j], 0] - uv[corners[face, k], 0]
            qy = uv[corners[face, j], 1] - uv[corners[face, k], 1]
            cos += weight[face, i] * (px * qx + py * qy)
            sin += weight[face, i] * (px * qy - py * qx)
        length = max(np.sqrt(cos * cos + sin * sin), 1e-30)
        cos /= length
        sin /= length
        for i in range(3):
            turned[i, 0] = cos * rest[face, i, 0] - sin * rest[face, i, 1]
            turned[i, 1] = sin * rest[face, i, 0] + cos * rest[face, i, 1]
        force[:] = 0.0
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            for axis in range(2):
                by = weight[face, i] * (turned[j, axis] - turned[k, axis])
                force[j, axis] += by
                force[k, axis] -= by
        for i in range(3):
            for axis in range(2):
                total[corners[face, i], axis] += force[i, axis]
    return total
