# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loop of ``judge``, chart by chart. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled
from .compiled_flatten import neighbours
from .judge import STRETCH
from .outlines import TURN_SLACK


@compiled
def judge(
    exact: np.ndarray,
    flat: np.ndarray,
    corner: np.ndarray,
    first: np.ndarray,
    faces: np.ndarray,
    flat_area: float,
    stretched_share: float,
    everywhere: bool,
    bad: np.ndarray,
    spot: np.ndarray,
) -> None:
    """``judge.lie_well``: write ``bad`` [C] and ``spot`` [P]; the faces of chart c stand from ``faces[c]`` on."""
    for c in range(len(bad)):
        begin, end = first[c], first[c + 1]
        own = corner[faces[c] : faces[c + 1]] - begin
        uv, there = flat[begin:end].copy(), spot[begin:end]
        bad[c] = _stretched(exact[begin:end], uv, own, flat_area, stretched_share, there)
        if bad[c] and not everywhere:
            continue
        for v in range(len(uv)):
            for i in range(2):
                if not np.isfinite(uv[v, i]):
                    uv[v, i] = 0.0
        ends, rim = _outline(own, len(uv))
        full, full_rim = _overfull(uv, own, rim, there)
        crossed = np.zeros(len(uv), np.bool_)
        crosses = _crossings(uv, ends, crossed)
        bad[c] |= full or crosses
        # Where an outline crosses itself next to a point that is too full, the point is the cause.
        if crosses and not full_rim:
            for v in range(len(uv)):
                there[v] |= crossed[v]


@compiled
def _stretched(
    exact: np.ndarray, uv: np.ndarray, faces: np.ndarray, flat_area: float, stretched_share: float, spot: np.ndarray
) -> bool:
    """Whether much is stretched or a face is mirrored, at whose corners is a ``spot`` then."""
    total = much = finite = 0.0
    mirrored = False
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        px, py, pz = exact[b, 0] - exact[a, 0], exact[b, 1] - exact[a, 1], exact[b, 2] - exact[a, 2]
        qx, qy, qz = exact[c, 0] - exact[a, 0], exact[c, 1] - exact[a, 1], exact[c, 2] - exact[a, 2]
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        length = max(np.sqrt(px * px + py * py + pz * pz), 1e-30)
        double = np.sqrt(nx * nx + ny * ny + nz * nz)
        x, y = (px * qx + py * qy + pz * qz) / length, max(double / length, 1e-30)
        area = 0.5 * double
        ux, uy = (uv[b, 0] - uv[a, 0]) / length, (uv[b, 1] - uv[a, 1]) / length
        wx, wy = (uv[c, 0] - uv[a, 0] - ux * x) / y, (uv[c, 1] - uv[a, 1] - uy * x) / y
        e, f, g, h = 0.5 * (ux + wy), 0.5 * (ux - wy), 0.5 * (wx + uy), 0.5 * (uy - wx)
        q, r = np.sqrt(e * e + h * h), np.sqrt(f * f + g * g)
        if area > flat_area and q - r <= 0.0:
            mirrored = spot[a] = spot[b] = spot[c] = True
        total += area
        finite += q
        finite += r
        if q + r > STRETCH or q - r < 1.0 / STRETCH:
            much += area
    return mirrored or much > stretched_share * max(total, 1e-300) or not np.isfinite(finite)


@compiled
def _overfull(uv: np.ndarray, faces: np.ndarray, rim: np.ndarray, spot: np.ndarray) -> tuple[bool, bool]:
    """Whether faces around a point cover each other, where is a ``spot`` then, and whether at a ``rim`` point."""
    full = full_rim = False
    turn = np.zeros(len(uv))
    for i in range(3):
        for face in range(len(faces)):
            a, b, c = faces[face, i], faces[face, (i + 1) % 3], faces[face, (i + 2) % 3]
            px, py, qx, qy = uv[b, 0] - uv[a, 0], uv[b, 1] - uv[a, 1], uv[c, 0] - uv[a, 0], uv[c, 1] - uv[a, 1]
            turn[a] += np.arctan2(abs(px * qy - py * qx), px * qx + py * qy)
    for v in range(len(uv)):
        if turn[v] > 2 * np.pi + TURN_SLACK:
            full = spot[v] = True
            full_rim |= rim[v]
    return full, full_rim


