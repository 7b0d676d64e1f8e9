# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops that smooth and read the samples of ambient occlusion. Arrays are numpy.

Samples lie in a square grid of blocks of texels: ``sample`` int64 [B, B] is the number of a block's sample or -1. Those
around a place count by how near they are in the image, and only when they are near in space and face the same way: so
nothing runs across the border of a chart, a crease, or a gap.
"""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def _weighted(
    sample: np.ndarray,
    shares: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    row: float,
    column: float,
    point: np.ndarray,
    normal: np.ndarray,
    radius: float,
    spacing: float,
) -> tuple[float, float]:
    """The weighted sum of the shares of samples within ``radius`` blocks of (row, column), and of the weights."""
    total, weights = 0.0, 0.0
    side = len(sample)
    for r in range(max(int(np.ceil(row - radius)), 0), min(int(np.floor(row + radius)), side - 1) + 1):
        for c in range(max(int(np.ceil(column - radius)), 0), min(int(np.floor(column + radius)), side - 1) + 1):
            other = sample[r, c]
            if other < 0:
                continue
            cosine, gap = 0.0, 0.0
            for axis in range(3):
                cosine += np.float64(normals[other, axis]) * normal[axis]
                gap += (np.float64(points[other, axis]) - point[axis]) ** 2
            if cosine <= 0.0:
                continue
            near = 1.0 - gap / (4.0 * spacing * radius) ** 2
            if near <= 0.0:
                continue
            # Flat in the middle: each of 4 x 4 patterns then has the same weight within a radius of 2.5.
            tent = min(radius - abs(r - row), 1.0) * min(radius - abs(c - column), 1.0)
            weight = tent * near * cosine**8
            total += weight * shares[other]
            weights += weight
    return total, weights


@compiled
def smooth_samples(
    sample: np.ndarray,
    shares: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    radius: float,
    spacing: float,
    begin: int,
    end: int,
    result: np.ndarray,
) -> None:
    """Replace ``result`` float32 [N], for the samples in rows [begin, end) of the grid, by the mean share around each.

    ``spacing``: how far neighbouring blocks are apart in space.
    """
    for row in range(begin, end):
        for column in range(len(sample)):
            here = sample[row, column]
            if here >= 0:
                total, weights = _weighted(
                    sample, shares, points, normals, row, column, points[here], normals[here], radius, spacing
                )
                if weights > 0.0:
                    result[here] = total / weights


@compiled
def read_samples(
    sample: np.ndarray,
    shares: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    place: np.ndarray,
    at: np.ndarray,
    facing: np.ndarray,
    spacing: float,
) -> np.ndarray:
    """The share float32 [T] at places [T, 2] (row, column in blocks), at points ``at`` [T, 3] that face [T, 3].

    Of a texel that has no sample near it that agrees, the sample of its own block; 1 where there is none.
    """
    result = np.ones(len(place), np.float32)
    side = len(sample)
    for i in range(len(place)):
        total, weights = _weighted(
            sample, shares, points, normals, place[i, 0], place[i, 1], at[i], facing[i], 1.5, spacing
        )
        if weights > 0.0:
            result[i] = total / weights
        else:
            row = min(max(int(np.rint(place[i, 0])), 0), side - 1)
            column = min(max(int(np.rint(place[i, 1])), 0), side - 1)
            own = sample[row, column]
            if own >= 0:
                result[i] = shares[own]
    return result
