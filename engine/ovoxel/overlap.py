# SPDX-License-Identifier: GPL-3.0-or-later
"""Which active voxels a triangle overlaps, and which ones an open edge passes through."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .grid import Grid, VoxelTable, chunks_by_count, expand

_CELLS_AT_ONCE = 1 << 20
_LAYER_MARGIN = 1e-3
_SHORTEST_EDGE = 1e-6


def overlapping_voxels(
    triangles: Tensor, normals: Tensor, table: VoxelTable, grid: Grid
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (voxel row, triangle) pairs, int64, for every active voxel whose cube a triangle overlaps.

    ``triangles`` float32 [F, 3, 3] from the box minimum, ``normals`` float32 [F, 3]. Candidates are enumerated along
    the triangle (rows, columns, then the layers its plane passes through), so the work follows its area and not its
    bounding box; the decision is the separating-axis test of Schwarz and Seidel in float32, as the reference.
    """
    size = grid.voxel_size.to(triangles.device)
    shape = torch.tensor(grid.shape, device=triangles.device)
    lowest = (triangles.amin(1) / size).long()
    highest = torch.minimum((triangles.amax(1) / size + 1).long(), shape) - 1
    tests, offsets = _separating_axes(triangles, normals, size)
    dominant = (normals * size).abs().argmax(1)
    for axis in range(3):
        chosen = (dominant == axis).nonzero().squeeze(1)
        for x, y, z, triangle in _candidates(
            triangles[chosen].double() / size.double(),
            (normals[chosen] * size).double(),
            lowest[chosen].clamp_min(0),
            highest[chosen],
            axis,
        ):
            triangle = chosen[triangle]
            row = table.rows(x, y, z)
            active = (row >= 0).nonzero().squeeze(1)
            row, triangle = row[active], triangle[active]
            corner = torch.stack([x[active], y[active], z[active]], 1).float() * size
            distance = (normals[triangle] * corner).sum(1)
            near, far = offsets[triangle, 9], offsets[triangle, 10]
            hit = ((distance + near) * (distance + far) <= 0).nonzero().squeeze(1)
            row, triangle, corner = row[hit], triangle[hit], corner[hit]
            inside = ((tests[triangle] * corner.unsqueeze(1)).sum(2) + offsets[triangle, :9] >= 0).all(1)
            yield row[inside], triangle[inside]


