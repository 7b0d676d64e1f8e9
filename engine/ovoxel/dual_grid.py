# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh to flexible dual grid (O-Voxel geometry): active voxels, crossed edges and one dual vertex each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import EspalierError
from .compilation import kernels, on_gpu
from .crossings import Crossings, grid_crossings
from .grid import UNIT_BOX, Grid, VoxelTable, lengths, take
from .overlap import edge_voxels, open_edges, overlapping_voxels
from .quadric import Quadrics

_TRIANGLES_AT_ONCE = 1 << 18
_EDGES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class DualGrid:
    """The O-Voxel geometry of a surface: N active voxels in lexicographic order of (x, y, z).

    ``coords`` int32 [N, 3]. ``vertices`` float32 [N, 3]: dual vertices in mesh units, relative to the box minimum.
    ``local`` float32 [N, 3]: the same in voxel units within the voxel, [0, 1]; what the networks and
    ``dual_grid_to_mesh`` want. ``intersected`` bool [N, 3]: the surface crosses the grid edge along that axis that ends
    at the voxel's largest corner.
    """

    coords: Tensor
    vertices: Tensor
    local: Tensor
    intersected: Tensor


def mesh_to_dual_grid(
    vertices: Tensor,
    faces: Tensor,
    resolution: int | Sequence[int] | None = None,
    *,
    voxel_size: float | Sequence[float] | None = None,
    aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
    face_weight: float = 1.0,
    boundary_weight: float = 0.2,
    regularization_weight: float = 1e-2,
    clip: bool = False,
) -> DualGrid:
    """Convert a triangle mesh (vertices [V, 3] in the box ``aabb``, faces [F, 3]) to a flexible dual grid.

    The voxel size is 1/resolution of the box, or ``voxel_size`` in mesh units (one of both). A voxel is active when one
    of its 12 edges is crossed; geometry between the edges leaves no trace. Each dual vertex minimises, within its
    voxel, squared distances to the planes of the crossing triangles, of all overlapping triangles (``face_weight`` > 0
    switches them on; its size does not matter, as in the reference), to open edges (``boundary_weight``) and to the
    mean crossing (``regularization_weight``). Vertices are joined by index only, never by position. Takes tensors or
    arrays; the result is on the device of ``vertices``. It is computed there too where the GPU kernels serve, else on
    the CPU; sums run in the same fixed order either way. spec/ovoxel.md section 1.

    Raises EspalierError("bad_input") for an empty mesh, non-finite positions, indices out of range, and geometry
    outside the box unless ``clip`` is set; what lies outside is then left out.
    """
    asked = torch.as_tensor(vertices).device
    device = asked if on_gpu(asked) else torch.device("cpu")
    grid = Grid.of(resolution, voxel_size, aabb).to(device)
    triangles, faces = triangles_in_box(vertices, faces, grid, clip)
    if regularization_weight < 0 or boundary_weight < 0:
        raise EspalierError("bad_input", "The weights of the dual vertex energy must not be negative.")
    crossings = grid_crossings(triangles, grid)
    table, coords, around = VoxelTable.around_edges([crossing.cell for crossing in crossings], grid)
    size = grid.voxel_size.double()

    intersected = torch.zeros((len(coords), 3), dtype=torch.bool, device=device)
    for crossing, rows in zip(crossings, around):
        intersected[rows[0], crossing.axis] = True
    compiled = kernels(device, len(coords), len(triangles))
    quadrics = Quadrics(coords, grid.voxel_size, regularization_weight, interleaved=compiled is not None)
    for start in range(0, len(triangles), _TRIANGLES_AT_ONCE):
        some = triangles[start : start + _TRIANGLES_AT_ONCE]
        normals = _unit_normals(some)
        planes = quadrics.planes(normals, some[:, 0] / size)
        normals = normals.float()
        if on_gpu(device):
            parts = []
            for crossing, rows in zip(crossings, around):
                here = _crossings_of(crossing, start, len(some))
                points = crossing.point[:, here] / size.unsqueeze(1)
                parts.append((rows[:, here], crossing.triangle[here] - start, points))
            overlaps = overlapping_voxels(some, normals, table, grid) if face_weight > 0 else ()
            _add_on_gpu(quadrics, planes, parts, overlaps)
            continue
        for crossing, rows in zip(crossings, around):
            here = _crossings_of(crossing, start, len(some))
            if compiled:
                compiled.add_crossings(
                    *quadrics.arrays(),
                    coords.numpy(),
                    rows.numpy(),
                    planes.T.contiguous().numpy(),
                    crossing.triangle.numpy(),
                    crossing.point.numpy(),
                    here.start,
                    here.stop,
                    start,
                    size.numpy(),
                    quadrics.squares.numpy(),
                )
                continue
            points = crossing.point[:, here] / size.unsqueeze(1)
            for row in rows[:, here]:
                quadrics.add_planes(row, planes, crossing.triangle[here] - start, points)
        if face_weight > 0 and compiled:
            compiled.add_overlaps(
                quadrics.arrays()[0],
                some.numpy(),
                normals.numpy(),
                planes.T.contiguous().numpy(),
                np.array(grid.shape),
                grid.voxel_size.numpy(),
                *table.arrays(),
            )
        elif face_weight > 0:
            for row, triangle in overlapping_voxels(some, normals, table, grid):
                quadrics.add_planes(row, planes, triangle)
    del crossings, around
    if boundary_weight > 0:
        _add_open_edges(quadrics, triangles, faces, table, grid, boundary_weight)

    local = quadrics.minimise().T
    absolute = (local + coords) * size
    return DualGrid(*(part.to(asked) for part in (coords.int(), absolute.float(), local.float(), intersected)))


