# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loop of ``raster.overlapping_texels``: the same bits. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def overlaps(corners: np.ndarray, size: int, clear: float) -> tuple[np.ndarray, np.ndarray]:
    """How many of the triangles ``corners`` [F, 3, 2] in texels cover each texel's centre, at most 2, uint8 [size^2].

    With the least weight above ``clear``. Also which triangles [F] cover one that triangles before them cover.
    """
    times, later = np.zeros(size * size, np.uint8), np.zeros(len(corners), np.bool_)
    low, high = np.empty(2, np.int64), np.empty(2, np.int64)
    for face in range(len(corners)):
        ax, ay = corners[face, 0, 0], corners[face, 0, 1]
        bx, by = corners[face, 1, 0] - ax, corners[face, 1, 1] - ay
        cx, cy = corners[face, 2, 0] - ax, corners[face, 2, 1] - ay
        area = bx * cy - by * cx
        if not abs(area) > 1e-9:
            continue
        for i in range(2):
            p, q, r = corners[face, 0, i], corners[face, 1, i], corners[face, 2, i]
            low[i] = int(min(max(np.ceil(min(p, q, r) - 0.5), 0.0), size))
            high[i] = int(min(max(np.floor(max(p, q, r) - 0.5) + 1.0, 0.0), size))
        second_x, second_y, third_x, third_y = cy / area, -cx / area, -by / area, bx / area
        for row in range(low[1], high[1]):
            y = row - (ay - 0.5)
            for column in range(low[0], high[0]):
                x = column - (ax - 0.5)
                second = second_x * x + second_y * y
                third = third_x * x + third_y * y
                if min(second, third, 1.0 - second - third) > clear:
                    texel = row * size + column
                    if times[texel] == 0:
                        times[texel] = 1
                    else:
                        times[texel] = 2
                        later[face] = True
    return times, later
