# SPDX-License-Identifier: GPL-3.0-or-later
"""Where triangles cross the edges of the voxel grid: one scan conversion for each axis."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .grid import Grid, chunks_by_count, expand

_ROWS_AT_ONCE = 1 << 20
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Crossings:
    """Crossings of triangles with grid edges along one axis, H rows.

    ``cell`` int64 [H, 3]: the voxel that owns the edge, the smallest of the four around it. ``triangle`` int64 [H].
    ``point`` float64 [H, 3]: the crossing, mesh units from the box minimum.
    """

    axis: int
    cell: Tensor
    triangle: Tensor
    point: Tensor


def grid_crossings(triangles: Tensor, grid: Grid) -> list[Crossings]:
    """Cross triangles (float32 [F, 3, 3], mesh units from the box minimum) with all inner grid edges, axis by axis.

    Half-open rule: a lattice line at L is covered by a span [lo, hi] when lo < L <= hi, decided on truncated cell
    numbers, so that two triangles with a common edge never both claim or both miss a line. Double precision on
    float32 positions and float32 lattice planes, as the reference.
    """
    return [_cross_axis(triangles, grid, axis) for axis in range(3)]


def _lattice(index: Tensor, size: Tensor) -> Tensor:
    """Position of lattice plane ``index``: rounded to float32 as the reference does, then widened."""
    return (index.to(torch.float32) * size).double()


def _cell(position: Tensor, size: Tensor, count: int) -> Tensor:
    """Cell number of a position: truncated toward zero, then clamped to the grid."""
    return (position / size.double()).long().clamp_(0, count - 1)


def _lerp(at: Tensor, x0: Tensor, x1: Tensor, *values: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Values at ``at`` on the segment from x0 to x1; the first value where both ends coincide."""
    span = x1 - x0
    t = (at - x0) / torch.where(span == 0, 1.0, span)
    t = torch.where(span == 0, 0.0, t)
    return [(1 - t) * a + t * b for a, b in values]


def _cross_axis(triangles: Tensor, grid: Grid, axis: int) -> Crossings:
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    size = grid.voxel_size.to(triangles.device)
    hu, hw, ha = size[u_axis], size[w_axis], size[axis]
    nu, nw, na = grid.shape[u_axis], grid.shape[w_axis], grid.shape[axis]

    u = triangles[:, :, u_axis].double()
    w = triangles[:, :, w_axis].double()
    row = _cell(w, hw, nw)
    columns = u / hu.double()
    # Most triangles of a fine mesh lie between two lattice lines; the margin keeps those that rounding moves onto one.
    crosses_u = (columns.amax(1) + _ROUNDING).floor() > (columns.amin(1) - _ROUNDING).floor()
    kept = ((row.amax(1) > row.amin(1)) & crosses_u).nonzero().squeeze(1)

    order = torch.argsort(w[kept], dim=1)
    u = u[kept].gather(1, order)
    w = w[kept].gather(1, order)
    a = triangles[kept, :, axis].double().gather(1, order)
    row = row[kept].gather(1, order)

    parts = [
        _cross_rows(u[s], w[s], a[s], row[s], (hu, hw, ha), (nu, nw, na), kept[s])
        for s in chunks_by_count(row[:, 2] - row[:, 0], _ROWS_AT_ONCE)
    ]
    if not parts:
        none = kept.new_empty(0)
        parts = [(none, none, none, none, *(triangles.new_empty(0, dtype=torch.float64),) * 3)]
    i, j, k, owner, pu, pw, pa = (torch.cat(columns) for columns in zip(*parts))
    cell = torch.empty((len(i), 3), dtype=torch.int64, device=i.device)
    point = torch.empty((len(i), 3), dtype=torch.float64, device=i.device)
    for column, index, position in ((u_axis, i, pu), (w_axis, j, pw), (axis, k, pa)):
        cell[:, column] = index
        point[:, column] = position
    return Crossings(axis, cell, owner, point)


def _cross_rows(
    u: Tensor,
    w: Tensor,
    a: Tensor,
    row: Tensor,
    size: tuple[Tensor, Tensor, Tensor],
    count: tuple[int, int, int],
    triangle: Tensor,
) -> tuple[Tensor, ...]:
    """Scan triangles whose vertices are sorted by w: lattice rows, then lattice columns, then the layer."""
    hu, hw, ha = size
    nu, _, na = count
    owner, j = expand(row[:, 2] - row[:, 0])
    j = j + row[owner, 0]
    w_line = _lattice(j + 1, hw)
    u, w, a = u[owner], w[owner], a[owner]
    upper = j >= row[owner, 1]
    start, end = torch.where(upper, 2, 0).unsqueeze(1), torch.where(upper, 0, 2).unsqueeze(1)
    u0, w0, a0 = (v.gather(1, start).squeeze(1) for v in (u, w, a))
    u2, w2, a2 = (v.gather(1, end).squeeze(1) for v in (u, w, a))
    pu, pa = _lerp(w_line, w0, w[:, 1], (u0, u[:, 1]), (a0, a[:, 1]))
    qu, qa = _lerp(w_line, w0, w2, (u0, u2), (a0, a2))
    swap = pu > qu
    pu, qu = torch.where(swap, qu, pu), torch.where(swap, pu, qu)
    pa, qa = torch.where(swap, qa, pa), torch.where(swap, pa, qa)

    first = _cell(pu, hu, nu)
    span, i = expand(_cell(qu, hu, nu) - first)
    i = i + first[span]
    u_line = _lattice(i + 1, hu)
    (a_hit,) = _lerp(u_line, pu[span], qu[span], (pa[span], qa[span]))
    k = (a_hit / ha.double()).long()
    inside = ((k >= 0) & (k < na)).nonzero().squeeze(1)
    span = span[inside]
    return i[inside], j[span], k[inside], triangle[owner[span]], u_line[inside], w_line[span], a_hit[inside]
