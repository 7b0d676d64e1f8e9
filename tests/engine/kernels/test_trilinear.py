# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampling kernel blends the voxels that plain torch blends."""

import pytest
import torch
import torch.nn.functional as F
from espalier.engine.ovoxel.grid import VoxelTable
from espalier.engine.ovoxel.sampling import _trilinear

# Along y the grid ends where a block of the table ends: there the next number is that of another block.
SHAPE = (12, 8, 17)
SMALLEST = 1e-12


def voxels(count=500, channels=11):
    """Voxels of a third of a grid, in no order, and queries in it, around it and where no number is."""
    generator = torch.Generator().manual_seed(1)
    every = torch.cartesian_prod(*[torch.arange(n) for n in SHAPE])
    coords = every[torch.randperm(len(every), generator=generator)[:count]]
    at = torch.rand((250, 3), generator=generator) * (torch.tensor(SHAPE) + 2.0) - 1
    at[:3] = torch.tensor([[torch.nan, 1, 1], [1e30, 4, 4], [3, -torch.inf, 3]])
    return coords, torch.rand((count, channels), generator=generator), at


def agrees(kernels, device):
    coords, values, at = voxels()
    expected = _trilinear(VoxelTable(coords, SHAPE), F.pad(values, (0, 0, 0, 1)), at)
    table = VoxelTable(coords.to(device), SHAPE)
    sampled = kernels.trilinear(*table.levels(), SHAPE, values.to(device), at.to(device), SMALLEST)
    torch.testing.assert_close(sampled.cpu(), expected, atol=1e-6, rtol=0)


def serves_nothing(kernels, device):
    coords, values, at = (part.to(device) for part in voxels())
    table = VoxelTable(coords, SHAPE)
    assert kernels.trilinear(*table.levels(), SHAPE, values, at[:0], SMALLEST).shape == (0, 11)
    table = VoxelTable(coords[:0], SHAPE)
    assert not kernels.trilinear(*table.levels(), SHAPE, values[:0], at[:9], SMALLEST).any()


def launches(kernels):
    slot, rows = (torch.empty(1000, dtype=torch.int32, device="meta") for _ in range(2))
    values, at = torch.empty((1000, 7), device="meta"), torch.empty((77, 3), device="meta")
    kernels.trilinear(slot, rows, (1024, 1024, 1024), values, at, SMALLEST)


CHANGES = {
    "one corner left out": ("tl.static_range(8)", "tl.static_range(7)"),
    "one corner twice": ("cz = base_z + (corner >> 2)", "cz = base_z + (corner // 5)"),
    "near for far": ("wy = far_y if corner >> 1 & 1 else 1 - far_y", "wy = far_y if corner & 1 else 1 - far_y"),
    "missing voxels keep their weight": ("tl.where(exists, wx * wy * wz, 0.0)", "tl.where(inside, wx * wy * wz, 0.0)"),
    "not renormalised": ("mixed /= tl.maximum(total, smallest)[:, None]", "pass"),
    "half a voxel aside": ("tl.load(at + query * 3 + 1, mask=asked, other=0.0) - 0.5", "tl.load(at + query * 3 + 1)"),
    "low side of the grid not checked": ("(cx >= 0) & ", ""),
    "high side of the grid not checked": (" & (cy < ny)", ""),
    "channels beyond the first eight left out": (
        "channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)",
        "channel = tl.arange(0, CHANNELS)",
    ),
}


def test_blends_what_torch_blends(place):
    place.check("trilinear_triton", agrees)


def test_serves_no_voxels_and_no_queries(place):
    place.check("trilinear_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("trilinear_triton", agrees, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("trilinear_triton", launches)
