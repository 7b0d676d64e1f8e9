# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles cross the same grid edges, at the same points, as in plain torch."""

from unittest import mock

import pytest
import torch
from espalier.engine.ovoxel.crossings import _cross_axis
from espalier.engine.ovoxel.grid import Grid
from espalier.tests.engine.ovoxel.shapes import box

RESOLUTION = (9, 13, 7)


def triangles(grid):
    """Large triangles that leave the box, small ones between two lattice lines, and a box on lattice planes."""
    generator = torch.Generator().manual_seed(3)
    large = (torch.rand((8, 3, 3), generator=generator) - 0.5) * 1.5
    small = torch.rand((150, 1, 3), generator=generator) - 0.5 + torch.rand((150, 3, 3), generator=generator) * 0.05
    vertices, faces = box(*(grid.box_min + grid.voxel_size * torch.tensor(at) for at in ([2, 3, 1], [6, 8, 5])))
    return torch.cat([large, small, vertices[faces]]) - grid.box_min


def crossings_of(soup, grid):
    components = soup.permute(2, 1, 0).double().contiguous()
    return [_cross_axis(components, grid, axis, 0) for axis in range(3)]


def agrees(kernels, device):
    grid = Grid.of(RESOLUTION)
    soup = triangles(grid)
    for expected in crossings_of(soup, grid):
        found = kernels.cross_axis(soup.to(device), grid.voxel_size.to(device), grid.shape, expected.axis)
        assert len(expected.triangle) > 20
        for ours, theirs in zip(found, (expected.cell, expected.triangle, expected.point), strict=True):
            assert torch.equal(ours.cpu(), theirs)


def owners_agree(segments, device):
    """``agrees`` with another version of what the kernels share."""
    from espalier.engine.kernels import scan_conversion_triton

    with mock.patch.multiple(scan_conversion_triton, owner_of=segments.owner_of, strided=segments.strided):
        agrees(scan_conversion_triton, device)


def serves_nothing(kernels, device):
    grid = Grid.of(RESOLUTION).to(torch.device(device))
    inside_one_cell = torch.full((2, 3, 3), 0.01, device=device)
    for soup in (inside_one_cell, inside_one_cell[:0]):
        cell, triangle, point = kernels.cross_axis(soup, grid.voxel_size, grid.shape, 0)
        assert cell.shape == point.shape == (3, 0) and len(triangle) == 0


def launches(kernels):
    soup, size = torch.empty((77, 3, 3), device="meta"), torch.empty(3, device="meta")
    row_ends = kernels.count_rows(soup, size, (1024, 1024, 1024), 0)
    rows = kernels.cross_rows(soup, size, (1024, 1024, 1024), 0, row_ends, 999)
    kernels.cross_columns(rows, size, (1024, 1024, 1024), 0, rows.columns, 12345)


CHANGES = {
    "rows of one corner left out": ("tl.minimum(tl.minimum(r0, r1), r2)", "tl.minimum(r0, r1)"),
    "rows not clamped to the grid": ("tl.maximum((position / size).to(tl.int64), 0)", "(position / size).to(tl.int64)"),
    "lattice planes not rounded": (
        "(index.to(tl.float32) * size).to(tl.float64)",
        "index.to(tl.float64) * size.to(tl.float64)",
    ),
    "corners not sorted": ("swap = w_after < w", "swap = (w_after < w) & (w_after > w)"),
    "upper half left out": ("upper = j >= _cell(w1, dw, rows_w)", "upper = j < 0"),
    "cuts not in order": ("tl.where(swap, qa, pa), tl.where(swap, pa, qa)", "pa, qa"),
    "lower column included": (
        "i = tl.load(first_column + row) + offset",
        "i = tl.load(first_column + row) + offset - 1",
    ),
    "blend without one end": ("return (1 - t) * first + t * last", "return (1 - t) * first"),
    "layers outside the grid kept": ("(k >= 0) & (k < layers)", "k >= 0"),
    "layers below the grid kept": ("(k >= 0) & (k < layers)", "k < layers"),
}
SHARED = {
    "one step of the search too few": ("for _ in range(steps)", "for _ in range(steps - 1)"),
    "segments that end here taken": ("(end <= index)", "(end < index)"),
    "stride left out": ("(index * 0 + stride) * number + index", "index"),
}


def test_finds_the_crossings_that_torch_finds(place):
    place.check("scan_conversion_triton", agrees)


def test_serves_triangles_that_cross_nothing(place):
    place.check("scan_conversion_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("scan_conversion_triton", agrees, change)


@pytest.mark.parametrize("change", SHARED.values(), ids=SHARED)
def test_a_part_left_out_of_what_kernels_share_is_noticed(interpreter, change):
    interpreter.check_notices("segments_triton", owners_agree, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("scan_conversion_triton", launches)
