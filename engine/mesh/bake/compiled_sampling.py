# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled loop that reads voxel materials between voxel centres. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled

_LEAST = np.float32(1e-12)


@compiled
def trilinear(
    blocks: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray,
    resolution: int,
    values: np.ndarray,
    points: np.ndarray,
    sampled: np.ndarray,
) -> None:
    """``ovoxel.sample_sparse`` up to rounding: values float32 [N, C] at points float32 [M, 3], into ``sampled`` [M, C].

    blocks, slots and rows: the arrays of a ``VoxelTable`` of the voxels in a grid of ``resolution``.
    """
    base, fraction = np.empty(3, np.int64), np.empty(3, np.float32)
    size, half = np.float32(1.0) / np.float32(resolution), np.float32(0.5)
    for point in range(len(points)):
        for axis in range(3):
            at = (points[point, axis] + half) / size - half
            base[axis] = np.int64(np.floor(at))
            fraction[axis] = at - np.floor(at)
        total = np.float32(0.0)
        sampled[point] = 0.0
        for corner in range(8):
            x, y, z = base[0] + (corner & 1), base[1] + (corner >> 1 & 1), base[2] + (corner >> 2)
            if min(x, min(y, z)) < 0 or max(x, max(y, z)) >= resolution:
                continue
            slot = np.int64(slots[((x >> 3) * blocks[1] + (y >> 3)) * blocks[2] + (z >> 3)])
            row = rows[slot * 512 + ((x & 7) << 6 | (y & 7) << 3 | (z & 7))]
            if row < 0:
                continue
            weight = np.float32(1.0)
            for axis in range(3):
                weight *= fraction[axis] if corner >> axis & 1 else np.float32(1.0) - fraction[axis]
            total += weight
            for channel in range(values.shape[1]):
                sampled[point, channel] += weight * values[row, channel]
        for channel in range(values.shape[1]):
            sampled[point, channel] /= max(total, _LEAST)
