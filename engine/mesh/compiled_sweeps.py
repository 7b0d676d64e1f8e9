# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``simplify_sweeps``: quadric edge collapse on a mesh whose corners are linked round each vertex.

Corner ``c`` is corner ``c % 3`` of face ``c // 3``; ``faces`` int32 [3F] is the vertex of every corner, -1 once the
face is gone. ``head`` int32 [V] is one corner of each vertex (-1: none), ``following`` int32 [3F] the next corner of
the same vertex, round and round. ``quadrics`` float64 [V, 10] as in ``collapse.vertex_quadrics``.
"""

from __future__ import annotations

import numpy as np

from .collapse import HOLD
from .collapse_rounds import SMALLEST_SHAPE, SMALLEST_TURN
from .compilation import compiled

# Vertices of more faces are left alone, and none of more than half as many is made.
MOST_CORNERS = 64

# Kinds of vertices whose edges may be collapsed.
INNER, RIM = 2, 1


@compiled
def link(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Link the corners of each of ``count`` vertices; returns head and following."""
    head, following = np.full(count, -1, np.int32), np.empty(len(faces), np.int32)
    for corner in range(len(faces)):
        last = head[faces[corner]]
        if last < 0:
            following[corner] = corner
        else:
            following[corner] = following[last]
            following[last] = corner
        head[faces[corner]] = corner
    return head, following


