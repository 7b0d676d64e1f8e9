# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card finds the sizes and shapes of pieces that the processor finds."""

from dataclasses import astuple, replace

import numpy as np
from espalier.engine.kernels import choice
from espalier.engine.kernels.host_arrays import on_card
from espalier.engine.mesh.repair import holes, orient, taken_apart
from espalier.engine.mesh.repair.orient import orient_consistently
from espalier.engine.mesh.surface import clean, tensor_pieces
from espalier.engine.mesh.surface.topology import EdgesOnCard, edge_table, face_vectors, vertex_components
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus


def pieces():
    """Closed and open pieces of many and of few faces, apart from each other, in any order, and a vertex of none."""
    vertices, faces = merge(torus(24, 12), sphere(0.1, (0.3, 0.3, 0.3)), moebius(30), cube(0.05, (0.4, -0.4, 0.4)))
    faces = faces[np.random.default_rng(0).permutation(len(faces))[: -len(faces) // 9]]
    return np.concatenate([vertices, [[0.5, 0.5, 0.5]]]), faces.astype(np.int64)


def apart():
    vertices, faces = pieces()
    table = edge_table(faces)
    surface = orient_consistently(faces, table)
    turned = orient.which_turned(surface.faces, faces)
    empty = np.zeros(0)
    return taken_apart.Parts(vertices, surface, table, turned, empty, empty, np.arange(len(vertices)), 0)


def close(found, expected):
    return found.dtype == expected.dtype and np.allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_pieces_have_the_same_shapes(card):
    with choice.plain_torch():
        parts = apart()
        expected = astuple(orient._shape_of_pieces(parts.vertices, parts.surface))
    assert len(expected[0]) > 3
    found = astuple(orient._shape_of_pieces(parts.vertices, parts.surface))
    assert all(map(close, found, expected))


def test_pieces_are_as_large_and_the_same_ones_float(card):
    vertices, faces = pieces()
    with choice.plain_torch():
        piece = vertex_components(faces, len(vertices))
        expected = clean.piece_diagonals(vertices, faces, piece), *clean.find_floaters(vertices, faces, 0.05)
        areas = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1))
    assert expected[2] == 1 and 0 < expected[1].sum() < len(faces)
    found = clean.piece_diagonals(vertices, faces, piece), *clean.find_floaters(vertices, faces, 0.05)
    assert close(found[0], expected[0])
    assert np.array_equal(found[1], expected[1]) and found[2] == expected[2]
    assert close(on_card(lambda *given: tensor_pieces.areas(*given, len(areas)), piece, faces, vertices), areas)


def test_vertices_belong_to_pieces_of_the_same_area(card):
    vertices, faces = pieces()
    with choice.plain_torch():
        expected = holes._area_around_vertices(vertices, faces)
    assert len(np.unique(expected)) > 3
    assert close(holes._area_around_vertices(vertices, faces), expected)


def test_open_pieces_are_strips_of_the_same_width(card):
    with choice.plain_torch():
        parts = apart()
        expected = taken_apart._widths(parts, parts.edges.boundary())
    assert (expected < 0.1).any()
    assert close(taken_apart._widths(parts, parts.edges.boundary()), expected)


def test_a_closed_piece_has_no_width(card):
    vertices, faces = merge(cube(), moebius(30))
    surface = orient_consistently(faces)
    empty = np.zeros(0)
    edges, turned = edge_table(surface.faces), np.zeros(len(faces), dtype=bool)
    parts = taken_apart.Parts(vertices, surface, edges, turned, empty, empty, np.arange(len(vertices)), 0)
    width = taken_apart._widths(parts, edges.boundary())
    assert np.isinf(width[0]) and 0 < width[1] < 1


def test_the_same_half_edges_are_open_only_because_of_a_cut(card):
    with choice.plain_torch():
        parts = apart()
        # As if vertices had been copies of each other before.
        parts = replace(parts, origin=np.arange(len(parts.vertices)) % (len(parts.vertices) // 2))
        expected = taken_apart._cut_edges(parts)
    assert 10 < expected.sum() < len(parts.edges.boundary())
    on_card = replace(parts, edges=edge_table(taken_apart._corners_of_edges(parts)))
    assert isinstance(on_card.edges, EdgesOnCard)
    assert np.array_equal(taken_apart._cut_edges(on_card), expected)
