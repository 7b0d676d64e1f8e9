# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading normals break at creases; the normal map gives back the normals it was made from."""

import numpy as np
from espalier.engine.mesh.nearest import SurfaceIndex
from espalier.engine.mesh.normal_map import corner_tangents, tangent_space_normals
from espalier.engine.mesh.normals import corner_normals
from espalier.engine.mesh.raster import rasterise
from espalier.tests.engine.mesh.shapes import cube, sphere

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])


def plane_uv(faces, mirrored=False):
    uv = SQUARE[0][faces][..., :2] * 0.8 + 0.1
    if mirrored:
        uv = uv * [-1, 1] + [1, 0]
    return uv.astype(np.float32)


def test_a_cube_keeps_its_edges_and_a_sphere_is_smooth():
    vertices, faces = cube()
    flat = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert np.allclose(corner_normals(vertices, faces), flat[:, None], atol=1e-6)
    vertices, faces = sphere(0.4)
    assert np.abs(corner_normals(vertices, faces) - vertices[faces] / 0.4).max() < 0.05


def test_tangents_follow_u_and_mirrored_charts_are_marked():
    vertices, faces = SQUARE
    normals = corner_normals(vertices, faces)
    tangents, sign = corner_tangents(vertices, faces, plane_uv(faces), normals)
    assert np.allclose(tangents, [1, 0, 0])
    assert (sign == 1).all()
    tangents, sign = corner_tangents(vertices, faces, plane_uv(faces, mirrored=True), normals)
    assert np.allclose(tangents, [-1, 0, 0])
    assert (sign == -1).all()


def test_red_is_along_u_green_along_v_blue_away_from_the_surface():
    vertices, faces = SQUARE
    normals = corner_normals(vertices, faces)
    uv = plane_uv(faces)
    raster = rasterise(uv, 16)
    target = np.broadcast_to(np.array([0.6, 0.0, 0.8]), (len(raster.texel), 3))
    assert np.allclose(tangent_space_normals(raster, vertices, faces, uv, normals, target), [0.6, 0, 0.8])
    target = np.broadcast_to(np.array([0.0, 0.6, 0.8]), (len(raster.texel), 3))
    assert np.allclose(tangent_space_normals(raster, vertices, faces, uv, normals, target), [0, 0.6, 0.8])
    mirrored = plane_uv(faces, mirrored=True)
    target = np.broadcast_to(np.array([0.6, 0.0, 0.8]), (len(raster.texel), 3))
    local = tangent_space_normals(rasterise(mirrored, 16), vertices, faces, mirrored, normals, target)
    assert np.allclose(local, [-0.6, 0, 0.8])


def test_the_closest_point_is_the_true_one():
    vertices, faces = sphere(0.4, rows=40, columns=80)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(500, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    found = SurfaceIndex(vertices, faces).closest(direction * 0.42, direction)
    assert np.abs(np.linalg.norm(found.position, axis=1) - 0.4).max() < 2e-3
    assert np.linalg.norm(found.position - 0.4 * direction, axis=1).max() < 5e-3
    corners = vertices[faces[found.face]]
    assert np.allclose(np.einsum("nc,nci->ni", found.barycentric, corners), found.position)


def test_the_side_of_a_thin_wall_is_chosen_by_the_normal():
    vertices, faces = cube(1.0)
    vertices = vertices * [0.5, 0.5, 0.002]
    query = np.array([[0.05, 0.1, -0.0002], [0.05, 0.1, 0.0002]])
    up = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    assert np.allclose(SurfaceIndex(vertices, faces).closest(query, up).position[:, 2], [0.001, -0.001])


def test_shading_runs_on_across_a_cut_whose_rims_coincide():
    vertices, faces = sphere(0.4)
    half = vertices[faces].mean(axis=1)[:, 0] > 0
    cut = np.where(half[:, None], faces, faces + len(vertices))
    normals = corner_normals(np.concatenate([vertices, vertices]), cut)
    assert np.allclose(normals, corner_normals(vertices, faces), atol=1e-5)