def _separating_axes(triangles: Tensor, normals: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Edge tests m.p + k >= 0: m [F, 9, 3], and k with the two plane distances [F, 11]."""
    tests = triangles.new_zeros((len(triangles), 9, 3))
    offsets = triangles.new_zeros((len(triangles), 11))
    edges = triangles.roll(-1, 1) - triangles
    for plane, (first, second, across) in enumerate(((0, 1, 2), (1, 2, 0), (2, 0, 1))):
        sign = torch.where(normals[:, across] < 0, -1.0, 1.0).unsqueeze(1)
        m1, m2 = -edges[:, :, second] * sign, edges[:, :, first] * sign
        columns = slice(3 * plane, 3 * plane + 3)
        tests[:, columns, first], tests[:, columns, second] = m1, m2
        offsets[:, columns] = -(m1 * triangles[:, :, first] + m2 * triangles[:, :, second]) + (
            m1.clamp_min(0) * size[first] + m2.clamp_min(0) * size[second]
        )
    critical = torch.where(normals > 0, size, 0.0)
    offsets[:, 9] = (normals * (critical - triangles[:, 0])).sum(1)
    offsets[:, 10] = (normals * (size - critical - triangles[:, 0])).sum(1)
    return tests, offsets


def _candidates(
    corners: Tensor, normals: Tensor, lowest: Tensor, highest: Tensor, axis: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Cells (x, y, z, triangle) near triangles in voxel units whose normal is largest along ``axis``."""
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    row_triangle, w = expand((highest[:, w_axis] - lowest[:, w_axis] + 1).clamp_min(0))
    w = w + lowest[row_triangle, w_axis]
    first, last = _row_span(corners[:, :, u_axis], corners[:, :, w_axis], row_triangle, w)
    first = torch.maximum(first, lowest[row_triangle, u_axis])
    width = (torch.minimum(last, highest[row_triangle, u_axis]) - first + 1).clamp_min(0)

    along = normals[:, axis]
    along = torch.where(along == 0, 1.0, along)
    slope_u, slope_w = -normals[:, u_axis] / along, -normals[:, w_axis] / along
    height = corners[:, 0, axis] - slope_u * corners[:, 0, u_axis] - slope_w * corners[:, 0, w_axis]
    reach = (slope_u.abs() + slope_w.abs()) / 2 + _LAYER_MARGIN
    for rows in chunks_by_count(width, _CELLS_AT_ONCE):
        owner, u = expand(width[rows])
        u = u + first[rows][owner]
        cell_w = w[rows][owner]
        triangle = row_triangle[rows][owner]
        middle = height[triangle] + slope_u[triangle] * (u + 0.5) + slope_w[triangle] * (cell_w + 0.5)
        low = torch.maximum((middle - reach[triangle]).floor().long(), lowest[triangle, axis])
        high = torch.minimum((middle + reach[triangle]).floor().long(), highest[triangle, axis])
        owner, layer = expand((high - low + 1).clamp_min(0))
        cells = [layer] * 3
        cells[u_axis], cells[w_axis], cells[axis] = u[owner], cell_w[owner], layer + low[owner]
        yield cells[0], cells[1], cells[2], triangle[owner]


def _row_span(u: Tensor, w: Tensor, triangle: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """First and last cell along u of each triangle within the slab w in [row, row + 1], one cell wider for rounding."""
    lowest = u.new_full((len(row),), torch.inf)
    highest = -lowest
    for start in range(3):
        end = (start + 1) % 3
        u0, u1, w0, w1 = (v[triangle] for v in (u[:, start], u[:, end], w[:, start], w[:, end]))
        span = w1 - w0
        flat = span == 0
        span = torch.where(flat, 1.0, span)
        enter, leave = (row - w0) / span, (row + 1 - w0) / span
        enter, leave = torch.minimum(enter, leave), torch.maximum(enter, leave)
        enter = torch.where(flat, 0.0, enter).clamp(0, 1)
        leave = torch.where(flat, 1.0, leave).clamp(0, 1)
        for t in (enter, leave):
            at = u0 + t * (u1 - u0)
            lowest, highest = torch.minimum(lowest, at), torch.maximum(highest, at)
    return (lowest - _LAYER_MARGIN).floor().long(), (highest + _LAYER_MARGIN).floor().long()


def open_edges(faces: Tensor) -> Tensor:
    """Vertex pairs int64 [E, 2], smaller index first, of edges that exactly one face uses.

    Edges are told apart by vertex index, not by position: a mesh with doubled vertices has an open edge along every
    seam, as in the reference. Weld first where that is not meant.
    """
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = int(faces.max()) + 1
    key = torch.sort(torch.minimum(*edges.unbind(1)) * count + torch.maximum(*edges.unbind(1))).values
    different = key[1:] != key[:-1]
    end = torch.ones(1, dtype=torch.bool, device=faces.device)
    single = key[torch.cat([end, different]) & torch.cat([different, end])]
    return torch.stack([single // count, single % count], 1)


def edge_voxels(start: Tensor, end: Tensor, table: VoxelTable, grid: Grid) -> tuple[Tensor, Tensor]:
    """(voxel row, edge) pairs, int64, of the active voxels that each segment passes through.

    ``start``/``end`` float64 [E, 3] from the box minimum. Amanatides-Woo traversal, all segments in step.
    """
    size = grid.voxel_size.double().to(start.device)
    direction = end - start
    length = direction.norm(dim=1)
    edge = (length >= _SHORTEST_EDGE).nonzero().squeeze(1)
    start, length = start[edge], length[edge]
    direction = direction[edge] / length.unsqueeze(1)
    cell = (start / size).floor().long()
    step = direction.sign().long()
    still = direction == 0
    safe = torch.where(still, 1.0, direction)
    following = torch.where(still, torch.inf, ((cell + (step > 0)) * size - start) / safe)
    spacing = torch.where(still, torch.inf, size / safe.abs())

    rows, edges = [], []
    while len(edge):
        row = table.rows(*cell.unbind(1))
        active = row >= 0
        rows.append(row[active])
        edges.append(edge[active])
        tx, ty, tz = following.unbind(1)
        axis = torch.where(tx < ty, torch.where(tx < tz, 0, 2), torch.where(ty < tz, 1, 2)).unsqueeze(1)
        going = (following.gather(1, axis).squeeze(1) <= length).nonzero().squeeze(1)
        edge, length, axis, step, spacing = edge[going], length[going], axis[going], step[going], spacing[going]
        cell = cell[going].scatter_add(1, axis, step.gather(1, axis))
        following = following[going].scatter_add(1, axis, spacing.gather(1, axis))
    if not rows:
        return edge, edge
    return torch.cat(rows), torch.cat(edges)
