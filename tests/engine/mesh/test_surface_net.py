# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxels whose faces are loose layers get one closed surface around them."""

import numpy as np
import pytest
from espalier.engine.mesh.repair.repair import replace_by_skin
from espalier.engine.mesh.repair.surface_net import net_skin
from espalier.engine.mesh.surface.topology import edge_table, half_edge_ends, vertex_components
from scipy.spatial import cKDTree

from . import shapes

RESOLUTION = 48


def skin_of(*parts, lost=0.0):
    vertices, faces, material = shapes.voxel_asset(*shapes.merge(*parts), RESOLUTION)
    keep = np.random.default_rng(0).random(len(vertices)) >= lost
    return net_skin(material.coords, vertices, faces[keep[faces].all(1)], RESOLUTION)


def is_closed(faces):
    return (edge_table(faces).count == 2).all()


@pytest.mark.parametrize("shape", [shapes.sphere(), shapes.torus(), shapes.cube()])
def test_the_net_of_a_solid_is_closed_and_outward(shape):
    vertices, faces = skin_of(shape)
    assert is_closed(faces)
    volume = shapes.signed_volume(*shape)
    assert 0.97 * volume < shapes.signed_volume(vertices, faces) < 1.03 * volume


def test_inner_layers_do_not_show():
    once = skin_of(shapes.sphere(0.4))
    nested = skin_of(shapes.sphere(0.4), shapes.sphere(0.36), shapes.cube(0.3))
    assert vertex_components(nested[1], len(nested[0])).max() == 0
    assert abs(shapes.signed_volume(*nested) / shapes.signed_volume(*once) - 1) < 0.02


def test_a_torn_cloud_of_voxels_still_gets_a_closed_surface():
    rng = np.random.default_rng(1)
    for share in (0.1, 0.3, 0.6):
        coords = np.argwhere(rng.random((12, 12, 12)) < share) + 2
        faces = np.arange(len(coords) // 3 * 3).reshape(-1, 3)
        _, faces = net_skin(coords, (coords + 0.5) / 16 - 0.5, faces, 16)
        assert is_closed(faces)
        tail, head = half_edge_ends(faces)
        assert len(np.unique(tail * faces.size + head)) == faces.size


def noisy_sphere():
    """A sphere with fins on every third face, as small models predict them."""
    vertices, faces, material = shapes.voxel_asset(*shapes.sphere(0.4), RESOLUTION)
    rng = np.random.default_rng(3)
    chosen = faces[rng.random(len(faces)) < 0.33]
    near = cKDTree(vertices).query(vertices[chosen[:, 0]], k=12)[1]
    fins = np.column_stack([chosen[:, :2], near[np.arange(len(near)), rng.integers(4, 12, len(near))]])
    return vertices, np.concatenate([faces, fins]), material.coords


def test_a_surface_of_loose_layers_becomes_one_smooth_piece_and_says_so():
    vertices, faces, cells = noisy_sphere()
    vertices, faces, counts = replace_by_skin(vertices, faces, cells, RESOLUTION)
    assert counts["layered"] and any("loose layers" in event for event in counts["events"])
    assert is_closed(faces) and vertex_components(faces, len(vertices)).max() == 0
    assert np.abs(np.linalg.norm(vertices, axis=1) - 0.4).max() < 1.5 / RESOLUTION


def test_a_sound_surface_keeps_its_own_faces():
    vertices, faces, material = shapes.voxel_asset(*shapes.sphere(0.4), RESOLUTION)
    _, _, counts = replace_by_skin(vertices, faces, material.coords, RESOLUTION)
    assert not counts["layered"]
