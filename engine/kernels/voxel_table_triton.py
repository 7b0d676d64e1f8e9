# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ``ovoxel.grid.VoxelTable`` inside a kernel."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def row_of(slot, rows, x, y, z, blocks_y, blocks_z, inside):
    """Row of voxel (x, y, z), int32; -1 where there is none or ``inside`` is false. ``VoxelTable.rows_inside``."""
    block = ((x >> 3) * blocks_y + (y >> 3)) * blocks_z + (z >> 3)
    place = tl.load(slot + block, mask=inside, other=0).to(tl.int64) * 512
    place += ((x & 7) << 6) | ((y & 7) << 3) | (z & 7)
    return tl.load(rows + place, mask=inside, other=-1)
