# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes and voxel data that cannot be converted are refused with a sentence."""

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.ovoxel import (
    Material,
    Texture,
    dual_grid_to_mesh,
    mesh_to_dual_grid,
    normalise_mesh,
    sample_sparse,
    voxelize_material,
)
from espalier.tests.engine.ovoxel.shapes import box

CUBE, CUBE_FACES = box((-0.3,) * 3, (0.3,) * 3)


def with_value(vertices, value):
    vertices = vertices.clone()
    vertices[3, 1] = value
    return vertices


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [
        pytest.param(with_value(CUBE, torch.nan), CUBE_FACES, id="not a number"),
        pytest.param(with_value(CUBE, -torch.inf), CUBE_FACES, id="infinite"),
        pytest.param(CUBE[:0], CUBE_FACES[:0], id="empty"),
        pytest.param(CUBE, CUBE_FACES[:0], id="no faces"),
        pytest.param(CUBE * 2, CUBE_FACES, id="out of the box"),
        pytest.param(CUBE, CUBE_FACES + 1, id="index too large"),
        pytest.param(CUBE, CUBE_FACES - 1, id="negative index"),
        pytest.param(CUBE[:, :2], CUBE_FACES, id="flat vertices"),
        pytest.param(CUBE, CUBE_FACES.view(-1, 4), id="quads"),
    ],
)
def test_unusable_meshes_are_refused(vertices, faces):
    with pytest.raises(EspalierError) as error:
        mesh_to_dual_grid(vertices, faces, 16)
    assert error.value.code == "bad_input"
    assert error.value.sentence.endswith(".")


@pytest.mark.parametrize(
    "arguments",
    [
        {"resolution": 0},
        {"resolution": 16.5},
        {"resolution": 100_000},
        {"resolution": None},
        {"resolution": 16, "voxel_size": 0.1},
        {"resolution": None, "voxel_size": -1.0},
        {"resolution": None, "voxel_size": 1e-9},
        {"resolution": 16, "aabb": ((0.5, 0.5, 0.5), (-0.5, -0.5, -0.5))},
        {"resolution": 16, "boundary_weight": -1.0},
    ],
)
def test_unusable_grids_are_refused(arguments):
    with pytest.raises(EspalierError):
        mesh_to_dual_grid(CUBE, CUBE_FACES, **arguments)


def test_what_leaves_the_box_is_left_out_on_request():
    grid = mesh_to_dual_grid(CUBE * 3, CUBE_FACES, 16, clip=True)
    assert len(grid.coords) == 0
    grid = mesh_to_dual_grid(CUBE + 0.4, CUBE_FACES, 16, clip=True)
    assert len(grid.coords) and (grid.coords >= 0).all() and (grid.coords < 16).all()


def test_triangles_without_area_do_no_harm():
    vertices = torch.cat([CUBE, torch.tensor([[-0.4, 0, 0], [0.0, 0, 0], [0.4, 0, 0]])])
    slivers = torch.tensor([[8, 9, 10], [8, 8, 10], [9, 9, 9], [0, 1, 1]])
    grid = mesh_to_dual_grid(vertices, torch.cat([CUBE_FACES, slivers]), 16)
    assert torch.isfinite(grid.vertices).all()
    assert torch.equal(grid.coords, mesh_to_dual_grid(CUBE, CUBE_FACES, 16).coords)
    ids = torch.zeros(len(CUBE_FACES) + len(slivers), dtype=torch.int64)
    material = voxelize_material(vertices, torch.cat([CUBE_FACES, slivers]), None, ids, [Material()], 16)
    assert torch.isfinite(material.channels()).all()


@pytest.mark.parametrize("wrong", ["count", "outside", "undefined", "split"])
def test_inconsistent_voxel_data_is_refused(wrong):
    grid = mesh_to_dual_grid(CUBE, CUBE_FACES, 16)
    coords, local, split = grid.coords.clone(), grid.local.clone(), None
    if wrong == "count":
        local = local[1:]
    elif wrong == "outside":
        coords[0, 2] = 16
    elif wrong == "undefined":
        local[0, 0] = torch.nan
    else:
        split = torch.ones(len(coords) - 1)
    with pytest.raises(EspalierError):
        dual_grid_to_mesh(coords, local, grid.intersected, split, 16)


def test_materials_that_do_not_fit_the_mesh_are_refused():
    ids = torch.zeros(len(CUBE_FACES), dtype=torch.int64)
    with pytest.raises(EspalierError):
        voxelize_material(CUBE, CUBE_FACES, None, ids + 1, [Material()], 16)
    with pytest.raises(EspalierError):
        voxelize_material(CUBE, CUBE_FACES, torch.zeros(3, 3, 2), ids, [Material()], 16)
    with pytest.raises(EspalierError):
        voxelize_material(CUBE, CUBE_FACES, torch.full((12, 3, 2), torch.nan), ids, [Material()], 16)
    with pytest.raises(EspalierError):
        Texture(torch.rand(4, 4))
    with pytest.raises(EspalierError):
        sample_sparse(torch.tensor([[0, 0, 16]]), torch.zeros(1, 6), torch.zeros(1, 3), 16)


@pytest.mark.parametrize(
    "vertices", [torch.zeros((0, 3)), torch.ones((4, 3)), torch.tensor([[0.0, 0, 0], [1, torch.nan, 0]]), torch.ones(3)]
)
def test_meshes_without_extent_cannot_be_normalised(vertices):
    with pytest.raises(EspalierError):
        normalise_mesh(vertices)