@compiled
def _outline(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """``outlines.outline`` as int64 [E, 2], ascending, and which of the ``count`` points lie on it."""
    first, near, _, times = neighbours(faces, np.zeros((len(faces), 3)), count)
    ends, rim = np.empty((len(near) // 2, 2), np.int64), np.zeros(count, np.bool_)
    edges = 0
    for v in range(count):
        begin = edges
        for slot in range(first[v], first[v + 1]):
            u = near[slot]
            if times[slot] == 1:
                rim[v] = True
                if u > v:
                    to = edges
                    while to > begin and ends[to - 1, 1] > u:
                        ends[to, 1] = ends[to - 1, 1]
                        to -= 1
                    ends[edges, 0], ends[to, 1] = v, u
                    edges += 1
    return ends[:edges], rim


@compiled
def _crossings(uv: np.ndarray, ends: np.ndarray, crossed: np.ndarray) -> bool:
    """Mark the points of ``outlines.crossings`` for the edges ``ends`` [E, 2]; whether there are any.

    Edges are compared with those that pass through the same one of many slabs across the longer extent.
    """
    edges = len(ends)
    low, high, mean = np.full(2, np.inf), np.full(2, -np.inf), 0.0
    for e in range(edges):
        for i in range(2):
            p, q = uv[ends[e, 0], i], uv[ends[e, 1], i]
            low[i], high[i] = min(low[i], p, q), max(high[i], p, q)
        mean += max(abs(uv[ends[e, 0], 0] - uv[ends[e, 1], 0]), abs(uv[ends[e, 0], 1] - uv[ends[e, 1], 1])) / edges
    axis = 0 if edges == 0 or high[0] - low[0] >= high[1] - low[1] else 1
    across, slab = 1 - axis, max(mean, 1e-12)
    span = np.empty((edges, 2), np.int64)
    begin = np.zeros(edges + 2, np.int64)
    for e in range(edges):
        p, q = uv[ends[e, 0], axis], uv[ends[e, 1], axis]
        # As outlines are closed there are fewer slabs than edges.
        span[e, 0] = max(0, min(int((min(p, q) - low[axis]) / slab), edges))
        span[e, 1] = max(0, min(int((max(p, q) - low[axis]) / slab), edges))
        for s in range(span[e, 0], span[e, 1] + 1):
            begin[s + 1] += 1
    for s in range(edges + 1):
        begin[s + 1] += begin[s]
    line, filled = np.empty(begin[edges + 1], np.int64), begin.copy()
    found = False
    for e in range(edges):
        a, b = ends[e, 0], ends[e, 1]
        least, most = min(uv[a, across], uv[b, across]), max(uv[a, across], uv[b, across])
        for s in range(span[e, 0], span[e, 1] + 1):
            for k in range(begin[s], filled[s]):
                c, d = ends[line[k], 0], ends[line[k], 1]
                p, q = uv[c, across], uv[d, across]
                if max(p, q) < least or min(p, q) > most:
                    continue
                if _parted(uv, a, b, c, d) and _parted(uv, c, d, a, b):
                    crossed[c] = found = True
            line[filled[s]] = e
            filled[s] += 1
    return found


@compiled
def _parted(uv: np.ndarray, a: int, b: int, c: int, d: int) -> bool:
    """Whether c and d lie on two sides of the line through a and b."""
    x, y = uv[b, 0] - uv[a, 0], uv[b, 1] - uv[a, 1]
    one = x * (uv[c, 1] - uv[a, 1]) - y * (uv[c, 0] - uv[a, 0])
    other = x * (uv[d, 1] - uv[a, 1]) - y * (uv[d, 0] - uv[a, 0])
    return one * other < 0
