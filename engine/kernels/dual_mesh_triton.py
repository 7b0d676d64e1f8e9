# SPDX-License-Identifier: GPL-3.0-or-later
"""Dual grid to triangles: ``ovoxel.surface.dual_grid_quads`` and the choice of the diagonal in two passes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .voxel_table_triton import row_of

_BLOCK = 128


@triton.jit
def _corner(coords, slot, rows, voxel, axis, step_u, step_w, nx, ny, nz, blocks_y, blocks_z, asked):
    """Row of the voxel one step further along the two axes after ``axis``, -1 where it does not exist."""
    u, w = (axis + 1) % 3, (axis + 2) % 3
    x = (
        tl.load(coords + voxel * 3, mask=asked, other=0)
        + step_u * (u == 0).to(tl.int32)
        + step_w * (w == 0).to(tl.int32)
    )
    y = (
        tl.load(coords + voxel * 3 + 1, mask=asked, other=0)
        + step_u * (u == 1).to(tl.int32)
        + step_w * (w == 1).to(tl.int32)
    )
    z = (
        tl.load(coords + voxel * 3 + 2, mask=asked, other=0)
        + step_u * (u == 2).to(tl.int32)
        + step_w * (w == 2).to(tl.int32)
    )
    inside = asked & (x < nx) & (y < ny) & (z < nz)
    return row_of(slot, rows, x, y, z, blocks_y, blocks_z, inside)


@triton.jit(do_not_specialize=["edges", "nx", "ny", "nz", "blocks_y", "blocks_z"])
def _find_complete(
    coords, intersected, complete, slot, rows, edges, nx, ny, nz, blocks_y, blocks_z, BLOCK: tl.constexpr
):
    edge = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = edge < edges
    crossed = tl.load(intersected + edge, mask=listed, other=0) != 0
    voxel, axis = edge // 3, edge % 3
    whole = crossed
    for corner in tl.static_range(1, 4):
        step_u, step_w = corner >> 1, 1 - corner // 3
        row = _corner(coords, slot, rows, voxel, axis, step_u, step_w, nx, ny, nz, blocks_y, blocks_z, crossed)
        whole &= row >= 0
    tl.store(complete + edge, whole.to(tl.int8), mask=listed)


@triton.jit
def _side(vertices, row, first_x, first_y, first_z, kept):
    """The vector to a vertex, and its length."""
    x = tl.load(vertices + row * 3, mask=kept, other=0.0) - first_x
    y = tl.load(vertices + row * 3 + 1, mask=kept, other=0.0) - first_y
    z = tl.load(vertices + row * 3 + 2, mask=kept, other=0.0) - first_z
    return x, y, z, tl.sqrt_rn(x * x + y * y + z * z)


@triton.jit(do_not_specialize=["quads", "nx", "ny", "nz", "blocks_y", "blocks_z"])
def _split(
    coords,
    edges,
    vertices,
    weights,
    faces,
    slot,
    rows,
    quads,
    nx,
    ny,
    nz,
    blocks_y,
    blocks_z,
    flat,
    WEIGHTED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    quad = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    kept = quad < quads
    edge = tl.load(edges + quad, mask=kept, other=0)
    q0, axis = edge // 3, edge % 3
    q1 = _corner(coords, slot, rows, q0, axis, 0, 1, nx, ny, nz, blocks_y, blocks_z, kept).to(tl.int64)
    q2 = _corner(coords, slot, rows, q0, axis, 1, 1, nx, ny, nz, blocks_y, blocks_z, kept).to(tl.int64)
    q3 = _corner(coords, slot, rows, q0, axis, 1, 0, nx, ny, nz, blocks_y, blocks_z, kept).to(tl.int64)
    if WEIGHTED:
        along_02 = tl.load(weights + q0, mask=kept, other=0.0) * tl.load(weights + q2, mask=kept, other=0.0)
        along_13 = tl.load(weights + q1, mask=kept, other=0.0) * tl.load(weights + q3, mask=kept, other=0.0)
        first_diagonal = along_02 > along_13
    else:
        x = tl.load(vertices + q0 * 3, mask=kept, other=0.0)
        y = tl.load(vertices + q0 * 3 + 1, mask=kept, other=0.0)
        z = tl.load(vertices + q0 * 3 + 2, mask=kept, other=0.0)
        ax, ay, az, a = _side(vertices, q1, x, y, z, kept)
        bx, by, bz, b = _side(vertices, q2, x, y, z, kept)
        cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        first_diagonal = tl.sqrt_rn(cx * cx + cy * cy + cz * cz) > flat * a * b
    out = faces + quad * 6
    tl.store(out, q0, mask=kept)
    tl.store(out + 1, q1, mask=kept)
    tl.store(out + 2, tl.where(first_diagonal, q2, q3), mask=kept)
    tl.store(out + 3, tl.where(first_diagonal, q0, q3), mask=kept)
    tl.store(out + 4, tl.where(first_diagonal, q2, q1), mask=kept)
    tl.store(out + 5, tl.where(first_diagonal, q3, q2), mask=kept)


@dataclass(frozen=True)
class Voxels:
    """Active voxels: ``coords`` int32 [N, 3], and the two levels int32 of their ``VoxelTable`` over ``shape``."""

    coords: Tensor
    slot: Tensor
    rows: Tensor
    shape: tuple[int, int, int]

    def sizes(self) -> tuple[int, ...]:
        """Voxels along each axis, and blocks of the table along y and z."""
        return *self.shape, -(-self.shape[1] // 8), -(-self.shape[2] // 8)


def find_complete(voxels: Voxels, intersected: Tensor) -> Tensor:
    """Which grid edges are crossed and have four voxels around them, int8 [3N]; ``intersected`` bool [N, 3]."""
    edges = 3 * len(voxels.coords)
    complete = torch.empty(edges, dtype=torch.int8, device=intersected.device)
    if edges:
        _find_complete[(triton.cdiv(edges, _BLOCK),)](
            voxels.coords,
            intersected.contiguous().view(torch.uint8),
            complete,
            voxels.slot,
            voxels.rows,
            edges,
            *voxels.sizes(),
            BLOCK=_BLOCK,
        )
    return complete


def split(voxels: Voxels, edge: Tensor, vertices: Tensor, weights: Tensor | None, flat: float) -> Tensor:
    """Faces int64 [2Q, 3] of the quads around the edges ``edge`` int64 [Q] (voxel * 3 + axis); see ``triangulate``."""
    faces = edge.new_empty((2 * len(edge), 3))
    if len(edge):
        _split[(triton.cdiv(len(edge), _BLOCK),)](
            voxels.coords,
            edge,
            vertices,
            vertices if weights is None else weights,
            faces,
            voxels.slot,
            voxels.rows,
            len(edge),
            *voxels.sizes(),
            flat,
            WEIGHTED=weights is not None,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return faces


def triangulate(voxels: Voxels, intersected: Tensor, vertices: Tensor, weights: Tensor | None, flat: float) -> Tensor:
    """Faces int64 [M, 3] of a dual grid, two for each crossed edge whose four voxels exist.

    ``intersected`` bool [N, 3]; ``vertices`` float32 [N, 3]; ``weights`` floating [N] of the split, or None: then along
    0-2 unless the sine of the first triangle's angle is at most ``flat``.
    """
    edge = find_complete(voxels, intersected).nonzero().squeeze(1)
    return split(voxels, edge, vertices.contiguous(), None if weights is None else weights.contiguous(), flat)
