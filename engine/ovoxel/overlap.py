# SPDX-License-Identifier: GPL-3.0-or-later
"""Which active voxels a triangle overlaps, and which ones an open edge passes through."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .compilation import on_gpu
from .grid import Grid, VoxelTable, chunks_by_count, expand, lengths, take

_CELLS_AT_ONCE = 1 << 20
MARGIN = 1e-3
# First and second axis of each projection, and the axis it looks along.
_PROJECTIONS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
_SHORTEST_EDGE = 1e-6


def overlapping_voxels(
    triangles: Tensor, normals: Tensor, table: VoxelTable, grid: Grid
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (voxel row, triangle) pairs, int64, for every active voxel whose cube a triangle overlaps.

    ``triangles`` float32 [F, 3, 3] from the box minimum, ``normals`` float32 [F, 3]. Candidates are enumerated along
    the triangle (rows, columns, then the layers its plane passes through), so the work follows its area and not its
    bounding box; the decision is the separating-axis test of Schwarz and Seidel in float32, as the reference.
    """
    size = grid.voxel_size
    corners = triangles.permute(2, 1, 0).contiguous()
    normals = normals.T.contiguous()
    cells = corners / size.view(3, 1, 1)
    last = torch.tensor(grid.shape, device=triangles.device).unsqueeze(1) - 1
    lowest = cells.amin(1).long().clamp_min_(0)
    highest = torch.minimum((cells.amax(1) + 1).long() - 1, last)
    tests = _separating_axes(corners, normals, size)
    slopes = normals * size.unsqueeze(1)
    x, y, z = slopes.abs()
    dominant = torch.where((x >= y) & (x >= z), 0, torch.where(y >= z, 1, 2))
    cells, slopes = cells.double(), slopes.double()
    for axis in range(3):
        chosen = (dominant == axis).nonzero().squeeze(1)
        parts = [values.index_select(-1, chosen) for values in (cells, slopes, lowest, highest)]
        if on_gpu(triangles.device):
            from ..kernels.overlaps_triton import Faces, overlapping

            cells_of, slopes_of, low, high = parts
            planes = torch.stack(_layers(cells_of, slopes_of, axis))
            faces = Faces(cells_of, low, high, planes, tests[:, chosen], normals[:, chosen])
            row, triangle = overlapping(*table.levels(), table.shape, size, faces, axis, MARGIN)
            yield row, take(chosen, triangle)
            continue
        for x, y, z, triangle in _candidates(*parts, axis):
            row = table.rows_inside(x, y, z)
            active = (row >= 0).nonzero().squeeze(1)
            triangle = take(chosen, take(triangle, active))
            position = [take(c, active).float() * h for c, h in zip((x, y, z), size)]
            hit = _overlaps(tests, normals, triangle, position).nonzero().squeeze(1)
            yield take(take(row, active), hit), take(triangle, hit)


def _separating_axes(corners: Tensor, normals: Tensor, size: Tensor) -> Tensor:
    """Coefficients float32 [29, F]: nine edge tests m1 p1 + m2 p2 + k >= 0, then the two plane distances."""
    rows = []
    edges = corners.roll(-1, 1) - corners
    for first, second, across in _PROJECTIONS:
        sign = torch.where(normals[across] < 0, -1.0, 1.0)
        for corner in range(3):
            m1, m2 = -edges[second, corner] * sign, edges[first, corner] * sign
            offset = -(m1 * corners[first, corner] + m2 * corners[second, corner])
            rows += [m1, m2, offset + (m1.clamp_min(0) * size[first] + m2.clamp_min(0) * size[second])]
    size = size.unsqueeze(1)
    critical = torch.where(normals > 0, size, 0.0)
    for corner in (critical, size - critical):
        x, y, z = normals * (corner - corners[:, 0])
        rows.append(x + y + z)
    return torch.stack(rows)


def _overlaps(tests: Tensor, normals: Tensor, triangle: Tensor, position: list[Tensor]) -> Tensor:
    """Separating-axis test bool [P] of triangles against voxels whose smallest corners are ``position``."""
    distance = sum(take(n, triangle) * p for n, p in zip(normals, position))
    overlap = (distance + take(tests[27], triangle)) * (distance + take(tests[28], triangle)) <= 0
    test = iter(tests[:27])
    for first, second, _ in _PROJECTIONS:
        for _ in range(3):
            m1, m2, offset = (take(next(test), triangle) for _ in range(3))
            overlap &= m1.mul_(position[first]).add_(m2.mul_(position[second])).add_(offset) >= 0
    return overlap


