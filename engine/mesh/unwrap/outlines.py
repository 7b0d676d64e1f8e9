# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as surfaces of their own: their points, whether they cover themselves where they lie flat, cutting them.

A chart's points are the corners of its faces, one for all corners that edges inside the chart join. So a chart is
always manifold: where it only touches itself, in an edge or a point, it has two points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np

from ...kernels.host_arrays import Array
from ..surface.topology import label_components

# A cut that leaves less than this share of a chart's faces on one side is no help.
LEAST_SHARE = 0.02

# Angles around a point may add up to so much more than a whole turn (radians) before faces must cover each other.
TURN_SLACK = 0.01


@dataclass(frozen=True)
class ChartPoints:
    """corner: int64 [F, 3], the point of every face corner; points are numbered chart by chart.

    chart: int64 [P], the chart of each point. first: int64 [C + 1], where each chart's points begin. inner: bool [H],
    which of the given pairs of half-edges lie inside a chart.
    """

    corner: np.ndarray
    chart: np.ndarray
    first: np.ndarray
    inner: np.ndarray


def chart_points(label: np.ndarray, left: np.ndarray, right: np.ndarray) -> ChartPoints:
    """Find the points of charts (face label int [F], no number left out) joined across pairs of half-edges [H]."""
    inner = label[left // 3] == label[right // 3]
    one, other = left[inner], right[inner]
    joined = label_components(3 * len(label), np.concatenate([one, _next(one)]), np.concatenate([_next(other), other]))
    chart = np.zeros(int(joined.max(initial=-1)) + 1, dtype=np.int64)
    chart[joined] = np.repeat(label, 3)
    order = np.argsort(chart, kind="stable")
    name = np.empty(len(order), dtype=np.int64)
    name[order] = np.arange(len(order))
    chart = chart[order]
    first = np.searchsorted(chart, np.arange(int(label.max(initial=-1)) + 2))
    return ChartPoints(name[joined].reshape(-1, 3), chart, first, inner)


def kept_pairs(place: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """The pairs of half-edges between faces that have a new number ``place`` >= 0, with the new numbers."""
    f, g = place[left // 3], place[right // 3]
    both = (f >= 0) & (g >= 0)
    return 3 * f[both] + left[both] % 3, 3 * g[both] + right[both] % 3


@dataclass(frozen=True)
class Trouble(Generic[Array]):
    """Places that keep charts from lying flat: faces there, int64 [N], and where each of them touches it [N, 3]."""

    face: Array
    place: Array

    @staticmethod
    def none() -> Trouble[np.ndarray]:
        return Trouble(np.zeros(0, dtype=np.int64), np.zeros((0, 3)))

    def of(self, number: Array) -> Trouble[Array]:
        """The places at faces that have a new ``number`` int64 [F] >= 0, with the new numbers."""
        face = number[self.face]
        return Trouble(face[face >= 0], self.place[face >= 0])


def cut_through(
    label: np.ndarray, middle: np.ndarray, left: np.ndarray, right: np.ndarray, trouble: Trouble
) -> np.ndarray:
    """Cut every chart (face label int [F]) in two; connected charts int64 [F].

    middle: the middles of the faces [F, 3]. The cut is a plane across one of the chart's main directions, through the
    one of its places of ``trouble`` that leaves the most even halves; without any, through the middle, across the
    longest extent. Only where a cut passes through it does a point stop having too many faces around it.
    """
    count = int(label.max()) + 1
    order = np.argsort(label, kind="stable")
    start = np.searchsorted(label[order], np.arange(count + 1))
    owner = label[trouble.face]
    spots = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[spots], np.arange(count + 1))
    upper = np.zeros(len(label), dtype=np.int64)
    for chart in range(count):
        members = order[start[chart] : start[chart + 1]]
        through = trouble.place[spots[first[chart] : first[chart + 1]]]
        upper[members] = _upper_half(middle[members], through)
    part = 2 * label + upper
    f, g = left // 3, right // 3
    # Crumbs that the cut left on the wrong side go over to the other one: only the largest piece of a half stays.
    same = part[f] == part[g]
    piece = label_components(len(label), f[same], g[same])
    size, half = np.bincount(piece), part[np.unique(piece, return_index=True)[1]]
    order = np.lexsort((-size, half))
    crumb = np.ones(len(size), dtype=bool)
    crumb[order[np.diff(half[order], prepend=-1) != 0]] = False
    part = np.where(crumb[piece], part ^ 1, part)
    same = part[f] == part[g]
    return label_components(len(label), f[same], g[same])


def _upper_half(middle: np.ndarray, through: np.ndarray) -> np.ndarray:
    """Tell which faces with the middles [N, 3] lie above the best cut (see ``cut_through``), bool [N]."""
    centre = middle.mean(axis=0)
    away = middle - centre
    axes = np.linalg.eigh(away.T @ away)[1][:, :0:-1]
    along = np.sort(away @ axes, axis=0)
    best, cut = 0.5 - LEAST_SHARE, None
    for axis in range(axes.shape[1]):
        at = (through - centre) @ axes[:, axis]
        uneven = np.abs(np.searchsorted(along[:, axis], at) / len(middle) - 0.5)
        if len(at) and uneven.min() < best:
            best, cut = uneven.min(), (axis, at[np.argmin(uneven)])
    if cut is not None:
        return away @ axes[:, cut[0]] >= cut[1]
    upper = np.zeros(len(middle), dtype=bool)
    upper[np.argsort(away @ axes[:, 0], kind="stable")[(len(middle) + 1) // 2 :]] = True
    return upper


def overfull_points(uv: np.ndarray, points: ChartPoints) -> tuple[np.ndarray, np.ndarray]:
    """Points (of ``uv`` [P, 2]) whose faces cover each other because their angles add up to more than a turn.

    Ascending int64, those inside their chart and those on its outline. A connected chart without mirrored faces and
    such points covers itself exactly when its outline crosses itself, however many openings it has: the outlines' turns
    then add up to those of one outer line with openings in it.
    """
    corner = uv[points.corner]
    total = np.zeros(len(uv))
    for i in range(3):
        p, q = corner[:, (i + 1) % 3] - corner[:, i], corner[:, (i + 2) % 3] - corner[:, i]
        angle = np.arctan2(np.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]), (p * q).sum(axis=1))
        total += np.bincount(points.corner[:, i], angle, minlength=len(uv))
    rim = np.zeros(len(uv), dtype=bool)
    for end in outline(points, len(uv)):
        rim[end] = True
    full = total > 2 * np.pi + TURN_SLACK
    return np.flatnonzero(full & ~rim), np.flatnonzero(full & rim)


def outline(points: ChartPoints, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the edges that one face of a chart has, int64 [E] each."""
    tail, head = points.corner.reshape(-1), np.roll(points.corner, -1, axis=1).reshape(-1)
    edge, times = np.unique(np.minimum(tail, head) * count + np.maximum(tail, head), return_counts=True)
    return np.divmod(edge[times == 1], count)


def crossings(uv: np.ndarray, points: ChartPoints) -> np.ndarray:
    """Find the points (of ``uv`` [P, 2]) at which edges begin where their chart's outline crosses itself, int64 [N]."""
    a, b = outline(points, len(uv))
    chart = points.chart[a]
    charts = len(points.first) - 1
    step = np.abs(uv[a] - uv[b]).max(axis=1)
    number = np.maximum(np.bincount(chart, minlength=charts), 1)
    cell = np.maximum(np.bincount(chart, step, minlength=charts) / number, 1e-12)[chart]
    low = np.floor(np.minimum(uv[a], uv[b]) / cell[:, None]).astype(np.int64)
    high = np.floor(np.maximum(uv[a], uv[b]) / cell[:, None]).astype(np.int64)
    wide = high - low + 1
    times = wide[:, 0] * wide[:, 1]
    line = np.repeat(np.arange(len(a)), times)
    place = np.arange(len(line)) - np.repeat(np.cumsum(times) - times, times)
    row, column = np.divmod(place, wide[line, 0])
    x, y = low[line, 0] + column, low[line, 1] + row
    order = np.lexsort((y, x, chart[line]))
    line, x, y = line[order], x[order], y[order]
    found = []
    # Lines that share a cell lie next to each other: compared at growing distance until no cell is that full.
    for apart in range(1, len(line)):
        p, q = line[:-apart], line[apart:]
        shared = (x[apart:] == x[:-apart]) & (y[apart:] == y[:-apart]) & (chart[p] == chart[q])
        if not shared.any():
            break
        p, q = p[shared], q[shared]
        crossed = cross(uv[a[p]], uv[b[p]], uv[a[q]], uv[b[q]])
        found.append(a[p[crossed]])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def cross(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Tell which open segments ab and cd [N, 2] cross."""

    def side(p: Array, q: Array, r: Array) -> Array:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    return (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)


def _next(half: np.ndarray) -> np.ndarray:
    return half - half % 3 + (half + 1) % 3
