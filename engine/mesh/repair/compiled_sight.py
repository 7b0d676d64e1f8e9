# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled loop of ``sight``: the same result as the function named in it. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled
from .sight import SLACK


@compiled
def picture(points: np.ndarray, faces: np.ndarray, frame: np.ndarray, side: int, seen: np.ndarray) -> None:
    """``sight.plain_picture``."""
    flat = np.empty((len(points), 3))
    for vertex in range(len(points)):
        x, y, z = points[vertex, 0], points[vertex, 1], points[vertex, 2]
        flat[vertex, 0] = x * frame[0, 0] + y * frame[0, 1] + z * frame[0, 2] + side / 2.0
        flat[vertex, 1] = x * frame[1, 0] + y * frame[1, 1] + z * frame[1, 2] + side / 2.0
        flat[vertex, 2] = x * frame[2, 0] + y * frame[2, 1] + z * frame[2, 2]
    distance = np.empty((side * side, 2))
    shown = np.full((side * side, 2), -1, np.int64)
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = flat[a, 0], flat[a, 1], flat[a, 2]
        bx, by, bz = flat[b, 0], flat[b, 1], flat[b, 2]
        cx, cy, cz = flat[c, 0], flat[c, 1], flat[c, 2]
        left, right = int(np.ceil(min(ax, min(bx, cx)))), int(np.floor(max(ax, max(bx, cx))))
        low, high = int(np.ceil(min(ay, min(by, cy)))), int(np.floor(max(ay, max(by, cy))))
        if right < left or high < low:
            continue
        twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if twice == 0.0:
            continue
        for row in range(low, high + 1):
            for column in range(left, right + 1):
                third = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / twice
                second = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / twice
                first = 1.0 - second - third
                if min(first, min(second, third)) < -SLACK:
                    continue
                away = first * az + second * bz + third * cz
                pixel = row * side + column
                if shown[pixel, 0] < 0 or away < distance[pixel, 0]:
                    distance[pixel, 0], shown[pixel, 0] = away, face
                if shown[pixel, 1] < 0 or away > distance[pixel, 1]:
                    distance[pixel, 1], shown[pixel, 1] = away, face
    for pixel in range(side * side):
        for end in range(2):
            face = shown[pixel, end]
            if face < 0:
                continue
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            along = (flat[b, 0] - flat[a, 0]) * (flat[c, 1] - flat[a, 1]) - (flat[b, 1] - flat[a, 1]) * (
                flat[c, 0] - flat[a, 0]
            ) > 0.0
            seen[face, 0 if along != (end == 0) else 1] += 1
