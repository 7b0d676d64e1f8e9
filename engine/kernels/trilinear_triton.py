# SPDX-License-Identifier: GPL-3.0-or-later
"""Renormalised trilinear sampling of sparse voxels: ``ovoxel.sampling._trilinear`` in one pass."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .voxel_table_triton import row_of

_BLOCK = 128
_CHANNELS = 8


@triton.jit(do_not_specialize=["queries", "channels", "nx", "ny", "nz", "blocks_y", "blocks_z"])
def _trilinear(
    at,
    values,
    out,
    slot,
    rows,
    queries,
    channels,
    nx,
    ny,
    nz,
    blocks_y,
    blocks_z,
    smallest,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    query = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    asked = query < queries
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    wanted = channel < channels
    x = tl.load(at + query * 3, mask=asked, other=0.0) - 0.5
    y = tl.load(at + query * 3 + 1, mask=asked, other=0.0) - 0.5
    z = tl.load(at + query * 3 + 2, mask=asked, other=0.0) - 0.5
    base_x, base_y, base_z = tl.floor(x), tl.floor(y), tl.floor(z)
    far_x, far_y, far_z = x - base_x, y - base_y, z - base_z
    total = tl.zeros((BLOCK,), tl.float32)
    mixed = tl.zeros((BLOCK, CHANNELS), tl.float32)
    for corner in tl.static_range(8):
        cx = base_x + (corner & 1)
        cy = base_y + (corner >> 1 & 1)
        cz = base_z + (corner >> 2)
        # Compared as floats: what is not a number, or too large for an integer, is outside.
        inside = asked & (cx >= 0) & (cx < nx) & (cy >= 0) & (cy < ny) & (cz >= 0) & (cz < nz)
        ix = tl.where(inside, cx, 0.0).to(tl.int32)
        iy = tl.where(inside, cy, 0.0).to(tl.int32)
        iz = tl.where(inside, cz, 0.0).to(tl.int32)
        row = row_of(slot, rows, ix, iy, iz, blocks_y, blocks_z, inside)
        exists = row >= 0
        wx = far_x if corner & 1 else 1 - far_x
        wy = far_y if corner >> 1 & 1 else 1 - far_y
        wz = far_z if corner >> 2 else 1 - far_z
        weight = tl.where(exists, wx * wy * wz, 0.0)
        place = row.to(tl.int64)[:, None] * channels + channel[None, :]
        value = tl.load(values + place, mask=exists[:, None] & wanted[None, :], other=0.0)
        total += weight
        mixed += weight[:, None] * value
    mixed /= tl.maximum(total, smallest)[:, None]
    tl.store(out + query[:, None] * channels + channel[None, :], mixed, mask=asked[:, None] & wanted[None, :])


def trilinear(
    slot: Tensor, rows: Tensor, shape: tuple[int, int, int], values: Tensor, at: Tensor, smallest: float
) -> Tensor:
    """Values float32 [Q, C] of sparse voxels at ``at`` float32 [Q, 3], voxel units from the box minimum.

    ``slot`` and ``rows`` int32: the two levels of the voxels' ``VoxelTable`` over ``shape``; ``values`` float32 [N, C].
    The sum of the weights counts as at least ``smallest``.
    """
    queries, channels = len(at), values.shape[1]
    out = at.new_empty((queries, channels))
    if queries == 0 or channels == 0:
        return out
    blocks = [-(-n // 8) for n in shape]
    _trilinear[(triton.cdiv(queries, _BLOCK), triton.cdiv(channels, _CHANNELS))](
        at.contiguous(),
        values.contiguous(),
        out,
        slot,
        rows,
        queries,
        channels,
        *shape,
        *blocks[1:],
        smallest,
        BLOCK=_BLOCK,
        CHANNELS=_CHANNELS,
    )
    return out
