# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``simplify_sweeps``: quadric edge collapse on the arrays that ``compiled_links`` describes."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled
from .collapse import HOLD
from .collapse_rounds import SMALLEST_SHAPE, SMALLEST_TURN
from .compiled_links import MOST_CORNERS, RIM, next_corner, previous_corner


@compiled
def sweep(
    points: np.ndarray,
    quadrics: np.ndarray,
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    least: np.ndarray,
    kind: np.ndarray,
    free: np.ndarray,
    vertices: np.ndarray,
    limit: float,
    tie: float,
    budget: int,
) -> tuple[int, int]:
    """Go through ``vertices`` once and collapse the cheapest edge of each whose cost is at most ``limit``.

    An edge belongs to its lower end; it costs its quadric error and ``tie`` times its length to the fourth. Only edges
    between ``free`` bool [V] vertices are collapsed, which all have a ``kind`` int8 [V], and only what is at the faces
    of such vertices is written; an inner vertex moves onto a rim's, never the other way. ``least`` float64 [V] is a
    lower bound of the costs of a vertex's edges, kept up to date (costs hardly ever fall, as quadrics add up).
    ``vertices`` ascend; returns how many of them are left, now in front, and how many faces went, ``budget`` or one
    more at most.
    """
    costs, places = np.empty(MOST_CORNERS), np.empty((MOST_CORNERS, 3))
    ends, near = np.empty(MOST_CORNERS, np.int32), np.empty(MOST_CORNERS, np.int32)
    other_near = np.empty(MOST_CORNERS, np.int32)
    ring, other_ring = np.empty((MOST_CORNERS, 3), np.int32), np.empty((MOST_CORNERS, 3), np.int32)
    gone = left = 0
    for vertex in vertices:
        if head[vertex] < 0:
            continue
        # What goes from here on is higher than this vertex.
        vertices[left] = vertex
        left += 1
        if least[vertex] > limit or gone >= budget:
            continue
        count, best = 0, np.inf
        size = _look_round(faces, head, following, vertex, ring)
        around = _neighbours(ring, size, kind[vertex], near)
        for number in range(around):
            end = near[number]
            if free[end] and end > vertex:
                cost, x, y, z = _merged(points, quadrics, kind, vertex, end, tie)
                costs[count], ends[count] = cost, end
                places[count, 0], places[count, 1], places[count, 2] = x, y, z
                best = min(best, cost)
                count += 1
        least[vertex] = best
        while best <= limit:
            cheapest = 0
            for other in range(1, count):
                if costs[other] < costs[cheapest]:
                    cheapest = other
            best = costs[cheapest]
            if best > limit:
                # What did harm now may not when the faces around are larger.
                least[vertex] = min(best, 2 * limit)
                break
            end = ends[cheapest]
            x, y, z = places[cheapest]
            goes = 1 if kind[vertex] == RIM and kind[end] == RIM else 2
            if _faces_between(following, ring, size, end) == goes:
                other_size = _look_round(faces, head, following, end, other_ring)
                other_around = _neighbours(other_ring, other_size, kind[end], other_near)
                if (
                    _keeps_topology(near, around, other_near, other_around, goes)
                    and _keeps_normals(points, vertex, ring, size, end, x, y, z)
                    and _keeps_normals(points, end, other_ring, other_size, vertex, x, y, z)
                ):
                    points[vertex, 0], points[vertex, 1], points[vertex, 2] = x, y, z
                    for k in range(10):
                        quadrics[vertex, k] += quadrics[end, k]
                    _merge(faces, head, following, vertex, end, ring, size, other_ring, other_size)
                    kind[vertex] = min(kind[vertex], kind[end])
                    gone += goes
                    break
            costs[cheapest] = np.inf
    return left, gone


