# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of the codec for one CPU thread: the same results, bit for bit, as the torch functions named in each.

Importing this module fails where numba is missing; ``compilation.kernels`` says when it is worth compiling. Arrays are
numpy. No fast-math anywhere: every sum and product is rounded as torch rounds it, and sums run in torch's order.
"""

from __future__ import annotations

import numpy as np

from ..kernels.compiled_loops import compiled
from .crossings import ROUNDING
from .overlap import MARGIN

_FIRST_HITS = 1 << 18


@compiled
def cross_axis(
    triangles: np.ndarray, number: int, shape: np.ndarray, size: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``crossings._cross_axis``: cell int64 [3, H], triangle int64 [H] and point float64 [3, H] of the crossings."""
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    hu, hw, ha = size[u_axis], size[w_axis], size[axis]
    du, dw, da = np.float64(hu), np.float64(hw), np.float64(ha)
    nu, nw, na = shape[u_axis], shape[w_axis], shape[axis]
    cell = np.empty((3, _FIRST_HITS), np.int64)
    triangle = np.empty(_FIRST_HITS, np.int64)
    point = np.empty((3, _FIRST_HITS), np.float64)
    hits = 0
    u, w, a = np.empty(3), np.empty(3), np.empty(3)
    row = np.empty(3, np.int64)
    for t in range(len(triangles)):
        lowest, highest = np.inf, -np.inf
        for corner in range(3):
            u[corner] = triangles[t, corner, u_axis]
            w[corner] = triangles[t, corner, w_axis]
            column = u[corner] / du
            lowest, highest = min(lowest, column), max(highest, column)
            row[corner] = min(max(np.int64(w[corner] / dw), 0), nw - 1)
        if row[0] == row[1] == row[2] or np.floor(highest + ROUNDING) <= np.floor(lowest - ROUNDING):
            continue
        for corner in range(3):
            a[corner] = triangles[t, corner, axis]
        for first, second in ((0, 1), (1, 2), (0, 1)):
            if w[second] < w[first]:
                u[first], u[second] = u[second], u[first]
                w[first], w[second] = w[second], w[first]
                a[first], a[second] = a[second], a[first]
                row[first], row[second] = row[second], row[first]
        for j in range(row[0], row[2]):
            w_line = np.float64(np.float32(j + 1) * hw)
            start, end = (2, 0) if j >= row[1] else (0, 2)
            rise = w_line - w[start]
            t_p = rise / (w[1] - w[start])
            t_q = rise / (w[end] - w[start])
            pu = (1 - t_p) * u[start] + t_p * u[1]
            pa = (1 - t_p) * a[start] + t_p * a[1]
            qu = (1 - t_q) * u[start] + t_q * u[end]
            qa = (1 - t_q) * a[start] + t_q * a[end]
            if pu > qu:
                pu, qu, pa, qa = qu, pu, qa, pa
            first_column = min(max(np.int64(pu / du), 0), nu - 1)
            for i in range(first_column, min(max(np.int64(qu / du), 0), nu - 1)):
                u_line = np.float64(np.float32(i + 1) * hu)
                s = (u_line - pu) / (qu - pu)
                height = (1 - s) * pa + s * qa
                k = np.int64(height / da)
                if k < 0 or k >= na:
                    continue
                if hits == len(triangle):
                    room = hits * 2
                    cell, old_cell = np.empty((3, room), np.int64), cell
                    triangle, old_triangle = np.empty(room, np.int64), triangle
                    point, old_point = np.empty((3, room), np.float64), point
                    for hit in range(hits):
                        triangle[hit] = old_triangle[hit]
                        for c in range(3):
                            cell[c, hit], point[c, hit] = old_cell[c, hit], old_point[c, hit]
                cell[u_axis, hits], cell[w_axis, hits], cell[axis, hits] = i, j, k
                point[u_axis, hits], point[w_axis, hits], point[axis, hits] = u_line, w_line, height
                triangle[hits] = number + t
                hits += 1
    return cell[:, :hits].copy(), triangle[:hits].copy(), point[:, :hits].copy()


