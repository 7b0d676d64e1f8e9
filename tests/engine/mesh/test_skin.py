# SPDX-License-Identifier: GPL-3.0-or-later
"""The outer skin of surface voxels is one closed solid in the right place."""

import numpy as np
import pytest
import torch
from espalier.engine.mesh.repair.skin import SHEET_VOXELS, outer_skin
from espalier.engine.mesh.surface.topology import edge_table, half_edge_ends, vertex_components
from espalier.engine.ovoxel import dual_grid_to_mesh
from espalier.engine.training.metrics import sample_surface
from scipy.spatial import cKDTree

from . import shapes

RESOLUTION = 48


def skin_of(*parts, lost=0.0, resolution=RESOLUTION, thickness=0.0):
    vertices, faces, material = shapes.voxel_asset(*shapes.merge(*parts), resolution)
    keep = np.random.default_rng(0).random(len(vertices)) >= lost
    return outer_skin(material.coords, vertices.astype(float), faces[keep[faces].all(1)], resolution, thickness)


def is_closed(faces):
    return (edge_table(faces).count == 2).all()


@pytest.mark.parametrize("shape", [shapes.sphere(), shapes.torus(), shapes.cube()])
def test_the_skin_of_a_solid_is_closed_outward_and_near_its_surface(shape):
    vertices, faces = skin_of(shape)
    assert is_closed(faces)
    volume = shapes.signed_volume(*shape)
    assert 0.97 * volume < shapes.signed_volume(vertices, faces) < 1.03 * volume
    away = cKDTree(sample_surface(*shape, 40_000, seed=0)).query(vertices)[0]
    assert away.max() < 1.2 / RESOLUTION


def test_inner_layers_do_not_show():
    once = skin_of(shapes.sphere(0.4))
    nested = skin_of(shapes.sphere(0.4), shapes.sphere(0.36), shapes.cube(0.3))
    assert vertex_components(nested[1], len(nested[0])).max() == 0
    assert abs(shapes.signed_volume(*nested) / shapes.signed_volume(*once) - 1) < 0.02


@pytest.mark.parametrize("lost", [0.03, 0.08])
def test_missing_voxels_leave_no_hole(lost):
    whole, torn = skin_of(shapes.torus()), skin_of(shapes.torus(), lost=lost)
    assert is_closed(torn[1])
    assert abs(shapes.signed_volume(*torn) / shapes.signed_volume(*whole) - 1) < 0.02


def test_a_slit_is_closed_smoothly_and_the_hollow_behind_it_is_filled():
    vertices, faces = shapes.sphere(0.4, rows=96, columns=192)
    middle = vertices[faces].mean(1)
    slit = (np.abs(middle[:, 2]) < 2.0 / RESOLUTION) & (middle[:, 1] < -0.2)
    torn = skin_of((vertices, faces[~slit]))
    assert is_closed(torn[1])
    assert shapes.signed_volume(*torn) == pytest.approx(shapes.signed_volume(vertices, faces), rel=0.02)
    assert (np.abs(np.linalg.norm(torn[0], axis=1) - 0.4) < 1.0 / RESOLUTION).all()


def test_a_wide_opening_stays_open():
    vertices, faces = shapes.sphere(0.4)
    bowl = vertices, faces[vertices[faces].mean(1)[:, 2] < 0.2]
    skin = skin_of(bowl)
    assert is_closed(skin[1])
    assert shapes.signed_volume(*skin) < 0.5 * shapes.signed_volume(*skin_of((vertices, faces)))


def test_a_single_sheet_becomes_a_thin_solid():
    sheet = (
        np.array([[-0.3, -0.3, 0.0], [0.3, -0.3, 0.0], [0.3, 0.3, 0.0], [-0.3, 0.3, 0.0]]),
        np.array([[0, 1, 2], [0, 2, 3]]),
    )
    vertices, faces = skin_of(sheet)
    assert is_closed(faces)
    inner = np.abs(vertices[:, :2]).max(1) < 0.25
    assert np.ptp(vertices[inner, 2]) == pytest.approx(SHEET_VOXELS / RESOLUTION)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
@pytest.mark.parametrize("thickness", [0.02, 0.1])
def test_a_single_sheet_becomes_exactly_as_thick_as_asked(thickness, tilt):
    corners = np.array([[-0.3, -0.3], [0.3, -0.3], [0.3, 0.3], [-0.3, 0.3]])
    sheet = np.column_stack([corners, tilt * corners.sum(1) + 0.003]), np.array([[0, 1, 2], [0, 2, 3]])
    vertices, faces = skin_of(sheet, thickness=thickness)
    assert is_closed(faces)
    normal = np.array([-tilt, -tilt, 1.0]) / np.sqrt(1 + 2 * tilt**2)
    inner = np.abs(vertices[:, :2]).max(1) < 0.2
    height = (vertices - [0, 0, 0.003])[inner] @ normal
    assert np.abs(np.abs(height) - thickness / 2).max() < 0.02 / RESOLUTION
    assert (height > 0).any() and (height < 0).any()


def test_thickness_leaves_what_is_solid_alone():
    vertices, _ = skin_of(shapes.sphere(), thickness=0.1)
    plain, _ = skin_of(shapes.sphere())
    assert (vertices == plain).all()


def heap(rng, size=14, share=0.35):
    """Random voxels with random crossed edges, meshed: nothing about it is a surface of anything."""
    coords = np.argwhere(rng.random((size,) * 3) < share).astype(np.int32)
    flags = rng.random((len(coords), 3)) < 0.5
    local = rng.random((len(coords), 3), np.float32)
    vertices, faces = dual_grid_to_mesh(*map(torch.from_numpy, (coords, local, flags)), None, size)
    return coords, vertices.numpy().astype(float), faces.numpy(), size


@pytest.mark.parametrize("seed", range(6))
def test_any_heap_of_crossings_gets_a_closed_skin_wound_consistently(seed):
    rng = np.random.default_rng(seed)
    coords, vertices, faces, size = heap(rng, share=(0.2, 0.4, 0.7)[seed % 3])
    skin_vertices, skin = outer_skin(coords, vertices, faces, size)
    assert is_closed(skin)
    tail, head = half_edge_ends(skin)
    assert len(np.unique(tail * skin.size + head)) == skin.size
    assert np.isfinite(skin_vertices).all()
    again = outer_skin(coords, vertices, faces, size)
    assert (again[0] == skin_vertices).all() and (again[1] == skin).all()


def test_faces_that_are_no_dual_grid_have_no_skin():
    coords = np.array([[4, 4, 4], [9, 5, 5], [9, 9, 9]])
    assert len(outer_skin(coords, (coords + 0.5) / 16 - 0.5, np.array([[0, 1, 2]]), 16)[1]) == 0


@pytest.mark.parametrize("shape", [shapes.sphere(), shapes.torus(), shapes.cube()])
def test_the_skin_of_a_solid_is_its_surface(shape):
    raw, _, _ = shapes.voxel_asset(*shape, RESOLUTION)
    skin, _ = skin_of(shape)
    assert {tuple(point) for point in skin.tolist()} <= {tuple(point) for point in raw.astype(float).tolist()}
