# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges and components of triangle lists."""

from functools import partial

import numpy as np
import pytest
from espalier.engine.mesh.compilation import in_portions
from espalier.engine.mesh.repair import orient
from espalier.engine.mesh.repair.orient import orient_consistently
from espalier.engine.mesh.surface import topology
from espalier.engine.mesh.surface.manifold import separate_corners
from espalier.engine.mesh.surface.topology import edge_table, label_components, vertex_components
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus


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


@pytest.mark.parametrize("shape", [torus(90, 40), moebius(80)])
def test_compiled_loops_give_the_same_tables_pieces_and_corners(shape, monkeypatch):
    _, faces = shape
    rng = np.random.default_rng(0)
    faces = faces[rng.permutation(len(faces))]
    faces[: len(faces) // 2] = faces[: len(faces) // 2, ::-1]
    faces = np.concatenate([faces, np.stack([faces[:40, 0], faces[:40, 1], faces[40:80, 2]], 1)])
    # One vertex with more edges than are put in order one by one.
    fan = np.arange(5000, 5100)
    faces = np.concatenate([faces, np.stack([np.full(100, 4999), fan, np.roll(fan, 1)], 1)[rng.permutation(100)]])
    left, right = rng.integers(0, 5000, (2, 4000))
    results = []
    for least in (0, 10**9):
        monkeypatch.setattr(topology, "WORTHWHILE", least)
        table = topology.edge_table(faces)
        arrays = [table.ends, table.count, table.halves, table.start, table.edge_of_half]
        arrays += [topology.label_components(5000, left, right), *separate_corners(faces, *table.pairs())]
        # A sixth of the faces leaves many pieces, and vertices that none has.
        arrays.append(topology.vertex_components(faces[::6], 5100))
        assert arrays[-1].max() > 30
        for some in (faces, faces[::3]):
            surface = orient_consistently(some)
            arrays += [surface.faces, surface.piece, surface.orientable]
            torn = np.random.default_rng(1).random(surface.piece.max() + 1)[surface.piece] < 0.7
            arrays += orient._nodes(edge_table(surface.faces), torn, some[:, 0] // 90)
        results.append(arrays)
    for compiled, plain in zip(*results, strict=True):
        assert compiled.dtype == plain.dtype
        assert (compiled == plain).all()


def test_area_vectors_do_not_depend_on_how_many_faces_are_taken_at_once(monkeypatch):
    vertices, faces = torus()
    whole = topology.face_vectors(vertices, faces)
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    assert np.array_equal(whole, 0.5 * np.cross(b - a, c - a))
    monkeypatch.setattr(topology, "in_portions", partial(in_portions, portion=1000))
    assert np.array_equal(topology.face_vectors(vertices, faces), whole)