def _crossings_of(crossing: Crossings, start: int, count: int) -> slice:
    """Which crossings belong to the triangles from ``start`` on."""
    limits = crossing.triangle.new_tensor([start, start + count])
    return slice(*torch.searchsorted(crossing.triangle, limits).tolist())


def triangles_in_box(vertices: Tensor, faces: Tensor, grid: Grid, clip: bool) -> tuple[Tensor, Tensor]:
    """Check a mesh; its corners float32 [F, 3, 3] relative to the box minimum, and faces int64 [F, 3], as ``grid``.

    Raises EspalierError("bad_input") as ``mesh_to_dual_grid`` says.
    """
    device = grid.box_min.device
    vertices, faces = torch.as_tensor(vertices).to(device), torch.as_tensor(faces).to(device)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise EspalierError(
            "bad_input", "The mesh must have vertices with three coordinates and faces with three corners."
        )
    if len(vertices) == 0 or len(faces) == 0:
        raise EspalierError("bad_input", "The mesh has no faces. Choose an object with a surface.")
    faces = faces.long()
    if int(faces.min()) < 0 or int(faces.max()) >= len(vertices):
        raise EspalierError(
            "bad_input", "The mesh has faces that point to missing vertices. Validate the mesh and try again."
        )
    vertices = vertices.to(torch.float32)
    if not torch.isfinite(vertices).all():
        raise EspalierError(
            "bad_input", "The mesh has vertices at infinite or undefined positions. Remove them and try again."
        )
    shifted = vertices - grid.box_min
    extent = grid.voxel_size * torch.tensor(grid.shape, device=device)
    margin = 1e-6 * float(extent.max())
    if not clip and bool(((shifted < -margin) | (shifted > extent + margin)).any()):
        raise EspalierError("bad_input", "The mesh reaches outside the voxel box. Normalise it first.")
    return shifted[faces], faces


def _add_on_gpu(
    quadrics: Quadrics,
    planes: Tensor,
    crossings: Sequence[tuple[Tensor, Tensor, Tensor]],
    overlaps: Iterable[tuple[Tensor, Tensor]],
) -> None:
    """Add the planes at crossings (voxel rows [4, H], planes [H], points [3, H]) and of overlaps (voxel row, plane).

    In the order in which the functions on the CPU add them: axis by axis, corner by corner, then the overlaps.
    """
    rows, source, first = [], [], 0
    for around, plane, _ in crossings:
        rows.append(around.reshape(-1))
        source.append(torch.arange(first, first + len(plane), device=plane.device).repeat(4))
        first += len(plane)
    for row, plane in overlaps:
        rows.append(row)
        source.append(-1 - plane)
    crossed = torch.cat([plane for _, plane, _ in crossings])
    points = torch.cat([point for _, _, point in crossings], 1)
    quadrics.add_planes_on_gpu(torch.cat(rows), planes, torch.cat(source), crossed, points)


def _unit_normals(triangles: Tensor) -> Tensor:
    """Unit normals float64 [F, 3] of triangles, zero where a triangle has no area."""
    corners = triangles.double()
    ax, ay, az = (corners[:, 1] - corners[:, 0]).unbind(1)
    bx, by, bz = (corners[:, 2] - corners[:, 1]).unbind(1)
    # Not torch's cross product: a card multiplies and adds in one rounding there.
    normal = torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)
    length = lengths(normal).unsqueeze(1)
    return normal / torch.where(length == 0, 1.0, length)


def _add_open_edges(
    quadrics: Quadrics, triangles: Tensor, faces: Tensor, table: VoxelTable, grid: Grid, weight: float
) -> None:
    edges = open_edges(faces)
    if not len(edges):
        return
    position = triangles.new_zeros((int(faces.max()) + 1, 3))
    position[faces.flatten()] = triangles.view(-1, 3)
    for some in edges.split(_EDGES_AT_ONCE):
        start, end = (take(position, some[:, side]).double() for side in (0, 1))
        row, edge = edge_voxels(start, end, table, grid)
        directions = take((end - start) / lengths(end - start).clamp_min(1e-12).unsqueeze(1), edge)
        points = take(start / grid.voxel_size.double(), edge)
        quadrics.add_lines(row, directions, points, weight)
