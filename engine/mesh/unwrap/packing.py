# SPDX-License-Identifier: GPL-3.0-or-later
"""Places charts in a square by their bounding rectangles: simple, and always succeeds."""

from __future__ import annotations

import numpy as np

from .widths import ranges

ANGLES = 16
_SEARCH_STEPS = 24


def pack_rectangles(uv: np.ndarray, chart: np.ndarray, size: int, padding: int) -> np.ndarray:
    """Place charts (face label int [F]) in ``size`` x ``size`` texels, ``padding`` apart, as large as they fit.

    uv: [F, 3, 2] in any unit common to all charts. Every chart is turned to its smallest bounding rectangle, lying
    down, and the rectangles stand in rows. Returns float64 [F, 3, 2] in texels. When there are so many charts that the
    padding alone fills the square, the whole layout including its padding is shrunk.
    """
    count = int(chart.max()) + 1
    points = lay_down(uv.astype(np.float64), chart, count)
    extent = np.zeros((count, 2))
    np.maximum.at(extent, chart, points.max(axis=1))
    order = np.lexsort((np.arange(count), -extent[:, 0], -extent[:, 1]))
    low, high = 0.0, (size - padding) / max(float(extent.max()), 1e-12)
    corners, side = _rows(extent[order] * low, size, padding)
    fits = side <= size
    for _ in range(_SEARCH_STEPS if fits else 0):
        middle = 0.5 * (low + high)
        placed, height = _rows(extent[order] * middle, size, padding)
        if height <= size:
            low, corners = middle, placed
        else:
            high = middle
    if not fits:
        low = 0.5 * padding / max(float(extent.max()), 1e-12)
        width = float(np.ceil(np.sqrt(count)) * (1.5 * padding + 1) + padding)
        corners, side = _rows(extent[order] * low, width, padding)
        shrink = size / max(width, side)
    else:
        shrink = 1.0
    place = np.empty((count, 2))
    place[order] = corners
    return (points * low + place[chart][:, None]) * shrink


def _rows(extent: np.ndarray, width: float, padding: int) -> tuple[np.ndarray, float]:
    """Stand rectangles [n, 2] (tallest first) in rows of ``width``: their lower corners [n, 2], the height used."""
    corners = np.empty_like(extent)
    x = y = 0.5 * padding
    tallest = 0.0
    for index, (w, h) in enumerate(extent.tolist()):
        if x + w + 0.5 * padding > width and x > 0.5 * padding:
            x, y, tallest = 0.5 * padding, y + tallest + padding, 0.0
        corners[index] = x, y
        x += w + padding
        tallest = max(tallest, h)
    return corners, y + tallest + 0.5 * padding


def lay_down(uv: np.ndarray, chart: np.ndarray, count: int) -> np.ndarray:
    """Turn each chart so that its bounding rectangle is smallest and lies down, its lower corner at the origin."""
    best_area = np.full(count, np.inf)
    best = np.zeros((count, 5))
    for step in range(ANGLES):
        angle = 0.5 * np.pi * step / ANGLES
        low, high = ranges(uv, chart, np.full(count, np.cos(angle)), np.full(count, np.sin(angle)))
        wide = (high - low).T
        better = wide[0] * wide[1] < best_area * (1 - 1e-9)
        best_area = np.where(better, wide[0] * wide[1], best_area)
        found = np.stack([np.full(count, angle), *low.T, *wide], axis=1)
        best = np.where(better[:, None], found, best)
    angle, low_along, low_across, wide_along, wide_across = best[chart].T
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = uv[..., 0] * cos + uv[..., 1] * sin - low_along[:, None]
    across = uv[..., 1] * cos - uv[..., 0] * sin - low_across[:, None]
    upright = (wide_across > wide_along)[:, None]
    x = np.where(upright, across, along)
    y = np.where(upright, wide_along[:, None] - along, across)
    return np.stack([x, y], axis=-1)
