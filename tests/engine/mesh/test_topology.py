# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges and components of triangle lists."""

import numpy as np
from espalier.engine.mesh.topology import edge_table, label_components, vertex_components
from espalier.tests.engine.mesh.shapes import cube, merge, sphere


def test_components_are_numbered_by_their_lowest_node():
    rng = np.random.default_rng(0)
    for _ in range(20):
        left, right = rng.integers(0, 200, (2, 90))
        labels = label_components(200, left, right)
        assert (labels[left] == labels[right]).all()
        firsts = [np.flatnonzero(labels == label)[0] for label in range(labels.max() + 1)]
        assert firsts == sorted(firsts)


def test_the_edges_of_a_cube():
    table = edge_table(cube()[1])
    assert len(table.ends) == 18
    assert (table.count == 2).all()
    left, right = table.pairs()
    assert len(left) == len(right) == 18
    assert len(table.boundary()) == 0


def test_pieces_of_a_surface():
    vertices, faces = merge(cube(), sphere(), cube(0.1))
    piece = vertex_components(faces, len(vertices))
    assert np.bincount(piece).tolist() == [12, len(sphere()[1]), 12]
