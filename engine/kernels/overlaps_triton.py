# SPDX-License-Identifier: GPL-3.0-or-later
"""Which active voxels a triangle overlaps: the enumeration and the test of ``ovoxel.overlap.overlapping_voxels``.

Two passes, one lane for each row of a triangle and then one for each column of a row, which tests the few layers that
the triangle's plane passes through there. Nothing is multiplied and added in one rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .segments_triton import last, owner_of, strided
from .voxel_table_triton import row_of

_BLOCK = 128

# A plane whose normal is largest along the layers rises by at most one layer a cell each way.
_LAYERS = tl.constexpr(4)


@triton.jit(do_not_specialize=["total", "triangles", "steps", "u_axis", "w_axis"])
def _row_spans(
    corners,
    lowest,
    highest,
    row_ends,
    row_triangle,
    row_cell,
    first_column,
    columns,
    total,
    triangles,
    steps,
    u_axis,
    w_axis,
    tolerance: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = row < total
    triangle = owner_of(row_ends, triangles, row, steps)
    # Counted from the last row, which is where the triangle's running sum ends.
    cell = tl.load(highest + strided(w_axis, triangles, triangle)) + 1 - (tl.load(row_ends + triangle) - row)
    w = cell.to(tl.float64)
    left = tl.full((BLOCK,), float("inf"), tl.float64)
    right = tl.full((BLOCK,), float("-inf"), tl.float64)
    for start in tl.static_range(3):
        end = (start + 1) % 3
        u0 = tl.load(corners + strided(u_axis * 3 + start, triangles, triangle))
        u1 = tl.load(corners + strided(u_axis * 3 + end, triangles, triangle))
        w0 = tl.load(corners + strided(w_axis * 3 + start, triangles, triangle))
        w1 = tl.load(corners + strided(w_axis * 3 + end, triangles, triangle))
        span = w1 - w0
        # An edge along the row counts by its ends, the second one as the start of the next edge.
        is_flat = span == 0
        slope = tl.where(is_flat, 0.0, (u1 - u0) / tl.where(is_flat, 1.0, span))
        enter = tl.maximum(tl.minimum(w0, w1), w - tolerance)
        leave = tl.minimum(tl.maximum(w0, w1), w + 1 + tolerance)
        crossed = enter <= leave
        at_enter, at_leave = u0 + slope * (enter - w0), u0 + slope * (leave - w0)
        left = tl.where(crossed, tl.minimum(tl.minimum(left, at_enter), at_leave), left)
        right = tl.where(crossed, tl.maximum(tl.maximum(right, at_enter), at_leave), right)
    low, high = (
        tl.load(lowest + strided(u_axis, triangles, triangle)),
        tl.load(highest + strided(u_axis, triangles, triangle)),
    )
    # Clamped before they become integers: a row that no edge reaches has infinite ends.
    left = tl.maximum(tl.floor(left - tolerance), low.to(tl.float64))
    right = tl.minimum(tl.floor(right + tolerance), high.to(tl.float64))
    width = tl.where(right >= left, right - left + 1, 0.0)
    tl.store(row_triangle + row, triangle, mask=listed)
    tl.store(row_cell + row, cell.to(tl.int32), mask=listed)
    tl.store(first_column + row, tl.where(width > 0, left, 0.0).to(tl.int32), mask=listed)
    tl.store(columns + row, width.to(tl.int64), mask=listed)


@triton.jit(
    do_not_specialize=["total", "count", "triangles", "steps", "u_axis", "w_axis", "axis", "blocks_y", "blocks_z"]
)
def _test_columns(
    planes,
    lowest,
    highest,
    tests,
    normals,
    size,
    slot,
    rows,
    column_ends,
    row_triangle,
    row_cell,
    first_column,
    columns,
    found,
    owner,
    total,
    count,
    triangles,
    steps,
    u_axis,
    w_axis,
    axis,
    blocks_y,
    blocks_z,
    BLOCK: tl.constexpr,
):
    column = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = column < total
    row = owner_of(column_ends, count, column, steps)
    triangle = tl.load(row_triangle + row)
    u = (tl.load(first_column + row) + (column - (tl.load(column_ends + row) - tl.load(columns + row)))).to(tl.int32)
    w = tl.load(row_cell + row)
    slope_u, slope_w = tl.load(planes + triangle), tl.load(planes + strided(1, triangles, triangle))
    reach, height = tl.load(planes + strided(2, triangles, triangle)), tl.load(planes + strided(3, triangles, triangle))
    middle = (height + slope_w * w.to(tl.float64)) + slope_u * u.to(tl.float64)
    low = tl.maximum(tl.floor(middle - reach), tl.load(lowest + strided(axis, triangles, triangle)).to(tl.float64))
    high = tl.minimum(tl.floor(middle + reach), tl.load(highest + strided(axis, triangles, triangle)).to(tl.float64))
    hx, hy, hz = tl.load(size), tl.load(size + 1), tl.load(size + 2)
    nx, ny, nz = (
        tl.load(normals + triangle),
        tl.load(normals + strided(1, triangles, triangle)),
        tl.load(normals + strided(2, triangles, triangle)),
    )
    near, far = tl.load(tests + strided(27, triangles, triangle)), tl.load(tests + strided(28, triangles, triangle))
    for layer in range(_LAYERS):
        k = low + layer
        within = listed & (k <= high)
        k = tl.where(within, k, 0.0).to(tl.int32)
        x = tl.where(axis == 0, k, tl.where(u_axis == 0, u, w))
        y = tl.where(axis == 1, k, tl.where(u_axis == 1, u, w))
        z = tl.where(axis == 2, k, tl.where(u_axis == 2, u, w))
        voxel = row_of(slot, rows, x, y, z, blocks_y, blocks_z, within)
        px, py, pz = x.to(tl.float32) * hx, y.to(tl.float32) * hy, z.to(tl.float32) * hz
        distance = (nx * px + ny * py) + nz * pz
        hit = (distance + near) * (distance + far) <= 0
        for test in tl.static_range(9):
            m1 = tl.load(tests + strided(3 * test, triangles, triangle))
            m2 = tl.load(tests + strided(3 * test + 1, triangles, triangle))
            offset = tl.load(tests + strided(3 * test + 2, triangles, triangle))
            p1 = px if test // 3 == 0 else (py if test // 3 == 1 else pz)
            p2 = py if test // 3 == 0 else (pz if test // 3 == 1 else px)
            hit &= (m1 * p1 + m2 * p2) + offset >= 0
        tl.store(found + column * _LAYERS + layer, tl.where(hit, voxel, -1), mask=listed)
    tl.store(owner + column, triangle, mask=listed)


@dataclass(frozen=True)
class Faces:
    """Triangles whose normals are largest along the same axis, F of them, in voxel units.

    ``cells`` float64 [3 axes, 3 corners, F]; ``lowest`` and ``highest`` int64 [3, F]: the ranges of cells; ``planes``
    float64 [4, F] of ``overlap._layers``. In mesh units: ``tests`` float32 [29, F] of ``overlap._separating_axes`` and
    ``normals`` float32 [3, F].
    """

    cells: Tensor
    lowest: Tensor
    highest: Tensor
    planes: Tensor
    tests: Tensor
    normals: Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of cells that triangles cross, R of them: ``triangle`` int64, ``cell`` int32, the row's number;
    ``first_column`` int32 and ``columns`` int64."""

    triangle: Tensor
    cell: Tensor
    first_column: Tensor
    columns: Tensor


