# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``simplify_sweeps``: quadric edge collapse on a mesh whose corners are linked round each vertex.

Corner ``c`` is corner ``c % 3`` of face ``c // 3``; ``faces`` int32 [3F] is the vertex of every corner, -1 once the
face is gone. ``head`` int32 [V] is one corner of each vertex (-1: none), ``following`` int32 [3F] the next corner of
the same vertex, round and round. ``quadrics`` float64 [V, 10] as in ``collapse.vertex_quadrics``.
"""

from __future__ import annotations

import numpy as np

from .compilation import compiled

# Vertices of more faces are left alone, and none of more than half as many is made.
MOST_CORNERS = 64

# As in collapse.py and collapse_rounds.py.
_HOLD = 1e-5
_SMALLEST_TURN = 0.2
_SMALLEST_SHAPE = 0.02


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
            quadrics[vertex, 0] += area * nx * nx
            quadrics[vertex, 1] += area * nx * ny
            quadrics[vertex, 2] += area * nx * nz
            quadrics[vertex, 3] += area * ny * ny
            quadrics[vertex, 4] += area * ny * nz
            quadrics[vertex, 5] += area * nz * nz
            quadrics[vertex, 6] += area * nx * d
            quadrics[vertex, 7] += area * ny * d
            quadrics[vertex, 8] += area * nz * d
            quadrics[vertex, 9] += area * d * d
    return quadrics


@compiled
def find_inner(faces: np.ndarray, head: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Find the vertices whose faces are one closed fan, wound alike, bool [V]."""
    inner = np.zeros(len(head), np.bool_)
    for vertex in range(len(head)):
        if head[vertex] < 0:
            continue
        size, corner = 1, following[head[vertex]]
        while corner != head[vertex]:
            size += 1
            corner = following[corner]
        if size < 3 or size > MOST_CORNERS:
            continue
        first, ahead = faces[_next(head[vertex])], faces[_next(_next(head[vertex]))]
        steps = 1
        while ahead != first and steps < size:
            # The one face that goes on where the last one ended.
            found, further, corner = 0, ahead, head[vertex]
            while True:
                if faces[_next(corner)] == ahead:
                    found += 1
                    further = faces[_next(_next(corner))]
                corner = following[corner]
                if corner == head[vertex]:
                    break
            if found != 1:
                break
            ahead = further
            steps += 1
        inner[vertex] = ahead == first and steps == size
    return inner


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
    free: np.ndarray,
    vertices: np.ndarray,
    limit: float,
    tie: float,
    budget: int,
) -> int:
    """Go through ``vertices`` once and collapse the cheapest edge of each whose cost is at most ``limit``.

    An edge belongs to its lower end; it costs its quadric error and ``tie`` times its length to the fourth. Only edges
    between vertices that are ``free`` bool [V] are collapsed, and only what is at the faces of such vertices is
    written. ``least`` float64 [V] is a lower bound of the costs of a vertex's edges, kept up to date (costs hardly ever
    fall, as quadrics add up). Returns how many faces went, ``budget`` or one more at most.
    """
    costs, places = np.empty(MOST_CORNERS), np.empty((MOST_CORNERS, 3))
    ends, near = np.empty(MOST_CORNERS, np.int32), np.empty(MOST_CORNERS, np.int32)
    gone = 0
    for vertex in vertices:
        if head[vertex] < 0 or least[vertex] > limit:
            continue
        if gone >= budget:
            break
        count, corner, best = 0, head[vertex], np.inf
        while True:
            end = faces[_next(corner)]
            if free[end] and end > vertex:
                cost, x, y, z = _merged(points, quadrics, vertex, end, tie)
                costs[count], ends[count] = cost, end
                places[count, 0], places[count, 1], places[count, 2] = x, y, z
                best = min(best, cost)
                count += 1
            corner = following[corner]
            if corner == head[vertex]:
                break
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
            if (
                _keeps_topology(faces, head, following, vertex, end, near)
                and _keeps_normals(points, faces, following, head[vertex], end, x, y, z)
                and _keeps_normals(points, faces, following, head[end], vertex, x, y, z)
            ):
                points[vertex, 0], points[vertex, 1], points[vertex, 2] = x, y, z
                for k in range(10):
                    quadrics[vertex, k] += quadrics[end, k]
                _merge(faces, head, following, vertex, end)
                gone += 2
                break
            costs[cheapest] = np.inf
    return gone


@compiled
def _next(corner: int) -> int:
    return corner + 1 if corner % 3 < 2 else corner - 2


@compiled
def _merged(
    points: np.ndarray, quadrics: np.ndarray, vertex: int, end: int, tie: float
) -> tuple[float, float, float, float]:
    """The cost of an edge and the best place of the merged vertex: ``collapse._best_place``."""
    a, b = quadrics[vertex], quadrics[end]
    xx, xy, xz, yy, yz, zz = a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]
    bx, by, bz, constant = a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9]
    px, py, pz = points[vertex, 0], points[vertex, 1], points[vertex, 2]
    ex, ey, ez = points[end, 0], points[end, 1], points[end, 2]
    squared = (px - ex) * (px - ex) + (py - ey) * (py - ey) + (pz - ez) * (pz - ez)
    x, y, z = 0.5 * (px + ex), 0.5 * (py + ey), 0.5 * (pz + ez)
    gx, gy, gz = xx * x + xy * y + xz * z + bx, xy * x + yy * y + yz * z + by, xz * x + yz * y + zz * z + bz
    hold = _HOLD * (xx + yy + zz) + 1e-300
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
def _keeps_topology(
    faces: np.ndarray, head: np.ndarray, following: np.ndarray, vertex: int, end: int, near: np.ndarray
) -> bool:
    """The link condition at an edge between closed fans: its ends share two neighbours; three faces or more remain."""
    size, corner = 0, head[vertex]
    while True:
        near[size] = faces[_next(corner)]
        size += 1
        corner = following[corner]
        if corner == head[vertex]:
            break
    shared, together, corner = 0, size - 4, head[end]
    while True:
        neighbour = faces[_next(corner)]
        for other in range(size):
            if near[other] == neighbour:
                shared += 1
        together += 1
        corner = following[corner]
        if corner == head[end]:
            break
    return shared == 2 and 3 <= together <= MOST_CORNERS // 2


@compiled
def _keeps_normals(
    points: np.ndarray, faces: np.ndarray, following: np.ndarray, first: int, gone: int, x: float, y: float, z: float
) -> bool:
    """Tell whether no face round the vertex of corner ``first`` turns over or becomes a sliver when the vertex moves.

    The faces at the vertex ``gone`` vanish and do not matter.
    """
    corner = first
    while True:
        a, b = faces[_next(corner)], faces[_next(_next(corner))]
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
            if not (agree > 0 and agree * agree > _SMALLEST_TURN * _SMALLEST_TURN * old * new):
                return False
            sides = _squared_sides(ex, ey, ez, px, py, pz)
            # Shape is 2 sqrt(3) times twice the area by the squared sides.
            if 12 * new < _SMALLEST_SHAPE * _SMALLEST_SHAPE * sides * sides:
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
            after, a, b = following[corner], _next(corner), _next(_next(corner))
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
