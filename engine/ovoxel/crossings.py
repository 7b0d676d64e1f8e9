# SPDX-License-Identifier: GPL-3.0-or-later
"""Where triangles cross the edges of the voxel grid: one scan conversion for each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .compilation import kernels, on_gpu
from .grid import Grid, chunks_by_count, expand, take

_TRIANGLES_AT_ONCE = 1 << 18
_ROWS_AT_ONCE = 1 << 20
ROUNDING = 1e-9


@dataclass(frozen=True)
class Crossings:
    """Crossings of triangles with grid edges along one axis, H rows.

    ``cell`` int64 [3, H]: the voxel that owns the edge, the smallest of the four around it. ``triangle`` int64 [H],
    ascending.
    ``point`` float64 [3, H]: the crossing, mesh units from the box minimum.
    """

    axis: int
    cell: Tensor
    triangle: Tensor
    point: Tensor


def grid_crossings(triangles: Tensor, grid: Grid) -> list[Crossings]:
    """Cross triangles (float32 [F, 3, 3], mesh units from the box minimum) with all inner grid edges, axis by axis.

    Half-open rule: a lattice line at L is covered by a span [lo, hi] when lo < L <= hi, decided on truncated cell
    numbers, so that two triangles with a common edge never both claim or both miss a line. Double precision on
    float32 positions and float32 lattice planes, as the reference. ``triangles`` and ``grid`` are on the same device: a
    CPU, or one that ``on_gpu`` allows.
    """
    if on_gpu(triangles.device):
        from ..kernels.scan_conversion_triton import cross_axis

        return [Crossings(axis, *cross_axis(triangles, grid.voxel_size, grid.shape, axis)) for axis in range(3)]
    compiled = kernels(triangles.device, grid.surface_voxels, len(triangles))
    found: list[list[Crossings]] = [[], [], []]
    for start in range(0, len(triangles), _TRIANGLES_AT_ONCE):
        some = triangles[start : start + _TRIANGLES_AT_ONCE]
        if compiled:
            shape, size = np.array(grid.shape), grid.voxel_size.numpy()
            for axis, parts in enumerate(found):
                hits = compiled.cross_axis(some.numpy(), start, shape, size, axis)
                parts.append(Crossings(axis, *map(torch.from_numpy, hits)))
        else:
            components = some.permute(2, 1, 0).double().contiguous()
            for axis, parts in enumerate(found):
                parts.append(_cross_axis(components, grid, axis, start))
    return [
        Crossings(
            axis,
            torch.cat([part.cell for part in parts], 1),
            torch.cat([part.triangle for part in parts]),
            torch.cat([part.point for part in parts], 1),
        )
        for axis, parts in enumerate(found)
    ]


def _lattice(index: Tensor, size: Tensor) -> Tensor:
    """Position of lattice plane ``index``: rounded to float32 as the reference does, then widened."""
    return (index.to(torch.float32) * size).double()


def _cell(position: Tensor, size: Tensor, count: int) -> Tensor:
    """Cell number of a position: truncated toward zero, then clamped to the grid."""
    return (position / size.double()).long().clamp_(0, count - 1)


def _lerp(t: Tensor, first: Tensor, last: Tensor) -> Tensor:
    return (1 - t) * first + t * last


def _cross_axis(components: Tensor, grid: Grid, axis: int, number: int) -> Crossings:
    """``components`` float64 [3 axes, 3 vertices, F] of the triangles ``number``, ``number`` + 1 and so on."""
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    size = grid.voxel_size
    hu, hw, ha = size[u_axis], size[w_axis], size[axis]
    nu, nw, na = grid.shape[u_axis], grid.shape[w_axis], grid.shape[axis]

    u, w = components[u_axis], components[w_axis]
    row = _cell(w, hw, nw)
    columns = u / hu.double()
    # Most triangles of a fine mesh lie between two lattice lines; the margin keeps those that rounding moves onto one.
    crosses_u = (columns.amax(0) + ROUNDING).floor() > (columns.amin(0) - ROUNDING).floor()
    kept = ((row.amax(0) > row.amin(0)) & crosses_u).nonzero().squeeze(1)

    order = torch.argsort(w[:, kept], dim=0)
    u, w, a = (components[c].index_select(1, kept).gather(0, order) for c in (u_axis, w_axis, axis))
    row = row.index_select(1, kept).gather(0, order)

    parts = [
        _cross_rows(u[:, s], w[:, s], a[:, s], row[:, s], (hu, hw, ha), (nu, nw, na), kept[s] + number)
        for s in chunks_by_count(row[2] - row[0], _ROWS_AT_ONCE)
    ]
    if not parts:
        none = kept.new_empty(0)
        parts = [(none, none, none, none, *(components.new_empty(0),) * 3)]
    i, j, k, owner, pu, pw, pa = (torch.cat(columns) for columns in zip(*parts))
    cell = torch.empty((3, len(i)), dtype=torch.int64)
    point = torch.empty((3, len(i)), dtype=torch.float64)
    for component, index, position in ((u_axis, i, pu), (w_axis, j, pw), (axis, k, pa)):
        cell[component] = index
        point[component] = position
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
    """Scan triangles whose vertices [3, F] are sorted by w: lattice rows, then lattice columns, then the layer.

    Rows and columns exist only where both ends lie in different cells, so no span below is zero.
    """
    hu, hw, ha = size
    nu, _, na = count
    owner, j = expand(row[2] - row[0])
    j = j + take(row[0], owner)
    w_line = _lattice(j + 1, hw)
    # The lower half runs along 0-1 and 0-2, the upper half along 2-1 and 2-0.
    upper = (j >= take(row[1], owner)).long()
    total = u.shape[1]
    start, end = owner + 2 * total * upper, owner + 2 * total * (1 - upper)
    u, w, a = u.reshape(-1), w.reshape(-1), a.reshape(-1)
    w_start = take(w, start)
    rise = w_line - w_start
    t_p = rise / (take(w, owner + total) - w_start)
    t_q = rise / (take(w, end) - w_start)
    u_start, a_start = take(u, start), take(a, start)
    pu, pa = _lerp(t_p, u_start, take(u, owner + total)), _lerp(t_p, a_start, take(a, owner + total))
    qu, qa = _lerp(t_q, u_start, take(u, end)), _lerp(t_q, a_start, take(a, end))
    swap = pu > qu
    pa, qa = torch.where(swap, qa, pa), torch.where(swap, pa, qa)
    pu, qu = torch.minimum(pu, qu), torch.maximum(pu, qu)

    first = _cell(pu, hu, nu)
    span, i = expand(_cell(qu, hu, nu) - first)
    i = i + take(first, span)
    u_line = _lattice(i + 1, hu)
    u_start = take(pu, span)
    a_hit = _lerp((u_line - u_start) / (take(qu, span) - u_start), take(pa, span), take(qa, span))
    k = (a_hit / ha.double()).long()
    inside = ((k >= 0) & (k < na)).nonzero().squeeze(1)
    span = take(span, inside)
    return (
        take(i, inside),
        take(j, span),
        take(k, inside),
        take(triangle, take(owner, span)),
        take(u_line, inside),
        take(w_line, span),
        take(a_hit, inside),
    )
