# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which charts lie well: hardly stretched, without mirrored faces, and not over themselves."""

from __future__ import annotations

import numpy as np

from ..compilation import in_portions, load_loops
from .flatten import stretches
from .outlines import ChartPoints, crossings, overfull_points

# A chart flattens well when no face is mirrored and hardly any of its area is stretched or squeezed more than this.
STRETCH = 2.0
STRETCHED_SHARE = 0.05

# Charts that one thread takes at a time.
_CHARTS_AT_ONCE = 64


def lie_well(
    exact: np.ndarray,
    flat: np.ndarray,
    corner: np.ndarray,
    label: np.ndarray,
    first: np.ndarray,
    flat_area: float,
    everywhere: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which charts lie well in ``flat`` [P, 2], bool [C], and which points keep the others from it, bool [P].

    exact [P, 3]: the points in space; corner int64 [F, 3], their numbers; label int64 [F]: the chart of each face, in
    any order; first int64 [C + 1]: where each chart's points begin. Faces of at most the area ``flat_area`` may be
    mirrored. Not ``everywhere``: no points where a chart lies over itself of those that are stretched or mirrored.
    """
    bad, spot = np.zeros(len(first) - 1, dtype=bool), np.zeros(len(flat), dtype=bool)
    loops = load_loops("unwrap.compiled_judge")
    if loops is None:
        _judge(exact, flat, corner, label, first, flat_area, everywhere, bad, spot)
        return ~bad, spot
    if np.any(label[1:] < label[:-1]):
        order = np.argsort(label, kind="stable")
        corner, label = corner[order], label[order]
    faces = np.searchsorted(label, np.arange(len(first)))

    def judge(part: slice) -> None:
        part = slice(part.start, min(part.stop, len(bad)))
        ends = slice(part.start, part.stop + 1)
        loops.judge(
            exact, flat, corner, first[ends], faces[ends], flat_area, STRETCHED_SHARE, everywhere, bad[part], spot
        )

    in_portions(judge, len(bad), _CHARTS_AT_ONCE)
    return ~bad, spot


def _judge(
    exact: np.ndarray,
    flat: np.ndarray,
    corner: np.ndarray,
    label: np.ndarray,
    first: np.ndarray,
    flat_area: float,
    everywhere: bool,
    bad: np.ndarray,
    spot: np.ndarray,
) -> None:
    """What ``lie_well`` is: write ``bad`` [C] and ``spot`` [P]."""
    chart = np.repeat(np.arange(len(bad)), np.diff(first))
    area, stretch = stretches(exact, flat, corner)
    mirrored = (area > flat_area) & (stretch[:, 1] <= 0)
    uneven = (stretch[:, 0] > STRETCH) | (stretch[:, 1] < 1.0 / STRETCH)
    share = np.bincount(label, area * uneven, minlength=len(bad)) / np.maximum(
        np.bincount(label, area, minlength=len(bad)), 1e-300
    )
    bad |= (share > STRETCHED_SHARE) | ~np.isfinite(np.bincount(label, stretch.sum(axis=1), minlength=len(bad)))
    flat = np.nan_to_num(flat, posinf=0.0, neginf=0.0)
    folded = corner[mirrored].reshape(-1)
    bad[chart[folded]] = True
    if not everywhere:
        corner = corner[~bad[label]]
    shown = ChartPoints(corner, chart, first, np.zeros(0, dtype=bool))
    crossing, (inside, at_rim) = crossings(flat, shown), overfull_points(flat, shown)
    for point in (crossing, inside, at_rim):
        bad[chart[point]] = True
    # Where an outline crosses itself next to a point that is too full, the point is the cause.
    caused = np.isin(chart[crossing], chart[at_rim])
    for point in (folded, crossing[~caused], inside, at_rim):
        spot[point] = True
