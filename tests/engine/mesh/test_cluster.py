# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging vertices by cells: how many are left, how far they moved, and that the surface is still there."""

import numpy as np
from espalier.engine.mesh.unwrap.cluster import cluster_vertices
from espalier.tests.engine.mesh.shapes import signed_volume, sphere


def test_one_vertex_a_cell_is_left_and_the_surface_stays_closed_and_where_it_was():
    vertices, faces = sphere(rows=200, columns=400)
    thin, thin_faces = cluster_vertices(vertices, faces, 32)
    cells = np.floor((vertices + 0.5) * 32)
    assert len(thin) == len(np.unique(cells, axis=0))
    assert len(thin_faces) < len(faces) / 10
    assert len(np.unique(thin_faces)) == len(thin)
    assert (np.sort(thin_faces, axis=1)[:, :-1] < np.sort(thin_faces, axis=1)[:, 1:]).all()
    assert np.abs(np.linalg.norm(thin, axis=1) - 0.4).max() < 0.01
    halves = np.concatenate([thin_faces[:, [i, (i + 1) % 3]] for i in range(3)])
    ways, count = np.unique(np.concatenate([halves, halves[:, ::-1]]), axis=0, return_counts=True)
    assert (count % 2 == 0).all()
    assert signed_volume(thin, thin_faces) / signed_volume(vertices, faces) > 0.97
    assert len(ways)


def test_vertices_that_are_alone_in_their_cell_stay():
    vertices, faces = sphere(rows=8, columns=12)
    thin, thin_faces = cluster_vertices(vertices, faces, 512)
    assert len(thin_faces) == len(faces)
    assert np.allclose(thin[thin_faces], vertices[faces], atol=1e-7)


def test_further_columns_are_averaged_in_the_same_cells():
    vertices, faces = sphere(rows=60, columns=90)
    thin, thin_faces = cluster_vertices(vertices, faces, 16)
    more, more_faces = cluster_vertices(np.column_stack([vertices, 2 * vertices[:, :1], vertices[:, 1:2]]), faces, 16)
    assert np.array_equal(more[:, :3], thin) and np.array_equal(more_faces, thin_faces)
    assert np.allclose(more[:, 3], 2 * thin[:, 0], atol=1e-6) and np.allclose(more[:, 4], thin[:, 1], atol=1e-6)