def _candidates(
    corners: Tensor, normals: Tensor, lowest: Tensor, highest: Tensor, axis: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Cells (x, y, z, triangle) near triangles whose normal is largest along ``axis``.

    In voxel units: ``corners`` [3 axes, 3 vertices, F], ``normals`` [3, F], cell ranges ``lowest``/``highest`` [3, F].
    """
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    row_triangle, w = expand((highest[w_axis] - lowest[w_axis] + 1).clamp_min(0))
    w = (w + take(lowest[w_axis], row_triangle)).double()
    first, last = _row_span(corners[u_axis], corners[w_axis], row_triangle, w)
    first = torch.maximum(first, take(lowest[u_axis], row_triangle))
    width = (torch.minimum(last, take(highest[u_axis], row_triangle)) - first + 1).clamp_min(0)

    slope_u, slope_w, reach, height = _layers(corners, normals, axis)
    row_height = take(height, row_triangle) + take(slope_w, row_triangle) * w
    for rows in chunks_by_count(width, _CELLS_AT_ONCE):
        owner, u = expand(width[rows])
        owner += rows.start
        u = u + take(first, owner)
        triangle = take(row_triangle, owner)
        middle = take(row_height, owner) + take(slope_u, triangle) * u
        margin = take(reach, triangle)
        low = torch.maximum((middle - margin).floor().long(), take(lowest[axis], triangle))
        high = torch.minimum((middle + margin).floor().long(), take(highest[axis], triangle))
        column, layer = expand((high - low + 1).clamp_min(0))
        cells = [layer] * 3
        cells[u_axis], cells[w_axis] = take(u, column), take(w, take(owner, column)).long()
        cells[axis] = layer + take(low, column)
        yield cells[0], cells[1], cells[2], take(triangle, column)


def _layers(corners: Tensor, normals: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Layers along ``axis`` that each triangle's plane passes through, float64 [F] each, in voxel units.

    Slopes along u and w, half the layers that a cell spans and a margin, and the height at the centre of cell (0, 0).
    """
    u_axis, w_axis = (axis + 1) % 3, (axis + 2) % 3
    along = torch.where(normals[axis] == 0, 1.0, normals[axis])
    slope_u, slope_w = -normals[u_axis] / along, -normals[w_axis] / along
    reach = (slope_u.abs() + slope_w.abs()) / 2 + MARGIN
    height = corners[axis, 0] - slope_u * (corners[u_axis, 0] - 0.5) - slope_w * (corners[w_axis, 0] - 0.5)
    return slope_u, slope_w, reach, height


def _row_span(u: Tensor, w: Tensor, triangle: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """First and last cell along u of each triangle within the slab w in [row, row + 1], a little wider for rounding.

    ``u``, ``w`` float64 [3 vertices, F]; ``triangle`` int64, ``row`` float64 [P].
    """
    lowest = torch.full_like(row, torch.inf)
    highest = -lowest
    for start in range(3):
        end = (start + 1) % 3
        span = w[end] - w[start]
        # An edge along the row counts by its ends, the second one as the start of the next edge.
        flat = span == 0
        slope = torch.where(flat, 0.0, (u[end] - u[start]) / torch.where(flat, 1.0, span))
        low, high = torch.minimum(w[start], w[end]), torch.maximum(w[start], w[end])
        w0, u0, slope, low, high = (take(v, triangle) for v in (w[start], u[start], slope, low, high))
        enter, leave = torch.maximum(low, row - MARGIN), torch.minimum(high, row + 1 + MARGIN)
        crossed = enter <= leave
        ends = (u0 + slope * (at - w0) for at in (enter, leave))
        for at in ends:
            lowest = torch.where(crossed, torch.minimum(lowest, at), lowest)
            highest = torch.where(crossed, torch.maximum(highest, at), highest)
    return (lowest - MARGIN).floor().long(), (highest + MARGIN).floor().long()


def open_edges(faces: Tensor) -> Tensor:
    """Vertex pairs int64 [E, 2], smaller index first, of edges that exactly one face uses.

    Edges are told apart by vertex index, not by position: a mesh with doubled vertices has an open edge along every
    seam, as in the reference. Weld first where that is not meant.
    """
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = int(faces.max()) + 1
    key = torch.minimum(*edges.unbind(1)) * count + torch.maximum(*edges.unbind(1))
    if key.device.type == "cpu":
        # numpy sorts integers several times faster than torch, and in place.
        key.numpy().sort()
    else:
        key = key.sort().values
    different = key[1:] != key[:-1]
    end = torch.ones(1, dtype=torch.bool, device=key.device)
    single = key[torch.cat([end, different]) & torch.cat([different, end])]
    return torch.stack([single // count, single % count], 1)


def edge_voxels(start: Tensor, end: Tensor, table: VoxelTable, grid: Grid) -> tuple[Tensor, Tensor]:
    """(voxel row, edge) pairs, int64, of the active voxels that each segment passes through.

    ``start``/``end`` float64 [E, 3] from the box minimum. Amanatides-Woo traversal, all segments in step.
    """
    size = grid.voxel_size.double()
    direction = end - start
    length = lengths(direction)
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