@compiled
def _merged(
    points: np.ndarray, quadrics: np.ndarray, kind: np.ndarray, vertex: int, end: int, tie: float
) -> tuple[float, float, float, float]:
    """The cost of an edge and the best place of the merged vertex: ``collapse._best_place``, or its end on a rim."""
    a, b = quadrics[vertex], quadrics[end]
    xx, xy, xz, yy, yz, zz = a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]
    bx, by, bz, constant = a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9]
    px, py, pz = points[vertex, 0], points[vertex, 1], points[vertex, 2]
    ex, ey, ez = points[end, 0], points[end, 1], points[end, 2]
    squared = (px - ex) * (px - ex) + (py - ey) * (py - ey) + (pz - ez) * (pz - ez)
    if kind[vertex] < kind[end]:
        x, y, z = px, py, pz
    elif kind[end] < kind[vertex]:
        x, y, z = ex, ey, ez
    else:
        x, y, z = 0.5 * (px + ex), 0.5 * (py + ey), 0.5 * (pz + ez)
        gx, gy, gz = xx * x + xy * y + xz * z + bx, xy * x + yy * y + yz * z + by, xz * x + yz * y + zz * z + bz
        hold = HOLD * (xx + yy + zz) + 1e-300
        hx, hy, hz = xx + hold, yy + hold, zz + hold
        cxx, cxy, cxz = hy * hz - yz * yz, xz * yz - xy * hz, xy * yz - xz * hy
        cyy, cyz, czz = hx * hz - xz * xz, xy * xz - hx * yz, hx * hy - xy * xy
        factor = -1.0 / max(hx * cxx + xy * cxy + xz * cxz, 1e-300)
        sx, sy, sz = (
            factor * (cxx * gx + cxy * gy + cxz * gz),
            factor * (cxy * gx + cyy * gy + cyz * gz),
            factor * (cxz * gx + cyz * gy + czz * gz),
        )
        step = sx * sx + sy * sy + sz * sz
        shorter = np.sqrt(squared / step) if step > squared else 1.0
        x, y, z = x + shorter * sx, y + shorter * sy, z + shorter * sz
    error = (
        x * (x * xx + 2 * (y * xy + z * xz + bx)) + y * (y * yy + 2 * (z * yz + by)) + z * (z * zz + 2 * bz) + constant
    )
    return max(error, 0.0) + tie * squared * squared, x, y, z


@compiled
def _look_round(faces: np.ndarray, head: np.ndarray, following: np.ndarray, vertex: int, ring: np.ndarray) -> int:
    """Write the corners of ``vertex``, the vertices after and before it there, into ``ring``; return how many."""
    size, corner = 0, head[vertex]
    while True:
        ring[size, 0] = corner
        ring[size, 1], ring[size, 2] = faces[next_corner(corner)], faces[previous_corner(corner)]
        size += 1
        corner = following[corner]
        if corner == head[vertex]:
            return size


@compiled
def _neighbours(ring: np.ndarray, size: int, kind: int, near: np.ndarray) -> int:
    """Write the vertices around one whose ``size`` faces are one fan, and return how many there are."""
    for one in range(size):
        near[one] = ring[one, 1]
    if kind == RIM:
        # No face begins where the last one of an open fan ends.
        for one in range(size):
            begins = False
            for other in range(size):
                begins = begins or near[other] == ring[one, 2]
            if not begins:
                near[size] = ring[one, 2]
                return size + 1
    return size


@compiled
def _faces_between(following: np.ndarray, ring: np.ndarray, size: int, end: int) -> int:
    """Count the faces at the edge to ``end``; those with an apex that has no other face count as many."""
    found = 0
    for one in range(size):
        if ring[one, 1] == end or ring[one, 2] == end:
            corner = ring[one, 0]
            apex = previous_corner(corner) if ring[one, 1] == end else next_corner(corner)
            found += 1 if following[apex] != apex else MOST_CORNERS
    return found


