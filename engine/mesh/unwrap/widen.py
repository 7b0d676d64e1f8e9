# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes charts wide enough for a few texels: what lies between two texel centres would show its neighbours' colours."""

from __future__ import annotations

import numpy as np

from .flatten import double_areas
from .widths import narrowest

# How often the step between the directions tried for the narrowest one is halved.
HALVINGS = 14

# Charts narrower than this share of their length have no area to speak of and stay as they are.
FLAT = 1e-6

# Stretched until it is as wide as long, a chart is still enlarged as a whole, but no further than this from a square.
SLACK = 3.0


def widened(points: np.ndarray, chart: np.ndarray, count: int, least: float) -> np.ndarray:
    """Stretch the charts that fit between parallel lines nearer than ``least`` until they do not.

    points: [F, 3, 2]; chart: int [F], ``count`` of them. A chart is stretched across its narrowest direction only, and
    as a whole where that would make it wider than long. Stretched charts lie along the first axis, their lower corner
    at the origin; the others come back as they are. No chart is mirrored, and none covers itself that did not before.
    """
    low, high = (
        _by_chart(reduce, corners, chart, count)
        for reduce, corners in ((np.minimum, points.min(axis=1)), (np.maximum, points.max(axis=1)))
    )
    area = np.bincount(chart, 0.5 * double_areas(points), count)
    # A convex outline's area is at most its least width times its diameter.
    narrow = area < least * np.linalg.norm(high - low, axis=1)
    face = np.flatnonzero(narrow[chart])
    if len(face) == 0:
        return points
    number = (np.cumsum(narrow) - 1)[chart[face]]
    face, number = face[order := np.argsort(number, kind="stable")], number[order]
    start = np.flatnonzero(np.diff(number, prepend=-1))
    angle, width = narrowest(points[face], number, len(start), HALVINGS)
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    y = (points[face] * across[number][:, None]).sum(axis=2)
    x = (points[face] * np.stack([across[:, 1], -across[:, 0]], axis=1)[number][:, None]).sum(axis=2)
    length = np.maximum.reduceat(x.max(axis=1), start) - np.minimum.reduceat(x.min(axis=1), start)
    thin = (width < least) & (width > FLAT * length)
    longer = length / np.maximum(width, 1e-300)
    stretch = np.where(thin, np.clip(least / np.maximum(width, 1e-300), 1.0, np.maximum(longer, 1.0)), 1.0)
    laid = np.stack([x, y * stretch[number][:, None]], axis=2)
    width = narrowest(laid, number, len(start), HALVINGS)[1]
    bound = SLACK * np.maximum(least / np.maximum(length, 1e-300), 1.0)
    whole = np.where(thin, np.clip(least / np.maximum(width, 1e-300), 1.0, bound), 1.0)
    laid *= whole[number][:, None, None]
    laid -= np.minimum.reduceat(laid.min(axis=1), start)[number][:, None]
    result = points.copy()
    kept = thin[number]
    result[face[kept]] = laid[kept]
    return result


def _by_chart(reduce: np.ufunc, values: np.ndarray, chart: np.ndarray, count: int) -> np.ndarray:
    result = np.full((count, values.shape[1]), -np.inf if reduce is np.maximum else np.inf)
    reduce.at(result, chart, values)
    return result
