# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``lattice``: the same results as the methods named in each. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def steps(index: np.ndarray, axis: int, sign: int, following: np.ndarray) -> np.ndarray:
    """``Lattice.step``; ``following`` int64 [B]: the slot of the next block that way."""
    other = np.empty(len(index), np.int64)
    for n in range(len(index)):
        other[n] = _step(index[n], axis, sign, following)
    return other


@compiled
def open_steps(index: np.ndarray, axis: int, sign: int, following: np.ndarray, walls: np.ndarray) -> np.ndarray:
    """``Lattice.open_step``."""
    other = np.empty(len(index), np.int64)
    for n in range(len(index)):
        other[n] = _open_step(index[n], axis, sign, following, walls)
    return other


@compiled
def borders(
    near: np.ndarray, axis: int, sign: int, following: np.ndarray, value: np.ndarray, steps: np.ndarray, reach: int
) -> np.ndarray:
    """The lower ends int64 of the edges that ``Lattice.borders`` finds from points ``near`` int64 [N] one way."""
    lower, found = np.empty(len(near), np.int64), 0
    for point in near:
        other = _step(point, axis, sign, following)
        if other >= 0 and value[other] != value[point] and (sign > 0 or steps[other] == reach):
            lower[found] = point if sign > 0 else other
            found += 1
    return lower[:found].copy()


@compiled
def lowest_labels(points: np.ndarray, slots: np.ndarray, walls: np.ndarray, label: np.ndarray) -> np.ndarray:
    """What ``Lattice._pull`` finds: the lowest label among each point's neighbours, int32 [N], the highest int32 where
    there is none. ``slots`` int64 [2, 3, B]: those of the next blocks.
    """
    nobody = np.iinfo(np.int32).max
    best = np.full(len(points), nobody, np.int32)
    for n in range(len(points)):
        for axis in range(3):
            for way in range(2):
                other = _open_step(points[n], axis, 2 * way - 1, slots[way, axis], walls)
                if other >= 0 and 0 < label[other] < best[n]:
                    best[n] = label[other]
    return best


@compiled
def _open_step(index: int, axis: int, sign: int, following: np.ndarray, walls: np.ndarray) -> int:
    other = _step(index, axis, sign, following)
    if other >= 0 and walls[index if sign > 0 else other] >> axis & 1:
        return -1
    return other


@compiled
def _step(index: int, axis: int, sign: int, following: np.ndarray) -> int:
    shift = 6 - 3 * axis
    if index >> shift & 7 != (7 if sign > 0 else 0):
        return index + sign * (1 << shift)
    slot = following[index >> 9]
    return slot * 512 + (index & 511) - sign * (7 << shift) if slot >= 0 else -1
