# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as surfaces of their own: their points, whether they are disks, cutting those that are not.

A chart's points are the corners of its faces, one for all corners that edges inside the chart join. So a chart is
always manifold: where it only touches itself, in an edge or a point, it has two points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .topology import label_components


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


def euler_characteristic(label: np.ndarray, points: ChartPoints, left: np.ndarray) -> np.ndarray:
    """Points - edges + faces of every chart, int64 [C]: 1 for a disk, 0 for a ring, 2 for a closed sphere."""
    faces = np.bincount(label)
    inner_edges = np.bincount(label[left[points.inner] // 3], minlength=len(faces))
    return np.diff(points.first) - (3 * faces - inner_edges) + faces


def cut_to_disks(label: np.ndarray, middle: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Halve every chart that is not a disk, and what is left of it, until all are; int64 [F].

    middle: the middles of the faces [F, 3].
    """
    while True:
        other = np.flatnonzero(euler_characteristic(label, chart_points(label, left, right), left) != 1)
        if len(other) == 0:
            return label
        label = halve(label, other, middle, left, right)


def halve(label: np.ndarray, charts: np.ndarray, middle: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cut ``charts`` in two halves of as many faces, across their longest extent; connected charts int64 [F]."""
    count = int(label.max()) + 1
    wanted = np.zeros(count, dtype=bool)
    wanted[charts] = True
    members = np.flatnonzero(wanted[label])
    of = label[members]
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, of, middle[members])
    np.maximum.at(high, of, middle[members])
    axis = np.argmax(np.where(wanted[:, None], high - low, 0.0), axis=1)
    order = np.lexsort((members, middle[members, axis[of]], of))
    size = np.bincount(of, minlength=count)
    place = np.arange(len(order)) - (np.cumsum(size) - size)[of[order]]
    upper = np.zeros(len(label), dtype=np.int64)
    upper[members[order]] = place >= (size[of[order]] + 1) // 2
    part = 2 * label + upper
    f, g = left // 3, right // 3
    # Crumbs that the cut left on the wrong side go over to the other one: only the largest piece of a half stays.
    same = part[f] == part[g]
    piece = label_components(len(label), f[same], g[same])
    size, half = np.bincount(piece), part[np.unique(piece, return_index=True)[1]]
    order = np.lexsort((-size, half))
    crumb = np.ones(len(size), dtype=bool)
    crumb[order[np.diff(half[order], prepend=-1) != 0]] = False
    part = np.where(crumb[piece] & wanted[label], part ^ 1, part)
    same = part[f] == part[g]
    return label_components(len(label), f[same], g[same])


def crossing_charts(uv: np.ndarray, points: ChartPoints) -> np.ndarray:
    """Find the charts whose outline (in ``uv`` [P, 2]) crosses itself, ascending int64.

    A disk without mirrored faces covers itself exactly when its outline crosses itself.
    """
    corner = points.corner
    tail, head = corner.reshape(-1), np.roll(corner, -1, axis=1).reshape(-1)
    key = np.minimum(tail, head) * len(uv) + np.maximum(tail, head)
    edge, count = np.unique(key, return_counts=True)
    a, b = np.divmod(edge[count == 1], len(uv))
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
        crossed = _cross(uv[a[p]], uv[b[p]], uv[a[q]], uv[b[q]])
        found.append(chart[p[crossed]])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Tell which open segments ab and cd [N, 2] cross."""

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    return (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)


def _next(half: np.ndarray) -> np.ndarray:
    return half - half % 3 + (half + 1) % 3
