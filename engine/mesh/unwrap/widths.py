# SPDX-License-Identifier: GPL-3.0-or-later
"""How far charts reach in a direction, and in which one they are narrowest."""

from __future__ import annotations

import numpy as np

from ..compilation import load_loops

# Directions tried for the narrowest one.
DIRECTIONS = 24


def ranges(uv: np.ndarray, chart: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each chart begins and ends along and across its direction (cos, sin): float64 [C, 2] each.

    uv: [F, 3, 2]; chart: int [F]; cos, sin: [C]. Infinite, and the other way round, for charts without faces.
    """
    loops = load_loops("unwrap.compiled_widths")
    if loops is not None:
        return loops.ranges(uv, chart, cos, sin)
    x, y, c, s = uv[..., 0], uv[..., 1], cos[chart][:, None], sin[chart][:, None]
    low, high = np.full((len(cos), 2), np.inf), np.full((len(cos), 2), -np.inf)
    for axis, value in enumerate((x * c + y * s, y * c - x * s)):
        np.minimum.at(low[:, axis], chart, value.min(axis=1))
        np.maximum.at(high[:, axis], chart, value.max(axis=1))
    return low, high


def narrowest(uv: np.ndarray, chart: np.ndarray, count: int, halvings: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The angle float64 [count] along which each chart of faces ``uv`` [F, 3, 2] lies, and its width across it [count].

    The width is the least distance between parallel lines around the chart, in some directions and then in those
    between them: ``halvings`` times the step is halved about the best. Infinite for a chart without faces.
    """
    best, least = np.zeros(count), np.full(count, np.inf)

    def attempt(angle: np.ndarray) -> None:
        low, high = ranges(uv, chart, np.cos(angle), np.sin(angle))
        wide = np.where(high < low, np.inf, high - low)
        for turned, width in ((angle, wide[:, 1]), (angle + 0.5 * np.pi, wide[:, 0])):
            better = width < least
            best[better], least[better] = turned[better], width[better]

    for step in range(DIRECTIONS // 2):
        attempt(np.full(count, np.pi * step / DIRECTIONS))
    for halving in range(1, halvings + 1):
        centre, turn = best.copy(), np.pi / DIRECTIONS / 2**halving
        attempt(centre - turn)
        attempt(centre + turn)
    return best, least