def span_rows(faces: Faces, axis: int, row_ends: Tensor, total: int, tolerance: float) -> Rows:
    """The rows, ``total`` of them; ``row_ends`` int64 [F]: running sums of their numbers."""
    triangles = len(row_ends)
    triangle, columns = (row_ends.new_empty(total) for _ in range(2))
    cell, first_column = (row_ends.new_empty(total, dtype=torch.int32) for _ in range(2))
    if total:
        _row_spans[(triton.cdiv(total, _BLOCK),)](
            faces.cells,
            faces.lowest,
            faces.highest,
            row_ends,
            triangle,
            cell,
            first_column,
            columns,
            total,
            triangles,
            triangles.bit_length(),
            (axis + 1) % 3,
            (axis + 2) % 3,
            tolerance=tolerance,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return Rows(triangle, cell, first_column, columns)


def probe_columns(
    slot: Tensor,
    rows: Tensor,
    shape: tuple[int, int, int],
    size: Tensor,
    faces: Faces,
    lines: Rows,
    axis: int,
    column_ends: Tensor,
    total: int,
) -> tuple[Tensor, Tensor]:
    """Rows of the voxels hit in each column, int32 [C, 4], -1 where there is none, and the triangles int64 [C].

    ``total`` columns; ``column_ends`` int64 [R]: running sums of ``lines.columns``.
    """
    found = column_ends.new_empty((total, _LAYERS.value), dtype=torch.int32)
    owner = column_ends.new_empty(total)
    if total:
        _test_columns[(triton.cdiv(total, _BLOCK),)](
            faces.planes,
            faces.lowest,
            faces.highest,
            faces.tests,
            faces.normals,
            size,
            slot,
            rows,
            column_ends,
            lines.triangle,
            lines.cell,
            lines.first_column,
            lines.columns,
            found,
            owner,
            total,
            len(column_ends),
            faces.planes.shape[1],
            len(column_ends).bit_length(),
            (axis + 1) % 3,
            (axis + 2) % 3,
            axis,
            -(-shape[1] // 8),
            -(-shape[2] // 8),
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return found, owner


def overlapping(
    slot: Tensor, rows: Tensor, shape: tuple[int, int, int], size: Tensor, faces: Faces, axis: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """(voxel row, triangle) pairs, int64 [P] each, of triangles whose normals are largest along ``axis``.

    By triangle, row, column and layer. ``slot`` and ``rows`` int32: the two levels of the ``VoxelTable`` over
    ``shape``; ``size`` float32 [3]; ``tolerance``: by how much of a cell the enumeration reaches further for rounding.
    """
    w_axis = (axis + 2) % 3
    row_ends = (faces.highest[w_axis] - faces.lowest[w_axis] + 1).clamp_min(0).cumsum(0)
    lines = span_rows(faces, axis, row_ends, last(row_ends), tolerance)
    column_ends = lines.columns.cumsum(0)
    found, owner = probe_columns(slot, rows, shape, size, faces, lines, axis, column_ends, last(column_ends))
    place = (found.view(-1) >= 0).nonzero().squeeze(1)
    return found.view(-1).index_select(0, place).long(), owner.index_select(0, place // _LAYERS.value)
