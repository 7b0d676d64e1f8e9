# SPDX-License-Identifier: GPL-3.0-or-later
"""What carries no shape is found, and nothing else."""

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.mesh.surface import clean
from espalier.tests.engine.mesh.shapes import cube, merge, sphere


def test_doubled_vertices_are_welded_and_the_surface_closes():
    vertices, faces = cube()
    loose = vertices[faces].reshape(-1, 3) + np.random.default_rng(0).uniform(-1e-7, 1e-7, (36, 3)) + 0.0003
    welded, merged = clean.weld(loose, np.arange(36).reshape(-1, 3), 1e-3)
    assert merged == 28
    assert len(np.unique(welded)) == 8


def test_degenerate_and_duplicate_faces_are_found():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], float)
    faces = np.array([[0, 1, 2], [0, 1, 1], [0, 1, 3], [2, 0, 1], [1, 0, 2]])
    assert clean.find_degenerate(vertices, faces).tolist() == [False, True, True, False, False]
    assert clean.find_duplicates(faces).tolist() == [False, False, False, True, True]


def test_crumbs_go_but_small_parts_of_an_object_of_small_parts_stay():
    big, crumb = sphere(0.4), sphere(0.004, (0.45, 0.45, 0.45), 6, 8)
    vertices, faces = merge(big, crumb)
    floating, pieces = clean.find_floaters(vertices, faces, 1 / 512)
    assert pieces == 1
    assert floating.sum() == len(crumb[1])
    leaves = merge(*(sphere(0.004, centre, 6, 8) for centre in np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))))
    assert clean.find_floaters(*leaves, 1 / 512)[1] == 0


def test_a_thin_long_part_is_not_a_crumb():
    wire_vertices, wire_faces = cube(1.0)
    vertices, faces = merge(sphere(0.4), (wire_vertices * [0.002, 0.002, 0.2] + [0.45, 0.45, 0], wire_faces))
    assert clean.find_floaters(vertices, faces, 1 / 512)[1] == 0


def test_faces_at_impossible_vertices_are_found():
    vertices, faces = cube()
    vertices[0] = np.nan
    vertices[7] = 1e30
    cleaned, _, impossible = clean.check_surface(vertices, faces)
    assert np.isfinite(cleaned).all()
    assert impossible.tolist() == np.isin(faces, [0, 7]).any(axis=1).tolist()


@pytest.mark.parametrize("faces", [np.array([[0, 1]]), np.array([[0, 1, 9]]), np.array([[0, 1, -1]])])
def test_arrays_that_are_no_triangles_are_refused_in_a_sentence(faces):
    with pytest.raises(EspalierError) as caught:
        clean.check_surface(np.zeros((3, 3)), faces)
    assert caught.value.sentence.endswith(".")
