# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible dual grid to mesh: one quad around each crossed grid edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import EspalierError
from .compilation import kernels, on_gpu
from .grid import UNIT_BOX, Grid, VoxelTable, take
from .sampling import check_inside

# The four voxels around the edge that a voxel owns, for each axis, in the order of the quad (spec/ovoxel.md section 2).
_QUAD = (
    ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)),
    ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
    ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0)),
)

# Sine of the angle below which a triangle has no area in float32: there the released code leaves its usual diagonal.
_FLAT = 1e-6


def dual_grid_quads(coords: Tensor, intersected: Tensor, shape: Sequence[int]) -> Tensor:
    """Quads int64 [Q, 4] (rows of ``coords``) around the flagged edges, by voxel row, then axis x, y, z.

    ``coords`` int [N, 3] unique within ``shape``, ``intersected`` bool [N, 3]. A quad with a missing voxel is dropped.
    The representation has no orientation: every quad faces the negative direction of its axis.
    """
    table = VoxelTable(coords, shape)
    compiled = kernels(coords.device, len(coords))
    if compiled:
        offsets = np.array(_QUAD)
        voxels = coords.contiguous().numpy(), intersected.contiguous().numpy()
        return torch.from_numpy(compiled.quads(*voxels, offsets, np.array(shape), *table.arrays()))
    voxel, axis = intersected.nonzero().unbind(1)
    offsets = torch.tensor(_QUAD, device=coords.device)
    corners = coords.long()[voxel].unsqueeze(1) + offsets[axis]
    rows = table.rows(*corners.unbind(2))
    return rows[(rows >= 0).all(1)]


def dual_grid_to_mesh(
    coords: Tensor,
    local_vertices: Tensor,
    intersected: Tensor,
    split_weight: Tensor | None = None,
    resolution: int | Sequence[int] | None = None,
    *,
    voxel_size: float | Sequence[float] | None = None,
    aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
) -> tuple[Tensor, Tensor]:
    """Triangulate a flexible dual grid.

    Returns vertices float32 [N, 3] in mesh units, one a voxel in row order, and faces int64 [M, 3].
    ``coords`` int [N, 3]; ``local_vertices`` float [N, 3] in voxel units relative to the voxel's smallest corner;
    ``intersected`` bool [N, 3]; ``split_weight`` float [N] or [N, 1]. Quads split along the diagonal 0-2 where the
    product of the split weights at its ends is larger, else along 1-3; without weights along 0-2 unless its first
    triangle has no area (what the released code does). Winding follows the grid axes, not the surface.
    spec/ovoxel.md section 2.

    Raises EspalierError("bad_input") when sizes do not match, voxels leave the grid, or numbers are not finite.
    """
    grid = Grid.of(resolution, voxel_size, aabb)
    _check(coords, local_vertices, intersected, split_weight, grid)
    grid, intersected = grid.to(coords.device), intersected.bool()
    vertices = (coords + local_vertices.float()) * grid.voxel_size + grid.box_min
    weight = None if split_weight is None else split_weight.reshape(-1)
    if on_gpu(coords.device):
        from ..kernels.dual_mesh_triton import Voxels, triangulate

        voxels = Voxels(coords.int().contiguous(), *VoxelTable(coords, grid.shape).levels(), grid.shape)
        return vertices, triangulate(voxels, intersected, vertices, weight, _FLAT)
    quads = dual_grid_quads(coords, intersected, grid.shape)
    q0, q1, q2, q3 = quads.unbind(1)
    if weight is not None:
        along_02 = take(weight, q0) * take(weight, q2) > take(weight, q1) * take(weight, q3)
    else:
        first = take(vertices, q0)
        side_01, side_02 = take(vertices, q1) - first, take(vertices, q2) - first
        twice_area = torch.linalg.cross(side_01, side_02).norm(dim=1)
        along_02 = twice_area > _FLAT * side_01.norm(dim=1) * side_02.norm(dim=1)
    faces = torch.where(
        along_02.unsqueeze(1),
        torch.stack([q0, q1, q2, q0, q2, q3], 1),
        torch.stack([q0, q1, q3, q3, q1, q2], 1),
    )
    return vertices, faces.view(-1, 3)


def _check(coords: Tensor, local: Tensor, intersected: Tensor, split_weight: Tensor | None, grid: Grid) -> None:
    count = len(coords)
    shapes_match = coords.shape == (count, 3) and local.shape == (count, 3) and intersected.shape == (count, 3)
    if not shapes_match or (split_weight is not None and split_weight.numel() != count):
        raise EspalierError(
            "bad_input", "The voxel data does not fit together: its parts describe different numbers of voxels."
        )
    finite = torch.isfinite(local).all() and (split_weight is None or torch.isfinite(split_weight).all())
    if not finite:
        raise EspalierError("bad_input", "The voxel data has undefined numbers, so no surface can be made from it.")
    check_inside(coords, grid.shape)