@compiled
def _block(x: int, y: int, z: int, by: int, bz: int) -> int:
    return ((x >> 3) * by + (y >> 3)) * bz + (z >> 3)


@compiled
def _inner(x: int, y: int, z: int) -> int:
    return ((x & 7) << 6) | ((y & 7) << 3) | (z & 7)


@compiled
def mark_blocks(cell: np.ndarray, axis: int, blocks: np.ndarray, used: np.ndarray) -> None:
    """``VoxelTable._allocate``, for the four voxels around each crossed edge."""
    step_u, step_w = (axis + 1) % 3, (axis + 2) % 3
    for hit in range(cell.shape[1]):
        for corner in range(4):
            x = cell[0, hit] + ((corner & 1) * (step_u == 0) + (corner >> 1) * (step_w == 0))
            y = cell[1, hit] + ((corner & 1) * (step_u == 1) + (corner >> 1) * (step_w == 1))
            z = cell[2, hit] + ((corner & 1) * (step_u == 2) + (corner >> 1) * (step_w == 2))
            used[_block(x, y, z, blocks[1], blocks[2])] = True


@compiled
def around_edges(
    cell: np.ndarray, axis: int, blocks: np.ndarray, slot: np.ndarray, rows: np.ndarray, found: np.ndarray, mark: bool
) -> None:
    """The four voxels around each crossed edge: ``mark`` them in ``rows`` of the table, or read them into ``found``.

    As ``VoxelTable.of_cells``; ``found`` int64 [4, H].
    """
    step_u, step_w = (axis + 1) % 3, (axis + 2) % 3
    for hit in range(cell.shape[1]):
        for corner in range(4):
            x = cell[0, hit] + ((corner & 1) * (step_u == 0) + (corner >> 1) * (step_w == 0))
            y = cell[1, hit] + ((corner & 1) * (step_u == 1) + (corner >> 1) * (step_w == 1))
            z = cell[2, hit] + ((corner & 1) * (step_u == 2) + (corner >> 1) * (step_w == 2))
            place = slot[_block(x, y, z, blocks[1], blocks[2])] * np.int64(512) + _inner(x, y, z)
            if mark:
                rows[place] = 0
            else:
                found[corner, hit] = rows[place]


