# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``flatten``: the same steps chart by chart, whose small systems are banded. Arrays are numpy.

Points of a chart are taken in the order of Cuthill and McKee (1969), so that its matrix has a narrow band. A triangular
factor of it is kept by columns and by rows: what is added along either lies side by side in memory. Places there are
unsigned in the inner loops: negative ones would count from the end, and to ask for them takes longer than the sum.
"""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled
from .flatten import FLAT, INERTIA, ITERATIONS, LARGEST_WEIGHT, LEAST_WEIGHT, UNTANGLE_ROUNDS, UNTANGLE_STEPS

# Charts whose band is wider than this on average are left: a general sparse solver is quicker.
_WIDEST_BAND = 150


@compiled
def lay(
    points: np.ndarray,
    corners: np.ndarray,
    point_first: np.ndarray,
    face_first: np.ndarray,
    project: bool,
    uv: np.ndarray,
) -> np.ndarray:
    """``flatten.flatten_plainly``: write uv [V, 2]; which charts were left as they were, bool [C].

    points [V, 3]; corners int [F, 3]; chart c has the points from ``point_first[c]`` to ``point_first[c + 1]`` and the
    faces from ``face_first[c]`` on. uv holds where the points lie to begin with, unless they are to be ``project``ed.
    """
    left = np.zeros(len(face_first) - 1, np.bool_)
    for c in range(len(left)):
        begin, end = point_first[c], point_first[c + 1]
        count, there, own = end - begin, points[begin:end], uv[begin:end]
        faces = corners[face_first[c] : face_first[c + 1]].copy()
        for face in range(len(faces)):
            for i in range(3):
                faces[face, i] -= begin
        edges, weight, area = _shapes(there, faces)
        first, near, value, times = neighbours(faces, weight, count)
        order, place = _narrow_order(first, near, times)
        band, cells = _band(first, near, times, order, place)
        if cells > _WIDEST_BAND * count:
            left[c] = True
            continue
        column, lower, row, upper, inverse, link = _factors(first, near, value, times, order, place, band)
        if project:
            _project(there, faces, own)
        x, y, x_there, y_there = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
        for v in range(count):
            x[place[v]], y[place[v]] = own[v, 0], own[v, 1]
        for face in range(len(faces)):
            for i in range(3):
                faces[face, i] = place[faces[face, i]]
        for _ in range(ITERATIONS):
            for v in range(count):
                x_there[v], y_there[v] = link[v] * x[v], link[v] * y[v]
            _pull(edges, faces, x, y, x_there, y_there)
            _solve(column, lower, row, upper, inverse, x_there, y_there)
            x, x_there = x_there, x
            y, y_there = y_there, y
        _untangle(faces, area, first, near, times, order, place, x, y)
        for v in range(count):
            own[v, 0], own[v, 1] = x[place[v]], y[place[v]]
    return left


@compiled
def _shapes(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each face the edges in its plane times their weights [F, 3, 2], opposite its corners; weights; double area."""
    edges, weight, area = np.empty((len(faces), 3, 2)), np.empty((len(faces), 3)), np.empty(len(faces))
    rest = np.zeros((3, 2))
    for face in range(len(faces)):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        px, py, pz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        qx, qy, qz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        length = np.sqrt(px * px + py * py + pz * pz)
        safe = max(length, 1e-30)
        rest[1, 0] = length
        rest[2, 0], rest[2, 1] = (px * qx + py * qy + pz * qz) / safe, np.sqrt(nx * nx + ny * ny + nz * nz) / safe
        area[face] = length * rest[2, 1]
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            px, py = rest[j, 0] - rest[i, 0], rest[j, 1] - rest[i, 1]
            qx, qy = rest[k, 0] - rest[i, 0], rest[k, 1] - rest[i, 1]
            cotangent = 0.5 * (px * qx + py * qy) / max(abs(px * qy - py * qx), 1e-30)
            by = min(max(cotangent, LEAST_WEIGHT), LARGEST_WEIGHT)
            weight[face, i] = by
            edges[face, i, 0], edges[face, i, 1] = by * (rest[j, 0] - rest[k, 0]), by * (rest[j, 1] - rest[k, 1])
    return edges, weight, area


