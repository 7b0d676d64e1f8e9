# SPDX-License-Identifier: GPL-3.0-or-later
"""Crossings of triangles with grid edges along one axis: ``ovoxel.crossings._cross_axis``, rounding for rounding.

Three passes, each with one lane for each thing it finds: rows of a triangle, columns of a row, then the crossings.
Nothing is multiplied and added in one rounding, so that every decision falls as in the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .segments_triton import last, owner_of, strided

_BLOCK = 128


@triton.jit
def _cell(position, size, count):
    """Cell number of a position: truncated toward zero, then clamped to the grid."""
    return tl.minimum(tl.maximum((position / size).to(tl.int64), 0), count - 1)


@triton.jit
def _lattice(index, size):
    """Position of a lattice plane: rounded to float32 as the reference does, then widened."""
    return (index.to(tl.float32) * size).to(tl.float64)


@triton.jit
def _lerp(t, first, last):
    return (1 - t) * first + t * last


@triton.jit(do_not_specialize=["total", "w_axis", "rows_w"])
def _count_rows(triangles, size, counts, total, w_axis, rows_w, BLOCK: tl.constexpr):
    triangle = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = triangle < total
    height = tl.load(size + w_axis).to(tl.float64)
    corner = triangles + triangle * 9 + w_axis
    r0 = _cell(tl.load(corner, mask=listed, other=0.0).to(tl.float64), height, rows_w)
    r1 = _cell(tl.load(corner + 3, mask=listed, other=0.0).to(tl.float64), height, rows_w)
    r2 = _cell(tl.load(corner + 6, mask=listed, other=0.0).to(tl.float64), height, rows_w)
    lowest, highest = tl.minimum(tl.minimum(r0, r1), r2), tl.maximum(tl.maximum(r0, r1), r2)
    tl.store(counts + triangle, highest - lowest, mask=listed)


@triton.jit
def _in_order(w, w_after, u, u_after, a, a_after):
    """Two corners sorted by w."""
    swap = w_after < w
    return (
        tl.where(swap, w_after, w),
        tl.where(swap, w, w_after),
        tl.where(swap, u_after, u),
        tl.where(swap, u, u_after),
        tl.where(swap, a_after, a),
        tl.where(swap, a, a_after),
    )


@triton.jit(do_not_specialize=["total", "count", "steps", "u_axis", "w_axis", "axis", "cells_u", "rows_w"])
def _cross_rows(
    triangles,
    size,
    row_ends,
    row_triangle,
    row_cell,
    first_column,
    columns,
    ends,
    total,
    count,
    steps,
    u_axis,
    w_axis,
    axis,
    cells_u,
    rows_w,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = row < total
    triangle = owner_of(row_ends, count, row, steps)
    corner = triangles + triangle * 9
    u0, w0, a0 = tl.load(corner + u_axis), tl.load(corner + w_axis), tl.load(corner + axis)
    u1, w1, a1 = tl.load(corner + 3 + u_axis), tl.load(corner + 3 + w_axis), tl.load(corner + 3 + axis)
    u2, w2, a2 = tl.load(corner + 6 + u_axis), tl.load(corner + 6 + w_axis), tl.load(corner + 6 + axis)
    w0, w1, u0, u1, a0, a1 = _in_order(w0, w1, u0, u1, a0, a1)
    w1, w2, u1, u2, a1, a2 = _in_order(w1, w2, u1, u2, a1, a2)
    w0, w1, u0, u1, a0, a1 = _in_order(w0, w1, u0, u1, a0, a1)
    w0, w1, w2 = w0.to(tl.float64), w1.to(tl.float64), w2.to(tl.float64)
    u0, u1, u2 = u0.to(tl.float64), u1.to(tl.float64), u2.to(tl.float64)
    a0, a1, a2 = a0.to(tl.float64), a1.to(tl.float64), a2.to(tl.float64)
    hu, hw = tl.load(size + u_axis), tl.load(size + w_axis)
    du, dw = hu.to(tl.float64), hw.to(tl.float64)

    # Counted from the last row, which is where the triangle's running sum ends.
    j = _cell(w2, dw, rows_w) - (tl.load(row_ends + triangle) - row)
    w_line = _lattice(j + 1, hw)
    # The lower half runs along 0-1 and 0-2, the upper half along 2-1 and 2-0.
    upper = j >= _cell(w1, dw, rows_w)
    w_start, w_end = tl.where(upper, w2, w0), tl.where(upper, w0, w2)
    u_start, u_end = tl.where(upper, u2, u0), tl.where(upper, u0, u2)
    a_start, a_end = tl.where(upper, a2, a0), tl.where(upper, a0, a2)
    rise = w_line - w_start
    t_p, t_q = rise / (w1 - w_start), rise / (w_end - w_start)
    pu, pa = _lerp(t_p, u_start, u1), _lerp(t_p, a_start, a1)
    qu, qa = _lerp(t_q, u_start, u_end), _lerp(t_q, a_start, a_end)
    swap = pu > qu
    low_u, high_u = tl.where(swap, qu, pu), tl.where(swap, pu, qu)
    low_a, high_a = tl.where(swap, qa, pa), tl.where(swap, pa, qa)
    first = _cell(low_u, du, cells_u)

    tl.store(row_triangle + row, triangle, mask=listed)
    tl.store(row_cell + row, j.to(tl.int32), mask=listed)
    tl.store(first_column + row, first.to(tl.int32), mask=listed)
    tl.store(columns + row, _cell(high_u, du, cells_u) - first, mask=listed)
    tl.store(ends + row * 4, low_u, mask=listed)
    tl.store(ends + row * 4 + 1, high_u, mask=listed)
    tl.store(ends + row * 4 + 2, low_a, mask=listed)
    tl.store(ends + row * 4 + 3, high_a, mask=listed)


@triton.jit(do_not_specialize=["total", "count", "steps", "u_axis", "w_axis", "axis", "layers"])
def _cross_columns(
    size,
    column_ends,
    row_triangle,
    row_cell,
    first_column,
    columns,
    ends,
    cell,
    owner,
    point,
    within,
    total,
    count,
    steps,
    u_axis,
    w_axis,
    axis,
    layers,
    BLOCK: tl.constexpr,
):
    hit = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = hit < total
    row = owner_of(column_ends, count, hit, steps)
    offset = hit - (tl.load(column_ends + row) - tl.load(columns + row))
    i = tl.load(first_column + row) + offset
    j = tl.load(row_cell + row).to(tl.int64)
    u_line, w_line = _lattice(i + 1, tl.load(size + u_axis)), _lattice(j + 1, tl.load(size + w_axis))
    low_u, high_u = tl.load(ends + row * 4), tl.load(ends + row * 4 + 1)
    low_a, high_a = tl.load(ends + row * 4 + 2), tl.load(ends + row * 4 + 3)
    height = _lerp((u_line - low_u) / (high_u - low_u), low_a, high_a)
    k = (height / tl.load(size + axis).to(tl.float64)).to(tl.int64)

    tl.store(cell + strided(u_axis, total, hit), i, mask=listed)
    tl.store(cell + strided(w_axis, total, hit), j, mask=listed)
    tl.store(cell + strided(axis, total, hit), k, mask=listed)
    tl.store(owner + hit, tl.load(row_triangle + row), mask=listed)
    tl.store(point + strided(u_axis, total, hit), u_line, mask=listed)
    tl.store(point + strided(w_axis, total, hit), w_line, mask=listed)
    tl.store(point + strided(axis, total, hit), height, mask=listed)
    tl.store(within + hit, ((k >= 0) & (k < layers)).to(tl.int8), mask=listed)


@dataclass(frozen=True)
class Rows:
    """Rows of the lattice that triangles cross, R of them.

    ``triangle`` int64; ``cell`` int32: the row's number; ``first_column`` int32 and ``columns`` int64: which columns
    the triangle crosses there; ``ends`` float64 [R, 4]: both ends of the cut, first along u, then along the axis.
    """

    triangle: Tensor
    cell: Tensor
    first_column: Tensor
    columns: Tensor
    ends: Tensor


def count_rows(triangles: Tensor, size: Tensor, shape: tuple[int, int, int], axis: int) -> Tensor:
    """How many rows each triangle crosses, int64 [F]."""
    counts = torch.empty(len(triangles), dtype=torch.int64, device=triangles.device)
    if len(counts):
        w_axis = (axis + 2) % 3
        _count_rows[(triton.cdiv(len(counts), _BLOCK),)](
            triangles, size, counts, len(counts), w_axis, shape[w_axis], BLOCK=_BLOCK, enable_fp_fusion=False
        )
    return counts


def cross_rows(
    triangles: Tensor, size: Tensor, shape: tuple[int, int, int], axis: int, row_ends: Tensor, total: int
) -> Rows:
    """The rows, ``total`` of them; ``row_ends`` int64 [F]: running sums of ``count_rows``."""
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    triangle, columns = (triangles.new_empty(total, dtype=torch.int64) for _ in range(2))
    cell, first_column = (triangles.new_empty(total, dtype=torch.int32) for _ in range(2))
    ends = triangles.new_empty((total, 4), dtype=torch.float64)
    if total:
        _cross_rows[(triton.cdiv(total, _BLOCK),)](
            triangles,
            size,
            row_ends,
            triangle,
            cell,
            first_column,
            columns,
            ends,
            total,
            len(triangles),
            len(triangles).bit_length(),
            u_axis,
            w_axis,
            axis,
            shape[u_axis],
            shape[w_axis],
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return Rows(triangle, cell, first_column, columns, ends)


def cross_columns(
    rows: Rows, size: Tensor, shape: tuple[int, int, int], axis: int, column_ends: Tensor, total: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cells, triangles and points as ``cross_axis``, and int8 [H] whether the cell lies in the grid.

    ``total`` of them; ``column_ends`` int64 [R]: running sums of ``rows.columns``.
    """
    cell = column_ends.new_empty((3, total))
    owner = column_ends.new_empty(total)
    point = column_ends.new_empty((3, total), dtype=torch.float64)
    within = column_ends.new_empty(total, dtype=torch.int8)
    if total:
        _cross_columns[(triton.cdiv(total, _BLOCK),)](
            size,
            column_ends,
            rows.triangle,
            rows.cell,
            rows.first_column,
            rows.columns,
            rows.ends,
            cell,
            owner,
            point,
            within,
            total,
            len(column_ends),
            len(column_ends).bit_length(),
            (axis + 1) % 3,
            (axis + 2) % 3,
            axis,
            shape[axis],
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return cell, owner, point, within


def cross_axis(
    triangles: Tensor, size: Tensor, shape: tuple[int, int, int], axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cells int64 [3, H], triangles int64 [H] and points float64 [3, H] of the crossings with edges along ``axis``.

    ``triangles`` float32 [F, 3, 3], mesh units from the box minimum; ``size`` float32 [3], the voxel, on the same
    device. By triangle, then by lattice row, then by column.
    """
    triangles = triangles.contiguous()
    row_ends = count_rows(triangles, size, shape, axis).cumsum(0)
    rows = cross_rows(triangles, size, shape, axis, row_ends, last(row_ends))
    column_ends = rows.columns.cumsum(0)
    *found, within = cross_columns(rows, size, shape, axis, column_ends, last(column_ends))
    kept = within.nonzero().squeeze(1)
    if len(kept) < len(within):
        found = [values.index_select(-1, kept) for values in found]
    return tuple(found)
