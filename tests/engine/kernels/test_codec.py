# SPDX-License-Identifier: GPL-3.0-or-later
"""On a device that the kernels serve, the codec uses them and gives what it gives on a CPU."""

from unittest import mock

import torch
from espalier.engine.kernels import choice
from espalier.engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid, sample_sparse
from espalier.tests.engine.ovoxel.shapes import joined, square_sheet, uv_sphere

RESOLUTION = (11, 9, 13)


def convert(device):
    """A closed and an open surface to O-Voxels, three quarters of these back to triangles, and samples of them."""
    vertices, faces = (part.to(device) for part in joined(uv_sphere(0.37, 7, 9), square_sheet(cells=3)))
    grid = mesh_to_dual_grid(vertices, faces, RESOLUTION)
    generator = torch.Generator().manual_seed(2)
    split = torch.rand(len(grid.coords), generator=generator).to(device)
    kept = split > 0.25
    parts = grid.coords[kept], grid.local[kept], grid.intersected[kept]
    positions = (torch.rand((200, 3), generator=generator) - 0.5).to(device)
    return [
        *(grid.coords, grid.intersected, grid.vertices, grid.local),
        *dual_grid_to_mesh(*parts, split[kept], RESOLUTION),
        *dual_grid_to_mesh(*parts, None, RESOLUTION),
        sample_sparse(grid.coords, grid.local, positions, RESOLUTION),
    ]


def agrees(kernels, device):
    from espalier.engine.kernels import scan_conversion_triton, trilinear_triton

    with choice.plain_torch():
        expected = convert("cpu")
    assert choice.serve(torch.device(device))
    with (
        mock.patch.object(scan_conversion_triton, "cross_axis", wraps=kernels.cross_axis) as crossed,
        mock.patch.object(trilinear_triton, "trilinear", wraps=trilinear_triton.trilinear) as sampled,
    ):
        found = convert(device)
    assert crossed.called and sampled.called
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.device.type == device and ours.dtype == theirs.dtype
        torch.testing.assert_close(ours.cpu(), theirs, atol=1e-6, rtol=0)


def test_converts_and_samples_as_on_a_cpu(place):
    place.check("scan_conversion_triton", agrees)
