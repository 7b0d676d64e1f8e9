# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``simplify_sweeps`` before the first collapse: links round vertices, kinds, quadrics, seams.

Corner ``c`` is corner ``c % 3`` of face ``c // 3``; ``faces`` int32 [3F] is the vertex of every corner, -1 once the
face is gone. ``head`` int32 [V] is one corner of each vertex (-1: none), ``following`` int32 [3F] the next corner of
the same vertex, round and round. ``quadrics`` float64 [V, 10] as in ``collapse.vertex_quadrics``.
"""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled

# Vertices of more faces are left alone, and none of more than half as many is made.
MOST_CORNERS = 64

# Kinds of vertices whose edges may be collapsed.
INNER, RIM = 2, 1


@compiled
def next_corner(corner: int) -> int:
    """The corner of the same face after ``corner``."""
    return corner + 1 if corner % 3 < 2 else corner - 2


@compiled
def previous_corner(corner: int) -> int:
    """The corner of the same face before ``corner``."""
    return corner - 1 if corner % 3 > 0 else corner + 2


@compiled
def link(faces: np.ndarray, head: np.ndarray, following: np.ndarray) -> None:
    """Link the corners of each vertex: ``head`` comes as -1, ``following`` as anything."""
    for corner in range(len(faces)):
        last = head[faces[corner]]
        if last < 0:
            following[corner] = corner
        else:
            following[corner] = following[last]
            following[last] = corner
        head[faces[corner]] = corner


@compiled
def describe(
    points: np.ndarray,
    faces: np.ndarray,
    head: np.ndarray,
    following: np.ndarray,
    first: int,
    end: int,
    quadrics: np.ndarray,
    kind: np.ndarray,
) -> None:
    """Fill in the rows of the vertices from ``first`` up to ``end``, which come as zeros.

    ``quadrics``: the planes of the faces, weighted by area. ``kind`` int8 [V]: ``INNER`` where the faces, wound alike,
    are one closed fan, ``RIM`` where they are one open fan; all other vertices are to stay as they are.
    """
    ahead, behind = np.empty(MOST_CORNERS, np.int32), np.empty(MOST_CORNERS, np.int32)
    for vertex in range(first, end):
        start = corner = head[vertex]
        if start < 0:
            continue
        x, y, z = points[vertex, 0], points[vertex, 1], points[vertex, 2]
        xx = xy = xz = yy = yz = zz = xd = yd = zd = dd = 0.0
        size = 0
        while True:
            a, b = faces[next_corner(corner)], faces[previous_corner(corner)]
            if size < MOST_CORNERS:
                ahead[size], behind[size] = a, b
            size += 1
            ux, uy, uz = points[a, 0] - x, points[a, 1] - y, points[a, 2] - z
            wx, wy, wz = points[b, 0] - x, points[b, 1] - y, points[b, 2] - z
            # As long as the face is large, twice.
            nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
            weight = 0.5 / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300)
            mx, my, mz, d = weight * nx, weight * ny, weight * nz, -(nx * x + ny * y + nz * z)
            xx, xy, xz, yy, yz, zz = xx + mx * nx, xy + mx * ny, xz + mx * nz, yy + my * ny, yz + my * nz, zz + mz * nz
            xd, yd, zd, dd = xd + mx * d, yd + my * d, zd + mz * d, dd + weight * d * d
            corner = following[corner]
            if corner == start:
                break
        row = quadrics[vertex]
        row[0], row[1], row[2], row[3], row[4], row[5] = xx, xy, xz, yy, yz, zz
        row[6], row[7], row[8], row[9] = xd, yd, zd, dd
        if size < MOST_CORNERS:
            kind[vertex] = _kind(ahead[:size], behind[:size])


@compiled
def _kind(ahead: np.ndarray, behind: np.ndarray) -> int:
    """The kind of a vertex whose faces lead from the vertices ``ahead`` to those ``behind``, int32 [faces] each."""
    size = len(ahead)
    steps, last = _walk(ahead, behind, 0)
    if steps == size and size > 2 and behind[last] == ahead[0]:
        return INNER
    first = -1
    for one in range(size):
        begins = True
        for other in range(size):
            begins = begins and behind[other] != ahead[one]
        if begins and first >= 0:
            return 0
        if begins:
            first = one
    if first < 0:
        return 0
    steps, last = _walk(ahead, behind, first)
    return RIM if steps == size and behind[last] != ahead[first] else 0


@compiled
def _walk(ahead: np.ndarray, behind: np.ndarray, first: int) -> tuple[int, int]:
    """Go from face to face round a vertex while one and only one goes on; returns how many and the last one."""
    steps, here = 1, first
    while True:
        found, further = 0, here
        for other in range(len(ahead)):
            if ahead[other] == behind[here]:
                found += 1
                further = other
        if found != 1 or further == first or steps == len(ahead):
            return steps, here
        here = further
        steps += 1


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
        end, apex = faces[next_corner(corner)], faces[previous_corner(corner)]
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
def _rim_corner(faces: np.ndarray, following: np.ndarray, start: int) -> int:
    """The one corner round a vertex at whose first edge no other face ends; -1 where there is not just one."""
    found, corner = -1, start
    while True:
        partners, other = 0, start
        while True:
            if faces[previous_corner(other)] == faces[next_corner(corner)]:
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
        if a >= 0 and (piece[a] != piece[b] or piece[b] != piece[c]):
            seam[a] = seam[b] = seam[c] = True
    return seam


@compiled
def find_around(faces: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Find the vertices of faces at ``marked`` bool [V] ones, bool [V]."""
    around = np.zeros(len(marked), np.bool_)
    for face in range(len(faces) // 3):
        a, b, c = faces[3 * face], faces[3 * face + 1], faces[3 * face + 2]
        if a >= 0 and (marked[a] or marked[b] or marked[c]):
            around[a] = around[b] = around[c] = True
    return around


@compiled
def count_faces(faces: np.ndarray, marked: np.ndarray, least: int) -> int:
    """Count the faces of which at least so many corners are ``marked`` bool [V]."""
    found = 0
    for face in range(len(faces) // 3):
        corners = int(marked[faces[3 * face]]) + int(marked[faces[3 * face + 1]]) + int(marked[faces[3 * face + 2]])
        if corners >= least:
            found += 1
    return found
