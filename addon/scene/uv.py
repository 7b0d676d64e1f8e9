# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether texture coordinates can carry a texture of their own: every face in the unit square, none over another.

Arrays only, so that 100,000 faces take about a second. UVs are float32 [T, 3, 2], the corners of triangles.
"""

from __future__ import annotations

import numpy as np

# Samples along each side of the unit square.
SAMPLES = 1024
# Where in its cell a sample lies: beside the places where UVs like to meet, which are simple fractions and diagonals.
OFFSET = np.array([0.4142, 0.7321])
TOLERANCE = 1e-4
# Shares that a hand-made layout may have without harm: samples covered twice, surface without UVs of its own.
MAX_OVERLAP = 0.001
MAX_LOST = 0.01
# Less of the unit square than this is no layout but a palette or a leftover: 52 by 52 texels of a map of 1024.
MIN_AREA = 0.0025
# Triangles and rows of samples that are looked at together, which bounds the memory.
CHUNK = 500_000
# Polygons whose centres are nearer than this, in UV, and whose areas agree are copies of each other.
SAME_PLACE = 4e-5
SAME_AREA = 0.02


def uv_areas(uv):
    """Return the area of each triangle in the unit square, float64 [T]."""
    first, second = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return 0.5 * np.abs(first[:, 0].astype(np.float64) * second[:, 1] - first[:, 1].astype(np.float64) * second[:, 0])


def lost_share(uv, surface):
    """Return the share of ``surface`` (areas of the triangles in space, [T]) that has no area in UV."""
    total = float(surface.sum())
    return float(surface[uv_areas(uv) < 1e-12].sum()) / total if total > 0 else 0.0


def find_fault(uv, surface):
    """Return why ``uv`` cannot carry a texture of its own, as the end of a sentence; "" when it can.

    ``surface`` [T] is the area of each triangle in space.
    """
    if not np.isfinite(uv).all():
        return "have values that are no numbers"
    if uv.min() < -TOLERANCE or uv.max() > 1.0 + TOLERANCE:
        return "leave the unit square"
    if lost_share(uv, surface) > MAX_LOST:
        return "leave faces out"
    area = float(uv_areas(uv).sum())
    if area < MIN_AREA:
        return "take up almost no space"
    if area > 1.0 + MAX_OVERLAP or overlap_share(uv) > MAX_OVERLAP:
        return "overlap"
    return ""


def overlap_share(uv):
    """Return the share of the covered samples that lie in more than one triangle; at least that share when it is
    plainly too much, since the rest is not looked at then.
    """
    ends = np.zeros((SAMPLES, SAMPLES + 1), np.int32)
    share = 0.0
    for _, row, left, right in _spans(uv):
        flat = ends.reshape(-1)
        flat += np.bincount(row * (SAMPLES + 1) + left, minlength=ends.size)
        flat -= np.bincount(row * (SAMPLES + 1) + right, minlength=ends.size)
        count = np.cumsum(ends, axis=1)
        share = np.count_nonzero(count > 1) / max(np.count_nonzero(count), 1)
        if share > 10 * MAX_OVERLAP:
            return share
    return share


def find_overlapping(uv, polygons, count):
    """Return which polygons lie over an earlier one, bool [count]; ``polygons`` [T] names each triangle's."""
    owner = np.full(SAMPLES * SAMPLES, -1, np.int32)
    over = np.zeros(count, bool)
    for triangle, row, left, right in _spans(uv):
        length = right - left
        sample = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        sample += np.repeat(row * SAMPLES + left, length)
        polygon = np.repeat(polygons[triangle], length)
        free = owner[sample] < 0
        # Of several values for one place the last is kept, so the first polygon has to come last.
        owner[sample[free][::-1]] = polygon[free][::-1]
        over[polygon[owner[sample] != polygon]] = True
    return over


def _spans(uv):
    """Yield arrays ``(triangle, row, left, right)`` of bounded length: in that row the triangle covers the samples
    ``left <= column < right``. Triangles come in their order.
    """
    for start in range(0, len(uv), CHUNK):
        for triangle, *span in _spans_of(uv[start : start + CHUNK].astype(np.float64) * SAMPLES - OFFSET):
            yield (triangle + start, *span)


def _spans_of(points):
    low, high = points[..., 1].min(axis=1), points[..., 1].max(axis=1)
    first = np.clip(np.ceil(low), 0, SAMPLES).astype(np.int64)
    rows = np.clip(np.ceil(high), 0, SAMPLES).astype(np.int64) - first
    done = 0
    total = np.cumsum(rows)
    while done < len(points):
        before = total[done - 1] if done else 0
        stop = max(int(np.searchsorted(total, before + 4 * CHUNK, side="right")), done + 1)
        part = slice(done, stop)
        triangle = np.repeat(np.arange(done, stop), rows[part])
        row = np.arange(len(triangle)) - np.repeat(total[part] - rows[part] - before, rows[part]) + first[triangle]
        left, right = _cut(points[triangle], row)
        some = right > left
        yield triangle[some], row[some], left[some], right[some]
        done = stop


def _cut(points, row):
    """Where each row of samples enters and leaves its triangle: first sample inside, first sample behind it."""
    x, y = points[..., 0], points[..., 1]
    left, right = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        crosses = (y[:, a] < row) != (y[:, b] < row)
        rise = np.where(crosses, y[:, b] - y[:, a], 1.0)
        at = x[:, a] + (row - y[:, a]) * (x[:, b] - x[:, a]) / rise
        left = np.where(crosses, np.minimum(left, at), left)
        right = np.where(crosses, np.maximum(right, at), right)
    hit = right >= left
    # A thousandth of a sample inwards: rounding must not make neighbours share what lies on their common edge.
    left = np.where(hit, np.clip(np.ceil(left + 1e-3), 0, SAMPLES), 0).astype(np.int64)
    right = np.where(hit, np.clip(np.ceil(right - 1e-3), 0, SAMPLES), 0).astype(np.int64)
    return left, np.maximum(left, right)


def polygon_centres(uv, starts):
    """Return the mean UV of each polygon, float64 [P, 2]; ``uv`` [L, 2] per corner, ``starts`` [P] its first corner."""
    counts = np.diff(np.append(starts, len(uv)))
    return np.add.reduceat(uv.astype(np.float64), starts, axis=0) / counts[:, None]


def find_copies(centres, areas):
    """Return which polygons repeat an earlier one, bool [P]: same centre in UV [P, 2] and same area [P].

    Exact equality would not do: the two halves of a mirrored and then subdivided mesh differ by rounding. Nor would a
    single grid, whose lines part some pairs; of four shifted ones at least one has both centres in a cell.
    """
    copies = np.zeros(len(centres), bool)
    for shift in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        cell = np.floor(centres / SAME_PLACE + shift).astype(np.int64)
        _, first, inverse = np.unique(cell[:, 0] * (1 << 32) + cell[:, 1], return_index=True, return_inverse=True)
        original = first[inverse.reshape(-1)]
        agree = np.abs(areas - areas[original]) <= SAME_AREA * np.maximum(areas, areas[original])
        copies |= (original < np.arange(len(centres))) & agree
    return copies
