# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels of the dual grid make the faces that plain torch makes, in the same order."""

import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.ovoxel import dual_grid_to_mesh
from espalier.engine.ovoxel.grid import VoxelTable
from espalier.engine.ovoxel.surface import _FLAT

# Along y the grid ends where a block of the table ends: there the next number is that of another block.
SHAPE = (9, 8, 7)


def grid(count=250):
    """Half of a grid's voxels in no order, with flags up to the border; at one end all vertices lie on a line,
    at the other in a plane."""
    generator = torch.Generator().manual_seed(2)
    every = torch.cartesian_prod(*[torch.arange(n) for n in SHAPE])
    coords = every[torch.randperm(len(every), generator=generator)[:count]].int()
    local = torch.rand((count, 3), generator=generator)
    local[coords[:, 0] >= 5, 2] = -coords[coords[:, 0] >= 5, 2].float()
    flat = coords[:, 0] < 4
    local[flat] = (coords.sum(1, keepdim=True) * torch.tensor([1.0, 0, 0]) - coords)[flat]
    return coords, local, torch.rand((count, 3), generator=generator) < 0.7, torch.rand(count, generator=generator)


def agrees(kernels, device, weighted):
    coords, local, intersected, weights = grid()
    weights = weights if weighted else None
    with choice.plain_torch():
        vertices, expected = dual_grid_to_mesh(coords, local, intersected, weights, SHAPE)
    assert len(expected) > 50
    on_device = coords.to(device)
    voxels = kernels.Voxels(on_device, *VoxelTable(on_device, SHAPE).levels(), SHAPE)
    weights = weights.to(device) if weighted else None
    faces = kernels.triangulate(voxels, intersected.to(device), vertices.to(device), weights, _FLAT)
    assert torch.equal(faces.cpu(), expected)


def agrees_with_weights(kernels, device):
    agrees(kernels, device, True)


def agrees_without_weights(kernels, device):
    agrees(kernels, device, False)


def serves_nothing(kernels, device):
    coords, local, intersected, weights = (part.to(device) for part in grid())
    for count, flags in ((0, intersected[:0]), (len(coords), torch.zeros_like(intersected))):
        some = coords[:count]
        voxels = kernels.Voxels(some, *VoxelTable(some, SHAPE).levels(), SHAPE)
        assert kernels.triangulate(voxels, flags, local[:count], weights[:count], _FLAT).shape == (0, 3)


def launches(kernels):
    def empty(*shape, dtype=torch.float32):
        return torch.empty(shape, dtype=dtype, device="meta")

    table = [empty(1000, dtype=torch.int32) for _ in range(2)]
    voxels = kernels.Voxels(empty(77, 3, dtype=torch.int32), *table, (1024, 1024, 1024))
    kernels.find_complete(voxels, empty(77, 3, dtype=torch.bool))
    for weights in (empty(77), None):
        kernels.split(voxels, empty(50, dtype=torch.int64), empty(77, 3), weights, _FLAT)


CHANGES = {
    "edges that are not crossed": ("mask=listed, other=0) != 0", "mask=listed, other=0) >= 0"),
    "the last voxel of the quad not looked for": ("tl.static_range(1, 4)", "tl.static_range(1, 3)"),
    "the first voxel of the quad not looked for": ("tl.static_range(1, 4)", "tl.static_range(2, 4)"),
    "missing voxels accepted": ("whole &= row >= 0", "pass"),
    "border of the grid not checked": (" & (y < ny)", ""),
    "one axis turned": ("u, w = (axis + 1) % 3, (axis + 2) % 3", "u, w = (axis + 2) % 3, (axis + 1) % 3"),
}
WEIGHTED = {
    "always the same diagonal": ("first_diagonal = along_02 > along_13", "first_diagonal = along_02 >= 0"),
    "one weight left out": (" * tl.load(weights + q3, mask=kept, other=0.0)", ""),
    "corner of the second triangle": ("tl.where(first_diagonal, q3, q2)", "q3"),
}
UNWEIGHTED = {
    "never the other diagonal": ("> flat * a * b", ">= 0"),
    "one component left out": (" + cz * cz) > flat", ") > flat"),
}


@pytest.mark.parametrize("function", [agrees_with_weights, agrees_without_weights])
def test_makes_the_faces_that_torch_makes(place, function):
    place.check("dual_mesh_triton", function)


def test_serves_no_voxels_and_no_crossed_edges(place):
    place.check("dual_mesh_triton", serves_nothing)


@pytest.mark.parametrize("change", [*CHANGES.values(), *WEIGHTED.values()], ids=[*CHANGES, *WEIGHTED])
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("dual_mesh_triton", agrees_with_weights, change)


@pytest.mark.parametrize("change", UNWEIGHTED.values(), ids=UNWEIGHTED)
def test_a_part_left_out_is_noticed_without_weights(interpreter, change):
    interpreter.check_notices("dual_mesh_triton", agrees_without_weights, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("dual_mesh_triton", launches)
