# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading normals break at creases; the normal map gives back the normals it was made from."""

import numpy as np
from espalier.engine.mesh.bake.normal_map import TangentFrames, corner_tangents
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.surface.normals import corner_normals
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


def express(uv, target):
    """World normals in the frames of the square with ``uv``, at the texels that it covers."""
    vertices, faces = SQUARE
    raster = rasterise(uv, 16)
    frames = TangentFrames(vertices, faces, uv, corner_normals(vertices, faces))
    return frames.express(raster.face, raster.barycentric, np.broadcast_to(target, (len(raster.texel), 3)))


def test_red_is_along_u_green_along_v_blue_away_from_the_surface():
    uv = plane_uv(SQUARE[1])
    assert np.allclose(express(uv, [0.6, 0, 0.8]), [0.6, 0, 0.8])
    assert np.allclose(express(uv, [0, 0.6, 0.8]), [0, 0.6, 0.8])
    mirrored = plane_uv(SQUARE[1], mirrored=True)
    assert np.allclose(express(mirrored, [0.6, 0, 0.8]), [-0.6, 0, 0.8])


def test_with_a_normal_map_only_creases_along_charts_break_the_shading():
    """Two squares at a right angle: smooth where they share a chart, broken where they have one each."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 0, 4], [1, 4, 5]])
    plane = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, -1], [1, -1]]) * 0.4 + 0.5
    one_chart = plane[faces]
    two_charts = one_chart + np.array([0, 0, 0.05, 0.05])[:, None, None] * [0, -1]
    broken = corner_normals(vertices, faces)
    assert np.array_equal(corner_normals(vertices, faces, uv=two_charts), broken)
    joined = corner_normals(vertices, faces, uv=one_chart)
    assert np.allclose(joined[0, 0], joined[2, 1])
    assert np.allclose(joined[0, 0] @ [0, 1, 1], np.sqrt(2))
    assert np.array_equal(joined[1, 2], broken[1, 2])


def test_shading_runs_on_across_a_cut_whose_rims_coincide():
    vertices, faces = sphere(0.4)
    half = vertices[faces].mean(axis=1)[:, 0] > 0
    cut = np.where(half[:, None], faces, faces + len(vertices))
    normals = corner_normals(np.concatenate([vertices, vertices]), cut)
    assert np.allclose(normals, corner_normals(vertices, faces), atol=1e-5)