@compiled
def planes(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sum the quadrics of the planes of the faces at each vertex, weighted by area, float64 [V, 10]."""
    quadrics = np.zeros((len(points), 10))
    for face in range(len(faces) // 3):
        a, b, c = faces[3 * face], faces[3 * face + 1], faces[3 * face + 2]
        x, y, z = points[a, 0], points[a, 1], points[a, 2]
        ux, uy, uz = points[b, 0] - x, points[b, 1] - y, points[b, 2] - z
        wx, wy, wz = points[c, 0] - x, points[c, 1] - y, points[c, 2] - z
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        twice = np.sqrt(nx * nx + ny * ny + nz * nz)
        if twice <= 0:
            continue
        nx, ny, nz, area = nx / twice, ny / twice, nz / twice, 0.5 * twice
        d = -(nx * x + ny * y + nz * z)
        for vertex in (a, b, c):
            _add_plane(quadrics, vertex, nx, ny, nz, d, area)
    return quadrics


@compiled
def find_kinds(faces: np.ndarray, head: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Tell the vertices whose faces, wound alike, are one closed fan (``INNER``) or one open fan (``RIM``), int8 [V].

    All others are zero and stay as they are.
    """
    kind = np.zeros(len(head), np.int8)
    for vertex in range(len(head)):
        start = head[vertex]
        if start < 0:
            continue
        size, corner = 1, following[start]
        while corner != start:
            size += 1
            corner = following[corner]
        if size >= MOST_CORNERS:
            continue
        steps, last = _walk(faces, following, start)
        if steps == size and size > 2 and faces[_back(last)] == faces[_next(start)]:
            kind[vertex] = INNER
            continue
        first = _rim_corner(faces, following, start)
        if first >= 0:
            steps, last = _walk(faces, following, first)
            if steps == size and faces[_back(last)] != faces[_next(first)]:
                kind[vertex] = RIM
    return kind


@compiled
def _walk(faces: np.ndarray, following: np.ndarray, first: int) -> tuple[int, int]:
    """Go from face to face round a vertex while one and only one goes on; returns how many and the last corner."""
    steps, here = 1, first
    while True:
        found, further, corner = 0, here, first
        while True:
            if faces[_next(corner)] == faces[_back(here)]:
                found += 1
                further = corner
            corner = following[corner]
            if corner == first:
                break
        if found != 1 or further == first or steps == MOST_CORNERS:
            return steps, here
        here = further
        steps += 1


@compiled
def _rim_corner(faces: np.ndarray, following: np.ndarray, start: int) -> int:
    """The one corner round a vertex at whose first edge no other face ends; -1 where there is not just one."""
    found, corner = -1, start
    while True:
        partners, other = 0, start
        while True:
            if faces[_back(other)] == faces[_next(corner)]:
                partners += 1
            other = following[other]
            if other == start:
                break
        if partners == 0:
            if found >= 0:
                return -1
            found = corner
        corner = following[corner]
        if corner == start:
            return found


@compiled
def hold_rims(
    points: np.ndarray,
    quadrics: np.ndarray,
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    kind: np.ndarray,
    weight: float,
) -> None:
    """Add the planes upright on open rims, weighted by ``weight`` times the squared length of the rim's edge."""
    for vertex in range(len(kind)):
        if kind[vertex] != RIM:
            continue
        corner = _rim_corner(faces, following, head[vertex])
        end, apex = faces[_next(corner)], faces[_back(corner)]
        x, y, z = points[vertex, 0], points[vertex, 1], points[vertex, 2]
        ux, uy, uz = points[end, 0] - x, points[end, 1] - y, points[end, 2] - z
        wx, wy, wz = points[apex, 0] - x, points[apex, 1] - y, points[apex, 2] - z
        squared = ux * ux + uy * uy + uz * uz
        along = (ux * wx + uy * wy + uz * wz) / max(squared, 1e-300)
        # Upright on the rim in the plane of its face: the part of w across u.
        nx, ny, nz = wx - along * ux, wy - along * uy, wz - along * uz
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length <= 0:
            continue
        nx, ny, nz = nx / length, ny / length, nz / length
        d, much = -(nx * x + ny * y + nz * z), weight * squared
        _add_plane(quadrics, vertex, nx, ny, nz, d, much)
        _add_plane(quadrics, end, nx, ny, nz, d, much)


@compiled
def _add_plane(quadrics: np.ndarray, vertex: int, x: float, y: float, z: float, d: float, weight: float) -> None:
    quadrics[vertex, 0] += weight * x * x
    quadrics[vertex, 1] += weight * x * y
    quadrics[vertex, 2] += weight * x * z
    quadrics[vertex, 3] += weight * y * y
    quadrics[vertex, 4] += weight * y * z
    quadrics[vertex, 5] += weight * z * z
    quadrics[vertex, 6] += weight * x * d
    quadrics[vertex, 7] += weight * y * d
    quadrics[vertex, 8] += weight * z * d
    quadrics[vertex, 9] += weight * d * d


@compiled
def find_seams(faces: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Find the vertices of faces that lie in more than one ``piece`` [V], bool [V]."""
    seam = np.zeros(len(piece), np.bool_)
    for face in range(len(faces) // 3):
        a, b, c = faces[3 * face], faces[3 * face + 1], faces[3 * face + 2]
        if piece[a] != piece[b] or piece[b] != piece[c]:
            seam[a] = seam[b] = seam[c] = True
    return seam


@compiled
def count_faces(faces: np.ndarray, marked: np.ndarray, least: int) -> int:
    """Count the faces of which at least so many corners are ``marked`` bool [V]."""
    found = 0
    for face in range(len(faces) // 3):
        corners = int(marked[faces[3 * face]]) + int(marked[faces[3 * face + 1]]) + int(marked[faces[3 * face + 2]])
        if corners >= least:
            found += 1
    return found


@compiled
def sweep(
    points: np.ndarray,
    quadrics: np.ndarray,
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    least: np.ndarray,
    kind: np.ndarray,
    vertices: np.ndarray,
    limit: float,
    tie: float,
    budget: int,
) -> int:
    """Go through ``vertices`` once and collapse the cheapest edge of each whose cost is at most ``limit``.

    An edge belongs to its lower end; it costs its quadric error and ``tie`` times its length to the fourth. Only edges
    between vertices that have a ``kind`` int8 [V] are collapsed, and only what is at the faces of such vertices is
    written; an inner vertex moves onto a rim's, never the other way. ``least`` float64 [V] is a lower bound of the
    costs of a vertex's edges, kept up to date (costs hardly ever fall, as quadrics add up). Returns how many faces
    went, ``budget`` or one more at most.
    """
    costs, places = np.empty(MOST_CORNERS), np.empty((MOST_CORNERS, 3))
    ends, near = np.empty(MOST_CORNERS, np.int32), np.empty(MOST_CORNERS, np.int32)
    other_near = np.empty(MOST_CORNERS, np.int32)
    gone = 0
    for vertex in vertices:
        if head[vertex] < 0 or least[vertex] > limit:
            continue
        if gone >= budget:
            break
        count, best = 0, np.inf
        around = _neighbours(faces, head, following, kind, vertex, near)
        for number in range(around):
            end = near[number]
            if kind[end] > 0 and end > vertex:
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
            goes = _faces_between(faces, head, following, vertex, end)
            if (
                _keeps_topology(faces, head, following, kind, vertex, end, near, other_near, goes)
                and _keeps_normals(points, faces, following, head[vertex], end, x, y, z)
                and _keeps_normals(points, faces, following, head[end], vertex, x, y, z)
            ):
                points[vertex, 0], points[vertex, 1], points[vertex, 2] = x, y, z
                for k in range(10):
                    quadrics[vertex, k] += quadrics[end, k]
                _merge(faces, head, following, vertex, end)
                kind[vertex] = min(kind[vertex], kind[end])
                gone += goes
                break
            costs[cheapest] = np.inf
    return gone


@compiled
def _next(corner: int) -> int:
    return corner + 1 if corner % 3 < 2 else corner - 2


@compiled
def _back(corner: int) -> int:
    return corner - 1 if corner % 3 > 0 else corner + 2


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
def _neighbours(
    faces: np.ndarray, head: np.ndarray, following: np.ndarray, kind: np.ndarray, vertex: int, near: np.ndarray
) -> int:
    """Write the vertices around ``vertex``, whose faces are one fan, and return how many there are."""
    size, corner = 0, head[vertex]
    while True:
        near[size] = faces[_next(corner)]
        size += 1
        corner = following[corner]
        if corner == head[vertex]:
            break
    if kind[vertex] == RIM:
        # No face begins where the last one of an open fan ends.
        while True:
            last = faces[_back(corner)]
            begins = False
            for other in range(size):
                begins = begins or near[other] == last
            if not begins:
                near[size] = last
                return size + 1
            corner = following[corner]
            if corner == head[vertex]:
                break
    return size


@compiled
def _faces_between(faces: np.ndarray, head: np.ndarray, following: np.ndarray, vertex: int, end: int) -> int:
    """Count the faces at the edge of two vertices; those with an apex that has no other face count as many."""
    found, corner = 0, head[vertex]
    while True:
        a, b = _next(corner), _back(corner)
        if faces[a] == end or faces[b] == end:
            apex = b if faces[a] == end else a
            found += 1 if following[apex] != apex else MOST_CORNERS
        corner = following[corner]
        if corner == head[vertex]:
            return found


@compiled
def _keeps_topology(
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    kind: np.ndarray,
    vertex: int,
    end: int,
    near: np.ndarray,
    other_near: np.ndarray,
    goes: int,
) -> bool:
    """The link condition at an edge between fans: its ends share as many neighbours as faces, which are as many as
    their kinds say, and enough faces remain that none is doubled."""
    if goes != (1 if kind[vertex] == RIM and kind[end] == RIM else 2):
        return False
    size = _neighbours(faces, head, following, kind, vertex, near)
    other_size = _neighbours(faces, head, following, kind, end, other_near)
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
    points: np.ndarray, faces: np.ndarray, following: np.ndarray, first: int, gone: int, x: float, y: float, z: float
) -> bool:
    """Tell whether no face round the vertex of corner ``first`` turns over or becomes a sliver when the vertex moves.

    The faces at the vertex ``gone`` vanish and do not matter.
    """
    corner = first
    while True:
        a, b = faces[_next(corner)], faces[_back(corner)]
        if a != gone and b != gone:
            vertex = faces[corner]
            ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
            ex, ey, ez = points[b, 0] - ax, points[b, 1] - ay, points[b, 2] - az
            ox, oy, oz = points[vertex, 0] - ax, points[vertex, 1] - ay, points[vertex, 2] - az
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
        corner = following[corner]
        if corner == first:
            return True


@compiled
def _squared_sides(ux: float, uy: float, uz: float, wx: float, wy: float, wz: float) -> float:
    """The sum of the squared sides of a triangle of which two are the vectors u and w."""
    dx, dy, dz = ux - wx, uy - wy, uz - wz
    return ux * ux + uy * uy + uz * uz + wx * wx + wy * wy + wz * wz + dx * dx + dy * dy + dz * dz


@compiled
def _merge(faces: np.ndarray, head: np.ndarray, following: np.ndarray, vertex: int, end: int) -> None:
    """Let the faces of ``end`` have ``vertex`` instead; the two at the edge between them go."""
    first = last = -1
    for side in range(2):
        here, there = (vertex, end) if side == 0 else (end, vertex)
        start = corner = head[here]
        while True:
            after, a, b = following[corner], _next(corner), _back(corner)
            if faces[a] != there and faces[b] != there:
                faces[corner] = vertex
                if first < 0:
                    first = corner
                else:
                    following[last] = corner
                last = corner
            elif side == 0:
                _unlink(faces, head, following, b if faces[a] == there else a)
            else:
                faces[corner] = faces[a] = faces[b] = -1
            corner = after
            if corner == start:
                break
    following[last] = first
    head[vertex], head[end] = first, -1


@compiled
def _unlink(faces: np.ndarray, head: np.ndarray, following: np.ndarray, corner: int) -> None:
    vertex, before = faces[corner], head[faces[corner]]
    while following[before] != corner:
        before = following[before]
    following[before] = following[corner]
    head[vertex] = before
