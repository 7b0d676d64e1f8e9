# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-colour patterns of material slots: which of a slot's two colours a point has depends on its position only."""

from __future__ import annotations

import numpy as np
from numba import njit

PLAIN, STRIPES, SECTORS, CHECKER = range(4)
PATTERN_SHARE = 0.25
PATTERN_FIELDS = 5
"""Kind, then period (stripes, checker) or number of sectors, then three offsets (x, y, z) or the phase in radians."""


def draw_pattern(rng: np.random.Generator) -> np.ndarray:
    """Draw the pattern of one slot float32 [5]; cells are at least five voxels of 1/64 wide."""
    pattern = np.zeros(PATTERN_FIELDS, dtype=np.float32)
    if rng.random() >= PATTERN_SHARE:
        return pattern
    kind = int(rng.integers(STRIPES, CHECKER + 1))
    pattern[0] = kind
    pattern[1] = 2 * rng.integers(2, 5) if kind == SECTORS else rng.uniform(0.09, 0.19)
    pattern[2:] = rng.uniform(0, 2 * np.pi if kind == SECTORS else 1.0, 3)
    return pattern


@njit(cache=True)
def pattern_bit(pattern: np.ndarray, x: float, y: float, z: float) -> int:
    """Return which of a slot's two colours (0 or 1) the point has."""
    kind = pattern[0]
    if kind == 1:
        return int(np.floor(z / pattern[1] + pattern[4])) & 1
    if kind == 2:
        turn = (np.arctan2(y, x) + pattern[2]) / (2 * np.pi) + 2.0
        return int(np.floor(turn * pattern[1])) & 1
    if kind == 3:
        cells = (
            np.floor(x / pattern[1] + pattern[2])
            + np.floor(y / pattern[1] + pattern[3])
            + np.floor(z / pattern[1] + pattern[4])
        )
        return int(cells) & 1
    return 0


@njit(cache=True)
def point_labels(patterns: np.ndarray, slots: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return slot * 2 + pattern bit, uint8 [N], for points [N, 3] that lie on faces of the given slots [N]."""
    labels = np.empty(len(slots), dtype=np.uint8)
    for n in range(len(slots)):
        slot = slots[n]
        labels[n] = 2 * slot + pattern_bit(patterns[slot], points[n, 0], points[n, 1], points[n, 2])
    return labels
