# SPDX-License-Identifier: GPL-3.0-or-later
"""Ambient occlusion: open is 1, hollows and contacts are dark, and turning the object changes nothing."""

import os

import numpy as np
import pytest
from espalier.engine.mesh.bake import occlusion as occlusion_module
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.mesh.bake.bake_surface import bake_texels
from espalier.engine.mesh.bake.occlusion import PATTERNS, RAYS, REACH, OcclusionSamples, ray_patterns
from espalier.engine.mesh.bake.texel_lookup import LeanMesh
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.surface.normals import corner_normals
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, sphere
from espalier.tests.engine.mesh.test_bake_surface import in_cells

pytest.importorskip("numba")

R = 128
SIZE = 256


def occlusion(vertices, faces, size=SIZE):
    """Occlusion 0..1, place and normal of the texels of a mesh that is its own full surface."""
    lean = LeanMesh(vertices, faces, in_cells(faces, size), corner_normals(vertices, faces))
    raster = rasterise(lean.uv, size)
    grey = MaterialVoxels(R, np.array([[R // 2] * 3]), np.full((1, 6), 0.5, np.float32))
    shown = bake_texels(raster, lean, None, grey).orm[:, 0] / 255
    points = np.einsum("tc,tci->ti", raster.barycentric, vertices[faces[raster.face]])
    return shown, points, np.einsum("tc,tci->ti", raster.barycentric, lean.normals[raster.face])


def cup(thickness=0.04, rows=8, columns=24):
    """A cup that is open above: an outer and an inner wall with floors, joined at the rim; normals out of the solid."""
    profile = [(0.0, -0.4), (0.25, -0.4)] + [(0.25, z) for z in np.linspace(-0.3, 0.4, rows)]
    profile += [(0.25 - thickness, z) for z in np.linspace(0.4, -0.3, rows)] + [(0.0, -0.4 + 2 * thickness)]
    profile = np.array(profile)
    angle = 2 * np.pi * np.arange(columns) / columns
    points = np.stack(
        [
            profile[:, :1] * np.cos(angle),
            profile[:, :1] * np.sin(angle),
            np.broadcast_to(profile[:, 1:], (len(profile), columns)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    faces = grid_faces(len(profile), columns, False, True)[:, ::-1]
    corners = points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return points, faces[area > 1e-9]


def test_a_ball_alone_is_open_everywhere():
    shown, _, _ = occlusion(*sphere(0.4, rows=32, columns=64))
    assert shown.min() > 0.99


def test_a_box_alone_is_open_everywhere():
    shown, _, _ = occlusion(*cube(0.7))
    assert shown.min() > 0.99


def test_the_inside_of_a_cup_is_darker_than_its_outside_and_darkest_at_the_bottom():
    shown, points, normals = occlusion(*cup())
    outward = (points[:, :2] * normals[:, :2]).sum(axis=1)
    inside, outside = outward < -0.1, outward > 0.1
    assert shown[outside].mean() > 0.97
    deep, high = inside & (points[:, 2] < -0.2), inside & (points[:, 2] > 0.25)
    assert shown[deep].mean() < 0.65
    assert shown[deep].mean() < shown[high].mean() - 0.1 < shown[outside].mean()


def test_a_box_on_a_box_is_dark_at_the_contact_and_open_far_from_it():
    below = cube(1.0)[0] * [0.9, 0.9, 0.1] - [0, 0, 0.3]
    above = cube(1.0)[0] * [0.2, 0.2, 0.5]
    shown, points, normals = occlusion(*merge((below, cube()[1]), (above, cube()[1])))
    top = (normals[:, 2] > 0.9) & (np.abs(points[:, 2] + 0.25) < 0.01)
    away = np.abs(points[:, :2]).max(axis=1) - 0.1
    contact, far = top & (away > 0.01) & (away < 0.03), top & (away > 0.3)
    assert shown[contact].mean() < 0.75
    assert shown[far].mean() > 0.95
    bands = [shown[top & (away > low) & (away < low + 0.05)].mean() for low in (0.01, 0.06, 0.11, 0.16, 0.21)]
    assert (np.diff(bands) > 0).all()


def test_an_infinite_wall_hides_half_the_sky_of_what_is_near_it():
    """A wall hides half the sky of the floor beside it, less what is too far: an integral over a uniform disc."""
    corner = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0], [-0.5, 0.5, 1], [0.5, 0.5, 1]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 5], [3, 5, 4]])
    shown, points, _ = occlusion(corner, faces)
    disc = np.random.default_rng(0).uniform(-1, 1, (200_000, 2))
    up = disc[(disc**2).sum(axis=1) < 1][:, 1]
    for low in (0.04, 0.1, 0.2):
        near = (points[:, 2] < 1e-6) & (np.abs(0.5 - low - 0.01 - points[:, 1]) < 0.01) & (np.abs(points[:, 0]) < 0.1)
        gone = (low + 0.01) / np.maximum(up, 1e-9) / REACH
        assert shown[near].mean() == pytest.approx(1 - np.clip(1 - gone**2, 0, 1)[up > 0].sum() / len(up), abs=0.03)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_the_object_changes_no_more_than_noise(axis):
    vertices, faces = merge(cup(), sphere(0.1, (0.0, 0.0, 0.1), 12, 24))
    shown, _, _ = occlusion(vertices, faces)
    turn = np.roll([[1, 0, 0], [0, 0, -1], [0, 1, 0]], (axis, axis), (0, 1))
    assert np.linalg.det(turn) == pytest.approx(1)
    turned, _, _ = occlusion(vertices @ turn.T, faces)
    assert abs(shown.mean() - turned.mean()) < 0.004
    assert np.abs(shown - turned).mean() < 0.03


def test_a_larger_image_of_the_same_object_is_as_dark():
    vertices, faces = cup()
    small, points, _ = occlusion(vertices, faces, 256)
    large, more, _ = occlusion(vertices, faces, 1280)
    for low in np.arange(-0.4, 0.4, 0.1):
        here, there = (np.abs(place[:, 2] - low - 0.05) < 0.05 for place in (points, more))
        assert small[here].mean() == pytest.approx(large[there].mean(), abs=0.02)


@pytest.mark.parametrize("size", [7, 8, 9, 21])
def test_each_block_has_a_sample_in_its_middle_or_where_it_is_covered_last(monkeypatch, size):
    monkeypatch.setattr(occlusion_module, "FINEST", 3)
    stride = -(-size // 3)
    covered = np.random.default_rng(size).random((size, size)) > 0.6
    covered[:stride, :stride] = False
    texel = np.flatnonzero(covered)
    samples = OcclusionSamples(size, texel)
    taken = {}
    for row, column in zip(*np.nonzero(covered), strict=True):
        block = row // stride, column // stride
        middle = (row % stride, column % stride) == (stride // 2, stride // 2)
        if middle or block not in taken or not taken[block][1]:
            taken[block] = row * size + column, middle
    assert texel[samples._taken].tolist() == sorted(place for place, _ in taken.values())
    for (row, column), (place, _) in taken.items():
        assert texel[samples._taken][samples._sample[row, column]] == place
    assert (samples._sample >= 0).sum() == len(taken)


def test_the_number_of_threads_changes_nothing(monkeypatch):
    shown = []
    for threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        shown.append(occlusion(*cup())[0])
    assert np.array_equal(*shown)
    assert shown[0].min() < 0.5


def test_rays_are_cosine_weighted_in_every_pattern():
    rays = ray_patterns(2.0)
    assert rays.shape == (PATTERNS, RAYS, 4)
    assert np.allclose(np.linalg.norm(rays[..., :3], axis=2), 1)
    assert (rays[..., 2] > 0).all()
    assert rays[..., 3].min() > 0
    assert rays[..., 3].max() <= 2
    # The mean direction of cosine-weighted rays is 2/3 of the normal, of which each pattern is an even sample.
    assert np.abs(rays[..., :3].mean(axis=1) - [0, 0, 2 / 3]).max() < 0.1
    assert np.abs(rays[..., :3].mean(axis=(0, 1)) - [0, 0, 2 / 3]).max() < 0.01
    assert np.abs(rays[..., 3].mean(axis=1) - 4 / 3).max() < 0.1
