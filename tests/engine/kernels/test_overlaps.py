# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles overlap the same active voxels as in plain torch, in the same order."""

from unittest import mock

import pytest
import torch
from espalier.engine.ovoxel import overlap
from espalier.engine.ovoxel.dual_grid import _unit_normals
from espalier.engine.ovoxel.grid import Grid, VoxelTable

# Along y the grid ends where a block of the table ends: there the next number is that of another block.
RESOLUTION = (9, 8, 7)


def scene():
    """A grid, half of its voxels, and triangles of every direction: large, small, without area, leaving the box."""
    grid = Grid.of(RESOLUTION)
    generator = torch.Generator().manual_seed(4)
    large = torch.rand((9, 3, 3), generator=generator) * 1.3 - 0.15
    small = torch.rand((60, 1, 3), generator=generator) + torch.rand((60, 3, 3), generator=generator) * 0.2 - 0.1
    flat = small[:2, :1].expand(2, 3, 3)
    # Past the corners of the cells that lie before it, by less than the margin of the search.
    corner = torch.tensor([[[8, 1, 3.0005], [1, 7, 4.0005], [4, 2, 6.0005]]]) / torch.tensor(RESOLUTION)
    every = torch.cartesian_prod(*[torch.arange(n) for n in RESOLUTION])
    return grid, torch.cat([large, small, flat, corner]), every[torch.randperm(len(every), generator=generator)[:250]]


def pairs(device, on_gpu):
    grid, triangles, coords = scene()
    normals = _unit_normals(triangles).float()
    table = VoxelTable(coords.to(device), grid.shape)
    with mock.patch.object(overlap, "on_gpu", lambda _: on_gpu):
        found = overlap.overlapping_voxels(
            triangles.to(device), normals.to(device), table, grid.to(torch.device(device))
        )
        rows, owners = zip(*found)
    return torch.cat(rows).cpu(), torch.cat(owners).cpu()


def agrees(kernels, device):
    from espalier.engine.kernels import overlaps_triton

    expected = pairs("cpu", False)
    assert len(expected[0]) > 200
    with mock.patch.multiple(overlaps_triton, overlapping=kernels.overlapping, Faces=kernels.Faces):
        found = pairs(device, True)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def tables_agree(tables, device):
    """``agrees`` with another version of what the kernels share."""
    from espalier.engine.kernels import overlaps_triton

    with mock.patch.object(overlaps_triton, "row_of", tables.row_of):
        agrees(overlaps_triton, device)


def launches(kernels):
    def empty(*shape, dtype=torch.float64):
        return torch.empty(shape, dtype=dtype, device="meta")

    ranges = [empty(3, 77, dtype=torch.int64) for _ in range(2)]
    numbers = empty(29, 77, dtype=torch.float32), empty(3, 77, dtype=torch.float32)
    faces = kernels.Faces(empty(3, 3, 77), *ranges, empty(4, 77), *numbers)
    table = [empty(1000, dtype=torch.int32) for _ in range(2)]
    size = empty(3, dtype=torch.float32)
    lines = kernels.span_rows(faces, 0, empty(77, dtype=torch.int64), 999, 1e-3)
    kernels.probe_columns(*table, (1024, 1024, 1024), size, faces, lines, 0, lines.columns, 12345)


CHANGES = {
    "one edge left out of a row": ("for start in tl.static_range(3)", "for start in tl.static_range(2)"),
    "left end not clamped": (
        "left = tl.maximum(tl.floor(left - tolerance), low.to(tl.float64))",
        "left = low.to(tl.float64) + 1",
    ),
    "last column left out": ("right - left + 1, 0.0", "right - left, 0.0"),
    "slope along the row left out": (" + slope_u * u.to(tl.float64)", ""),
    "slope across the rows left out": (" + slope_w * w.to(tl.float64)", ""),
    "one layer left out": ("_LAYERS = tl.constexpr(4)", "_LAYERS = tl.constexpr(2)"),
    "layers above the plane kept": ("within = listed & (k <= high)", "within = listed & (k < high)"),
    "plane not tested": ("(distance + near) * (distance + far) <= 0", "near <= near"),
    "one edge test left out": ("for test in tl.static_range(9)", "for test in tl.static_range(8)"),
    "one projection turned": ("p1 = px if test // 3 == 0", "p1 = pz if test // 3 == 0"),
}
SHARED = {
    "block along x left out": ("(x >> 3) * blocks_y + ", ""),
    "cell along x left out": ("((x & 7) << 6) | ", ""),
    "inside not asked": ("tl.load(rows + place, mask=inside, other=-1)", "tl.load(rows + place)"),
}


def test_finds_the_overlaps_that_torch_finds(place):
    place.check("overlaps_triton", agrees)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("overlaps_triton", agrees, change)


@pytest.mark.parametrize("change", SHARED.values(), ids=SHARED)
def test_a_part_left_out_of_what_kernels_share_is_noticed(interpreter, change):
    interpreter.check_notices("voxel_table_triton", tables_agree, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("overlaps_triton", launches)
