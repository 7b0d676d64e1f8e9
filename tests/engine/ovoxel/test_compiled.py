# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled loops give the same bits as the torch functions that define them."""

import sys

import pytest
import torch
from espalier.engine.ovoxel import compilation, dual_grid_to_mesh, mesh_to_dual_grid
from espalier.tests.engine.ovoxel.shapes import box, joined, square_sheet, uv_sphere


def soup(scale):
    corners = (torch.rand((60, 3, 3), generator=torch.Generator().manual_seed(1)) - 0.5) * scale
    return corners.view(-1, 3), torch.arange(180).view(-1, 3)


MESHES = {
    "sphere and sheet": lambda: joined(uv_sphere(0.37, 40, 50), square_sheet()),
    "large triangles": lambda: soup(0.98),
    "triangles that leave the box": lambda: soup(1.6),
    "box on lattice planes": lambda: box((-0.25,) * 3, (0.25,) * 3),
    "nothing crossed": lambda: box((0.001,) * 3, (0.002,) * 3),
}


def convert(vertices, faces, resolution):
    grid = mesh_to_dual_grid(vertices, faces, resolution, clip=True)
    split = torch.rand(len(grid.coords), generator=torch.Generator().manual_seed(2))
    # A quarter of the voxels is missing, so that quads are dropped.
    kept = split > 0.25
    parts = grid.coords[kept], grid.local[kept], grid.intersected[kept]
    meshes = dual_grid_to_mesh(*parts, None, resolution), dual_grid_to_mesh(*parts, split[kept], resolution)
    return grid.coords, grid.vertices, grid.local, grid.intersected, *meshes[0], *meshes[1]


def use_compiled(monkeypatch, wanted):
    limit = -1 if wanted else 1 << 62
    monkeypatch.setattr(compilation, "WORTHWHILE_VOXELS", limit)
    monkeypatch.setattr(compilation, "WORTHWHILE_FACES", limit)


@pytest.mark.parametrize("resolution", [(32, 32, 32), (37, 48, 21)])
@pytest.mark.parametrize("name", MESHES)
def test_compiled_loops_equal_torch_bit_for_bit(name, resolution, monkeypatch):
    pytest.importorskip("numba")
    mesh = MESHES[name]()
    use_compiled(monkeypatch, False)
    expected = convert(*mesh, resolution)
    use_compiled(monkeypatch, True)
    for ours, theirs in zip(convert(*mesh, resolution), expected):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


def test_more_triangles_than_are_taken_at_once_change_nothing(monkeypatch):
    pytest.importorskip("numba")
    mesh = uv_sphere(0.4, 300, 450)
    use_compiled(monkeypatch, False)
    expected = convert(*mesh, 40)
    use_compiled(monkeypatch, True)
    assert all(map(torch.equal, convert(*mesh, 40), expected))


def test_torch_converts_where_numba_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("kernels.compiled_loops", "ovoxel.compiled"):
        monkeypatch.delitem(sys.modules, f"espalier.engine.{module}", raising=False)
    monkeypatch.delattr(sys.modules["espalier.engine.ovoxel"], "compiled", raising=False)
    use_compiled(monkeypatch, True)
    compilation.loops.cache_clear()
    try:
        assert compilation.kernels(torch.device("cpu"), 1) is None
        assert len(convert(*uv_sphere(), 24)[0]) > 0
    finally:
        compilation.loops.cache_clear()