@compiled
def _project(points: np.ndarray, faces: np.ndarray, uv: np.ndarray) -> None:
    """``flatten._project``."""
    axis, u = np.zeros(3), np.zeros(3)
    for face in range(len(faces)):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            axis[i] += (b[j] - a[j]) * (c[k] - a[k]) - (b[k] - a[k]) * (c[j] - a[j])
    length = max(np.sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]), 1e-30)
    least = 0
    for i in range(3):
        axis[i] /= length
        if abs(axis[i]) < abs(axis[least]):
            least = i
    u[(least + 1) % 3], u[(least + 2) % 3] = -axis[(least + 2) % 3], axis[(least + 1) % 3]
    length = max(np.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]), 1e-30)
    for v in range(len(points)):
        uv[v, 0] = uv[v, 1] = 0.0
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            uv[v, 0] += points[v, i] * u[i] / length
            uv[v, 1] += points[v, i] * (axis[j] * u[k] - axis[k] * u[j]) / length


@compiled
def neighbours(
    faces: np.ndarray, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The points near each of ``count``, the sums of the weights between them, and how many faces are there.

    Those of point v stand from ``first[v]`` to ``first[v + 1]``, after the last of them with 0 times.
    """
    first = np.zeros(count + 1, np.int64)
    for face in range(len(faces)):
        for i in range(3):
            first[faces[face, i] + 1] += 2
    for v in range(count):
        first[v + 1] += first[v]
    near, times, value = np.zeros(first[count], np.int64), np.zeros(first[count], np.int64), np.zeros(first[count])
    for face in range(len(faces)):
        for i in range(3):
            one, other = faces[face, (i + 1) % 3], faces[face, (i + 2) % 3]
            for _ in range(2):
                slot = first[one]
                while times[slot] > 0 and near[slot] != other:
                    slot += 1
                near[slot] = other
                times[slot] += 1
                value[slot] += weight[face, i]
                one, other = other, one
    return first, near, value, times


@compiled
def _narrow_order(first: np.ndarray, near: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points in the order of Cuthill and McKee, from one that is far from others, and the place of each in it."""
    count = len(first) - 1
    order, seen = np.empty(count, np.int64), np.zeros(count, np.bool_)
    degree = np.zeros(count, np.int64)
    for v in range(count):
        for slot in range(first[v], first[v + 1]):
            degree[v] += min(times[slot], 1)
    done = 0
    for seed in range(count):
        if seen[seed]:
            continue
        begin = seed
        for turn in range(3):
            order[done], seen[begin] = begin, True
            head, stop = done, done + 1
            while head < stop:
                v = order[head]
                head += 1
                fresh = stop
                for slot in range(first[v], first[v] + degree[v]):
                    u = near[slot]
                    if seen[u]:
                        continue
                    seen[u] = True
                    to = stop
                    while to > fresh and degree[order[to - 1]] > degree[u]:
                        order[to] = order[to - 1]
                        to -= 1
                    order[to] = u
                    stop += 1
            if turn < 2:
                begin = order[stop - 1]
                for k in range(done, stop):
                    seen[order[k]] = False
        done = stop
    place = np.empty(count, np.int64)
    for v in range(count):
        place[order[v]] = v
    return order, place


@compiled
def _band(
    first: np.ndarray, near: np.ndarray, times: np.ndarray, order: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, int]:
    """How many rows a factor's columns have, int64 [V], down to the last that columns before them reach; their sum."""
    band = np.empty(len(order), np.int64)
    last = total = 0
    for v in range(len(order)):
        last = max(last, v)
        for slot in range(first[order[v]], first[order[v] + 1]):
            if times[slot] > 0:
                last = max(last, place[near[slot]])
        band[v] = last - v + 1
        total += band[v]
    return band, total


@compiled
def _factors(
    first: np.ndarray,
    near: np.ndarray,
    value: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    place: np.ndarray,
    band: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cholesky's factor of the weighted Laplacian plus a diagonal.

    By columns without the diagonal (those of column v from ``column[v]``), the same by rows, one by the diagonal [V],
    and what was added to the diagonal [V].
    """
    count = len(order)
    column, row = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for v in range(count):
        column[v + 1] = column[v] + band[v] - 1
        for k in range(v + 1, v + band[v]):
            row[k + 1] += 1
    for v in range(count):
        row[v + 1] += row[v]
    lower, upper = np.zeros(column[count]), np.empty(column[count])
    inverse, link = np.zeros(count), np.empty(count)
    for v in range(count):
        for slot in range(first[order[v]], first[order[v] + 1]):
            if times[slot] > 0:
                inverse[v] += value[slot]
                away = place[near[slot]] - v
                if away > 0:
                    lower[column[v] + away - 1] = -value[slot]
        link[v] = INERTIA * inverse[v] + 1e-9
        inverse[v] += link[v]
    for v in range(count):
        inverse[v] = 1.0 / np.sqrt(inverse[v])
        begin, end = column[v], column[v + 1]
        for k in range(begin, end):
            lower[k] *= inverse[v]
        for k in range(begin, end):
            by, u = lower[k], v + 1 + k - begin
            if by != 0.0:
                inverse[u] -= by * by
                to = np.uint64(column[u] - k - 1)
                for n in range(np.uint64(k + 1), np.uint64(end)):
                    lower[to + n] -= by * lower[n]
    filled = row.copy()
    for v in range(count):
        for k in range(v + 1, v + band[v]):
            upper[filled[k]] = lower[column[v] + k - v - 1]
            filled[k] += 1
    return column, lower, row, upper, inverse, link


@compiled
def _solve(
    column: np.ndarray,
    lower: np.ndarray,
    row: np.ndarray,
    upper: np.ndarray,
    inverse: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """Solve for two right sides [V], in place."""
    for v in range(len(x)):
        p, q = x[v] * inverse[v], y[v] * inverse[v]
        x[v], y[v] = p, q
        to = np.uint64(v + 1 - column[v])
        for k in range(np.uint64(column[v]), np.uint64(column[v + 1])):
            x[to + k] -= p * lower[k]
            y[to + k] -= q * lower[k]
    for v in range(len(x) - 1, -1, -1):
        p, q = x[v] * inverse[v], y[v] * inverse[v]
        x[v], y[v] = p, q
        to = np.uint64(v - row[v + 1])
        for k in range(np.uint64(row[v]), np.uint64(row[v + 1])):
            x[to + k] -= p * upper[k]
            y[to + k] -= q * upper[k]


@compiled
def _pull(
    edges: np.ndarray, faces: np.ndarray, x: np.ndarray, y: np.ndarray, x_there: np.ndarray, y_there: np.ndarray
) -> None:
    """Add ``flatten.pull`` of the weighted edges [F, 3, 2]."""
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, vx, vy = edges[face, 0, 0], edges[face, 0, 1], edges[face, 1, 0], edges[face, 1, 1]
        wx, wy = edges[face, 2, 0], edges[face, 2, 1]
        px, py, qx, qy, rx, ry = x[b] - x[c], y[b] - y[c], x[c] - x[a], y[c] - y[a], x[a] - x[b], y[a] - y[b]
        cos = ux * px + uy * py + vx * qx + vy * qy + wx * rx + wy * ry
        sin = ux * py - uy * px + vx * qy - vy * qx + wx * ry - wy * rx
        scale = 1.0 / max(np.sqrt(cos * cos + sin * sin), 1e-30)
        cos *= scale
        sin *= scale
        px, py, qx, qy = cos * ux - sin * uy, sin * ux + cos * uy, cos * vx - sin * vy, sin * vx + cos * vy
        rx, ry = cos * wx - sin * wy, sin * wx + cos * wy
        x_there[a] += rx - qx
        y_there[a] += ry - qy
        x_there[b] += px - rx
        y_there[b] += py - ry
        x_there[c] += qx - px
        y_there[c] += qy - py


@compiled
def _untangle(
    faces: np.ndarray,
    area: np.ndarray,
    first: np.ndarray,
    near: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    place: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """``flatten._untangle`` of faces with the double areas ``area`` [F]."""
    count = len(x)
    x_mean, y_mean = np.empty(count), np.empty(count)
    for turn in range(UNTANGLE_ROUNDS):
        free, bad = np.zeros(count, np.bool_), False
        for face in range(len(faces)):
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            double = (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])
            if double < FLAT * max(area[face], 1e-30):
                free[a] = free[b] = free[c] = bad = True
        if not bad:
            return
        for _ in range(turn // 2):
            wider = free.copy()
            for face in range(len(faces)):
                a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
                if free[a] or free[b] or free[c]:
                    wider[a] = wider[b] = wider[c] = True
            free = wider
        for v in range(count):
            for slot in range(first[order[v]], first[order[v] + 1]):
                if times[slot] == 1:
                    free[v] = False
        for _ in range(UNTANGLE_STEPS):
            for v in range(count):
                if free[v]:
                    x_mean[v] = y_mean[v] = 0.0
                    degree = 0
                    for slot in range(first[order[v]], first[order[v] + 1]):
                        if times[slot] > 0:
                            x_mean[v] += x[place[near[slot]]]
                            y_mean[v] += y[place[near[slot]]]
                            degree += 1
                    x_mean[v] /= degree
                    y_mean[v] /= degree
            for v in range(count):
                if free[v]:
                    x[v], y[v] = x_mean[v], y_mean[v]
