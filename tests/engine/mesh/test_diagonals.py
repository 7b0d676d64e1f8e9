# SPDX-License-Identifier: GPL-3.0-or-later
"""Quads are split where they bend less."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.repair.diagonals import quads_of, split_quads
from espalier.engine.mesh.surface.topology import face_vectors, unit
from espalier.engine.ovoxel import dual_grid_quads, dual_grid_to_mesh, mesh_to_dual_grid

from . import shapes


def bend(vertices, faces):
    """The angle between the two triangles of each quad."""
    normal = unit(face_vectors(vertices, faces))
    return np.arccos(np.clip((normal[0::2] * normal[1::2]).sum(1), -1, 1))


def test_no_quad_bends_less_along_the_other_diagonal():
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) + rng.normal(0, 0.25, (500, 4, 3))
    vertices, quads = corners.reshape(-1, 3), np.arange(2000).reshape(-1, 4)
    chosen = bend(vertices, split_quads(vertices, quads))
    for fixed in (quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]]):
        assert (chosen <= bend(vertices, fixed.reshape(-1, 3)) + 1e-9).all()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_card_splits_quads_the_same(kind, card):
    """Bent ones, flat ones, and such as have a triangle without area or two corners in one place."""
    rng = np.random.default_rng(2)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) + rng.normal(0, 0.25, (800, 4, 3))
    corners[:100, :, 2] = 0.0
    corners[np.arange(100, 200), rng.integers(0, 4, 100)] = corners[100:200, 1]
    corners[200:300, 2] = 0.5 * (corners[200:300, 1] + corners[200:300, 3])
    vertices, quads = corners.reshape(-1, 3).astype(np.float32), np.arange(3200, dtype=kind).reshape(-1, 4)
    with choice.plain_torch():
        expected = split_quads(vertices, quads)
    found = split_quads(vertices, quads)
    assert 0.3 < (expected[::2, 2] % 4 == 3).mean() < 0.7
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_the_winding_and_the_corners_of_a_quad_stay():
    rng = np.random.default_rng(1)
    vertices = rng.normal(size=(400, 3))
    quads = np.arange(400).reshape(-1, 4)
    faces = split_quads(vertices, quads).reshape(-1, 6)
    directed = np.stack([faces, np.roll(faces.reshape(-1, 2, 3), -1, 2).reshape(-1, 6)], 2)
    for quad, edges in zip(quads, directed, strict=True):
        held = {tuple(edge) for edge in edges.tolist()}
        assert {(int(quad[i]), int(quad[(i + 1) % 4])) for i in range(4)} <= held


def test_a_collapsed_triangle_is_avoided_and_ties_take_the_usual_diagonal():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0.0]])
    assert split_quads(vertices, np.array([[0, 1, 2, 3]])).tolist() == [[0, 1, 2], [0, 2, 3]]
    assert split_quads(vertices, np.array([[0, 1, 2, 4]])).tolist() == [[0, 1, 4], [4, 1, 2]]


def test_quads_are_found_again_in_the_triangles_of_a_dual_grid():
    grid = mesh_to_dual_grid(*(torch.as_tensor(part) for part in _float32(*shapes.torus())), 24)
    quads = dual_grid_quads(grid.coords, grid.intersected, (24, 24, 24))
    for weight in (None, torch.rand(len(grid.coords), generator=torch.Generator().manual_seed(0))):
        _, faces = dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, weight, 24)
        assert (quads_of(faces.numpy()) == quads.numpy()).all()


def _float32(vertices, faces):
    return vertices.astype(np.float32), faces
