# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking onto a mesh's own UVs: every texel shows its own point of the surface, whatever the voxels leave out."""

import numpy as np
import pytest
import torch
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.mesh.bake.bake_mesh import bake_mesh, rasterise_parts
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.ovoxel import mesh_to_dual_grid
from espalier.tests.engine.mesh.shapes import cube, sphere

R = 32


def painted(vertices, faces, attributes, share=1.0):
    """Voxel materials of a surface: ``attributes`` of the voxel centres; ``share`` of the voxels are there."""
    grid = mesh_to_dual_grid(torch.from_numpy(np.float32(vertices)), torch.from_numpy(faces), R)
    coords = grid.coords.numpy()
    coords = coords[np.random.default_rng(0).random(len(coords)) < share]
    return MaterialVoxels(R, coords, attributes((coords + 0.5) / R - 0.5).astype(np.float32))


def by_position(points):
    """Base colour is the position itself; smooth, half metal, opaque."""
    rest = np.broadcast_to([0.5, 0.25, 1.0], (len(points), 3))
    return np.concatenate([points + 0.5, rest], axis=1)


def own_square(faces):
    """UVs that give every triangle of up to 16 a cell of its own."""
    places = np.array([[face % 4, face // 4] for face in range(len(faces))]) / 4
    return np.float32(np.array([[0.02, 0.02], [0.23, 0.02], [0.02, 0.23]]) + places[:, None])


def test_every_texel_shows_its_own_point():
    vertices, faces = cube()
    uv = own_square(faces)
    baked = bake_mesh(vertices, faces, uv, painted(vertices, faces, by_position), 128)
    raster = rasterise(uv, 128)
    points = np.einsum("tc,tci->ti", raster.barycentric, vertices[faces[raster.face]])
    colour = baked.maps["base_color"].reshape(-1, 3)[raster.texel] / 255
    # A voxel layer of the cube's skin is one voxel thick: across it the colour is the layer's, along it exact.
    assert np.abs(colour - (points + 0.5)).max() < 1 / R
    assert np.median(np.abs(colour - (points + 0.5))) < 0.004
    orm = baked.maps["orm"].reshape(-1, 3)
    assert (orm[:, 0] == 255).all()
    assert set(orm[:, 1]) == {64}
    assert set(orm[:, 2]) <= {127, 128}
    assert baked.alpha_mode == "opaque"
    assert baked.covered_share == pytest.approx(len(raster.texel) / 128**2)


def test_missing_voxels_leave_no_texel_black():
    vertices, faces = sphere()
    uv = np.float32(np.random.default_rng(1).random((len(faces), 3, 2)))
    white = lambda points: np.ones((len(points), 6))  # noqa: E731
    baked = bake_mesh(vertices, faces, uv, painted(vertices, faces, white, share=0.02), 64)
    assert (baked.maps["base_color"] == 255).all()


def test_alpha_follows_the_rule_of_generated_objects():
    vertices, faces = cube()
    half = lambda points: np.where(points[:, :1] > 0, 1.0, [[1, 1, 1, 0, 1, 0.0]])  # noqa: E731
    baked = bake_mesh(vertices, faces, own_square(faces), painted(vertices, faces, half), 64)
    assert baked.alpha_mode == "mask"
    assert baked.maps["base_color"].shape == (64, 64, 4)


def test_a_mesh_without_area_in_uv_still_gets_its_colour():
    vertices, faces = cube()
    baked = bake_mesh(vertices, faces, np.full((12, 3, 2), 0.5, np.float32), painted(vertices, faces, by_position), 64)
    assert baked.maps["base_color"].max(axis=2).min() > 30


def test_parts_give_the_same_texels_and_the_same_faces_inside_charts():
    vertices, faces = sphere(rows=16, columns=24)
    around = vertices / 0.4
    polar = [np.arctan2(around[:, 1], around[:, 0]) / 7 + 0.5, np.arccos(around[:, 2].clip(-1, 1)) / 3.2]
    uv = np.float32(np.stack(polar, axis=1)[faces])
    away_from_seam = np.ptp(uv[..., 0], axis=1) < 0.5
    uv, faces = uv[away_from_seam], faces[away_from_seam]
    whole, parts = rasterise(uv, 128), rasterise_parts(uv, 128, faces_at_once=50)
    assert np.array_equal(whole.texel, parts.texel)
    assert np.array_equal(whole.inside, parts.inside)
    assert np.array_equal(whole.face[whole.inside], parts.face[whole.inside])
    assert np.array_equal(whole.barycentric[whole.inside], parts.barycentric[whole.inside])
    shown = np.einsum("tc,tci->ti", parts.barycentric, vertices[faces[parts.face]])
    expected = np.einsum("tc,tci->ti", whole.barycentric, vertices[faces[whole.face]])
    assert np.abs(shown - expected).max() < 0.03