@compiled
def _keeps_topology(near: np.ndarray, size: int, other_near: np.ndarray, other_size: int, goes: int) -> bool:
    """The link condition at an edge between fans: its ends share as many neighbours as faces, which are as many as
    their kinds say, and enough faces remain that none is doubled. ``near``: the neighbours of either end."""
    shared = 0
    for one in range(size):
        for other in range(other_size):
            if near[one] == other_near[other]:
                shared += 1
    # Around the merged vertex: each neighbour once, without the two ends themselves.
    together = size + other_size - shared - 2
    return shared == goes and 3 <= together < MOST_CORNERS // 2


@compiled
def _keeps_normals(
    points: np.ndarray, vertex: int, ring: np.ndarray, size: int, gone: int, x: float, y: float, z: float
) -> bool:
    """Tell whether no face round ``vertex`` turns over or becomes a sliver when it moves to (x, y, z).

    The faces at the vertex ``gone`` vanish and do not matter.
    """
    vx, vy, vz = points[vertex, 0], points[vertex, 1], points[vertex, 2]
    for one in range(size):
        a, b = ring[one, 1], ring[one, 2]
        if a != gone and b != gone:
            ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
            ex, ey, ez = points[b, 0] - ax, points[b, 1] - ay, points[b, 2] - az
            ox, oy, oz = vx - ax, vy - ay, vz - az
            px, py, pz = x - ax, y - ay, z - az
            mx, my, mz = ey * oz - ez * oy, ez * ox - ex * oz, ex * oy - ey * ox
            nx, ny, nz = ey * pz - ez * py, ez * px - ex * pz, ex * py - ey * px
            agree = mx * nx + my * ny + mz * nz
            old, new = mx * mx + my * my + mz * mz, nx * nx + ny * ny + nz * nz
            if not (agree > 0 and agree * agree > SMALLEST_TURN * SMALLEST_TURN * old * new):
                return False
            sides = _squared_sides(ex, ey, ez, px, py, pz)
            # Shape is 2 sqrt(3) times twice the area by the squared sides.
            if 12 * new < SMALLEST_SHAPE * SMALLEST_SHAPE * sides * sides:
                before = _squared_sides(ex, ey, ez, ox, oy, oz)
                if new * before * before < old * sides * sides:
                    return False
    return True


@compiled
def _squared_sides(ux: float, uy: float, uz: float, wx: float, wy: float, wz: float) -> float:
    """The sum of the squared sides of a triangle of which two are the vectors u and w."""
    dx, dy, dz = ux - wx, uy - wy, uz - wz
    return ux * ux + uy * uy + uz * uz + wx * wx + wy * wy + wz * wz + dx * dx + dy * dy + dz * dz


@compiled
def _merge(
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    vertex: int,
    end: int,
    ring: np.ndarray,
    size: int,
    other_ring: np.ndarray,
    other_size: int,
) -> None:
    """Let the faces of ``end`` have ``vertex`` instead; the two at the edge between them go."""
    first = last = -1
    for one in range(size):
        corner = ring[one, 0]
        if ring[one, 1] == end:
            _unlink(faces, head, following, previous_corner(corner))
        elif ring[one, 2] == end:
            _unlink(faces, head, following, next_corner(corner))
        else:
            if first < 0:
                first = corner
            else:
                following[last] = corner
            last = corner
    for one in range(other_size):
        corner = other_ring[one, 0]
        if other_ring[one, 1] == vertex or other_ring[one, 2] == vertex:
            faces[corner] = faces[next_corner(corner)] = faces[previous_corner(corner)] = -1
            continue
        faces[corner] = vertex
        if first < 0:
            first = corner
        else:
            following[last] = corner
        last = corner
    following[last] = first
    head[vertex], head[end] = first, -1


@compiled
def _unlink(faces: np.ndarray, head: np.ndarray, following: np.ndarray, corner: int) -> None:
    vertex, before = faces[corner], head[faces[corner]]
    while following[before] != corner:
        before = following[before]
    following[before] = following[corner]
    head[vertex] = before