@compiled
def number_voxels(occupied: np.ndarray, blocks: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number the marked voxels in lexicographic order; their coordinates int64 [N, 3]. ``VoxelTable.of_cells``."""
    count = 0
    for place in range(len(rows)):
        count += rows[place] == 0
    coords = np.empty((count, 3), np.int64)
    by, bz = blocks[1], blocks[2]
    row = 0
    slab = 0
    while slab < len(occupied):
        bx = occupied[slab] // (by * bz)
        after = slab
        while after < len(occupied) and occupied[after] // (by * bz) == bx:
            after += 1
        for x in range(8):
            line = slab
            while line < after:
                block_row = occupied[line] // bz
                stop = line
                while stop < after and occupied[stop] // bz == block_row:
                    stop += 1
                for y in range(8):
                    for block in range(line, stop):
                        place = block * 512 + x * 64 + y * 8
                        for z in range(8):
                            if rows[place + z] == 0:
                                rows[place + z] = row
                                coords[row, 0] = bx * 8 + x
                                coords[row, 1] = (block_row - bx * by) * 8 + y
                                coords[row, 2] = (occupied[block] - block_row * bz) * 8 + z
                                row += 1
                line = stop
        slab = after
    return coords


@compiled
def _add_plane(sums: np.ndarray, row: int, plane: np.ndarray, x: float, y: float, z: float) -> float:
    """Add the six entries of A; the distance of the voxel's corner (x, y, z) to the plane."""
    for entry in range(6):
        sums[row, entry] += plane[entry]
    return ((plane[9] - plane[6] * x) - plane[7] * y) - plane[8] * z


@compiled
def add_crossings(
    sums: np.ndarray,
    count: np.ndarray,
    coords: np.ndarray,
    rows: np.ndarray,
    planes: np.ndarray,
    triangle: np.ndarray,
    point: np.ndarray,
    first: int,
    stop: int,
    number: int,
    size: np.ndarray,
    squares: np.ndarray,
) -> None:
    """``Quadrics.add_planes`` with points, for crossings ``first`` to ``stop`` of ``rows`` [4, P] around each edge.

    ``planes`` [F, 10] of the triangles from ``number``; ``point`` [3, P] in mesh units.
    """
    for corner in range(4):
        for hit in range(first, stop):
            row, plane = rows[corner, hit], planes[triangle[hit] - number]
            x, y, z = np.float64(coords[row, 0]), np.float64(coords[row, 1]), np.float64(coords[row, 2])
            distance = _add_plane(sums, row, plane, x, y, z)
            sums[row, 6] += plane[6] * distance + (point[0, hit] / size[0] - x) * squares[0]
            sums[row, 7] += plane[7] * distance + (point[1, hit] / size[1] - y) * squares[1]
            sums[row, 8] += plane[8] * distance + (point[2, hit] / size[2] - z) * squares[2]
            count[row] += 1


@compiled
def add_overlaps(
    sums: np.ndarray,
    triangles: np.ndarray,
    normals: np.ndarray,
    planes: np.ndarray,
    shape: np.ndarray,
    size: np.ndarray,
    blocks: np.ndarray,
    slot: np.ndarray,
    rows: np.ndarray,
) -> None:
    """``overlap.overlapping_voxels`` and ``Quadrics.add_planes`` with ``planes`` [F, 10]."""
    zero = np.float32(0)
    one = np.float32(1)
    cells = np.empty((3, 3))
    lowest, highest = np.empty(3, np.int64), np.empty(3, np.int64)
    tests = np.empty((9, 3), np.float32)
    slope, flat = np.empty(3), np.empty(3, np.bool_)
    cell = np.empty(3, np.int64)
    corner_at = np.empty(3, np.float32)
    for axis in range(3):
        u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
        for t in range(len(triangles)):
            normal = normals[t]
            nx, ny, nz = normal[0] * size[0], normal[1] * size[1], normal[2] * size[2]
            ax, ay, az = abs(nx), abs(ny), abs(nz)
            dominant = 0 if ax >= ay and ax >= az else (1 if ay >= az else 2)
            if dominant != axis:
                continue
            for c in range(3):
                low, high = np.float32(np.inf), np.float32(-np.inf)
                for corner in range(3):
                    value = triangles[t, corner, c] / size[c]
                    cells[c, corner] = value
                    low, high = min(low, value), max(high, value)
                lowest[c] = max(np.int64(low), 0)
                highest[c] = min(np.int64(high + one) - 1, shape[c] - 1)
            test = 0
            for first in range(3):
                second, across = (first + 1) % 3, (first + 2) % 3
                sign = -one if normal[across] < 0 else one
                for corner in range(3):
                    following = (corner + 1) % 3
                    m1 = -(triangles[t, following, second] - triangles[t, corner, second]) * sign
                    m2 = (triangles[t, following, first] - triangles[t, corner, first]) * sign
                    offset = -(m1 * triangles[t, corner, first] + m2 * triangles[t, corner, second])
                    reach1, reach2 = max(m1, zero) * size[first], max(m2, zero) * size[second]
                    tests[test, 0], tests[test, 1], tests[test, 2] = m1, m2, offset + (reach1 + reach2)
                    test += 1
            near, far = zero, zero
            for c in range(3):
                critical = size[c] if normal[c] > 0 else zero
                near += normal[c] * (critical - triangles[t, 0, c])
                far += normal[c] * ((size[c] - critical) - triangles[t, 0, c])

            slopes = (np.float64(nx), np.float64(ny), np.float64(nz))
            along = slopes[axis] if slopes[axis] != 0 else 1.0
            slope_u, slope_w = -slopes[u_axis] / along, -slopes[w_axis] / along
            margin = (abs(slope_u) + abs(slope_w)) / 2 + MARGIN
            height = cells[axis, 0] - slope_u * (cells[u_axis, 0] - 0.5) - slope_w * (cells[w_axis, 0] - 0.5)
            for start in range(3):
                end = (start + 1) % 3
                span = cells[w_axis, end] - cells[w_axis, start]
                flat[start] = span == 0
                slope[start] = 0.0 if flat[start] else (cells[u_axis, end] - cells[u_axis, start]) / span
            for j in range(lowest[w_axis], highest[w_axis] + 1):
                w = np.float64(j)
                left, right = np.inf, -np.inf
                for start in range(3):
                    end = (start + 1) % 3
                    w0, w1, u0 = cells[w_axis, start], cells[w_axis, end], cells[u_axis, start]
                    enter, leave = max(min(w0, w1), w - MARGIN), min(max(w0, w1), (w + 1) + MARGIN)
                    if enter <= leave:
                        at_enter, at_leave = u0 + slope[start] * (enter - w0), u0 + slope[start] * (leave - w0)
                        left = min(min(left, at_enter), at_leave)
                        right = max(max(right, at_enter), at_leave)
                first_u = max(np.int64(np.floor(left - MARGIN)), lowest[u_axis])
                last_u = min(np.int64(np.floor(right + MARGIN)), highest[u_axis])
                row_height = height + slope_w * w
                for i in range(first_u, last_u + 1):
                    middle = row_height + slope_u * i
                    first_k = max(np.int64(np.floor(middle - margin)), lowest[axis])
                    last_k = min(np.int64(np.floor(middle + margin)), highest[axis])
                    for k in range(first_k, last_k + 1):
                        cell[u_axis], cell[w_axis], cell[axis] = i, j, k
                        x, y, z = cell[0], cell[1], cell[2]
                        block = slot[_block(x, y, z, blocks[1], blocks[2])]
                        row = np.int64(rows[block * np.int64(512) + _inner(x, y, z)])
                        if row < 0:
                            continue
                        px, py, pz = np.float32(x) * size[0], np.float32(y) * size[1], np.float32(z) * size[2]
                        distance = (normal[0] * px + normal[1] * py) + normal[2] * pz
                        if not (distance + near) * (distance + far) <= 0:
                            continue
                        corner_at[0], corner_at[1], corner_at[2] = px, py, pz
                        hit = True
                        for test in range(9):
                            p1, p2 = corner_at[test // 3], corner_at[(test // 3 + 1) % 3]
                            if not (tests[test, 0] * p1 + tests[test, 1] * p2) + tests[test, 2] >= 0:
                                hit = False
                                break
                        if hit:
                            plane = planes[t]
                            offset = _add_plane(sums, row, plane, np.float64(x), np.float64(y), np.float64(z))
                            for c in range(3):
                                sums[row, 6 + c] += plane[6 + c] * offset


@compiled
def quads(
    coords: np.ndarray,
    intersected: np.ndarray,
    offsets: np.ndarray,
    shape: np.ndarray,
    blocks: np.ndarray,
    slot: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """``surface.dual_grid_quads``: int64 [Q, 4]."""
    room = 0
    for voxel in range(len(coords)):
        for axis in range(3):
            room += intersected[voxel, axis]
    found = np.empty((room, 4), np.int64)
    count = 0
    for voxel in range(len(coords)):
        for axis in range(3):
            if not intersected[voxel, axis]:
                continue
            complete = True
            for corner in range(4):
                x = np.int64(coords[voxel, 0]) + offsets[axis, corner, 0]
                y = np.int64(coords[voxel, 1]) + offsets[axis, corner, 1]
                z = np.int64(coords[voxel, 2]) + offsets[axis, corner, 2]
                if x >= shape[0] or y >= shape[1] or z >= shape[2]:
                    complete = False
                    break
                block = slot[_block(x, y, z, blocks[1], blocks[2])]
                row = rows[block * np.int64(512) + _inner(x, y, z)]
                if row < 0:
                    complete = False
                    break
                found[count, corner] = row
            count += complete
    return found[:count]
