# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card takes a surface apart into the pieces that the processor makes of it, in one visit."""

import numpy as np
import pytest
from espalier.engine.kernels import choice
from espalier.engine.mesh.repair import orient, tensor_taken_apart
from espalier.engine.mesh.repair.taken_apart import take_apart
from espalier.engine.mesh.surface.topology import EdgesOnCard, face_vectors
from espalier.tests.engine.mesh.both_ways import no_room
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus, voxel_asset

VOXEL = 0.025
FIELDS = ("vertices", "turned", "hints", "seen", "origin")


def shown_from(above, vertices, faces):
    """What is seen of both sides where the upper part of an object shows its front and the rest its back."""
    size = np.linalg.norm(face_vectors(vertices, faces), axis=1)
    is_above = vertices[faces].mean(axis=1)[:, 2] > above
    return np.stack([np.where(is_above, size, 0.0), np.where(is_above, 0.0, size)], 1)


def ball():
    """A ball that shows its front above and its back below, and a cube in it; all wound outward."""
    vertices, faces = merge(sphere(0.4, rows=24, columns=32), cube(0.1))
    faces = faces.astype(np.int64)
    return vertices, faces, np.zeros(len(faces), dtype=np.int8), shown_from(0.0, vertices, faces)


def heap(share, seed=0):
    """Bodies and a band through each other, with holes: crowded edges, and pieces without sides of their own."""
    shapes = torus(40, 20), moebius(), sphere(0.2, (0.1, 0.0, 0.0)), sphere(0.42), cube(0.05, (0.4, 0.4, 0.4))
    vertices, faces, _ = voxel_asset(*merge(*shapes), 40)
    rng = np.random.default_rng(seed)
    vertices = vertices + 1e-4 * rng.standard_normal(vertices.shape)
    faces = faces[rng.random(len(faces)) < share].astype(np.int64)
    seen = shown_from(0.1, vertices, faces)
    over = rng.random(len(faces)) < 0.4
    faces[over], seen[over] = faces[over, ::-1], seen[over, ::-1]
    return vertices, faces, rng.integers(-1, 2, len(faces)).astype(np.int8), seen


def crossing():
    """Three sheets through one line, whose faces pair up along it, and a hinge of three, bent differently."""
    steps = np.arange(9) / 10 - 0.4
    line = np.stack([steps, np.zeros(9), np.zeros(9)], 1)
    angles = np.append(np.arange(6) * np.pi / 3 + 0.1 * np.sin(np.arange(6)), [0.3, 2.0, 4.5])
    rims = [line + 0.1 * np.array([0.0, np.cos(angle), np.sin(angle)]) for angle in angles]
    away = np.array([0.0, 0.0, 0.5])
    vertices = np.concatenate([line, line + away, *rims[:6], *(rim + away for rim in rims[6:])])
    faces = []
    for number in range(9):
        a, b = 9 * (number > 5) + np.arange(8), 9 * (number + 2) + np.arange(8)
        faces += [np.stack([a, a + 1, b], 1), np.stack([a + 1, b + 1, b], 1)]
    faces = np.concatenate(faces).astype(np.int64)
    seen = np.random.default_rng(0).random((len(faces), 2)) * VOXEL**2
    return vertices, faces, np.zeros(len(faces), dtype=np.int8), seen


SURFACES = {"ball": ball, "whole": lambda: heap(1.0), "holes": lambda: heap(0.8), "crossing": crossing}


def assert_same_parts(found, expected):
    for name in FIELDS:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), name
    for ours, theirs in zip(vars(found.surface).values(), vars(expected.surface).values(), strict=True):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    assert np.array_equal(found.edges.halves, expected.edges.halves)
    assert np.array_equal(found.edges.edge_of_half, expected.edges.edge_of_half)
    assert found.seam_edges == expected.seam_edges


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_is_taken_apart_the_same(name, card):
    given = SURFACES[name]()
    with choice.plain_torch():
        expected = take_apart(*given, VOXEL)
    assert len(expected.vertices) > len(np.unique(given[1]))
    found = take_apart(*given, VOXEL)
    assert isinstance(found.edges, EdgesOnCard)
    assert_same_parts(found, expected)


def test_only_the_graph_of_voxels_goes_to_the_processor_for_the_cut(card, monkeypatch):
    """And no two of its edges join the same nodes."""
    vertices, faces, hints, seen = ball()
    asked, minimum_cut = [], orient.minimum_cut

    def counted(wish, a, b, cost):
        asked.append((len(wish), len(np.unique(np.stack([a, b]), axis=1).T), len(a)))
        return minimum_cut(wish, a, b, cost)

    monkeypatch.setattr(orient, "minimum_cut", counted)
    assert take_apart(vertices, faces, hints, seen, 4 * VOXEL).seam_edges > 10
    [(nodes, pairs, edges)] = asked
    assert 10 < nodes < len(faces) / 4 and pairs == edges < len(faces)


def test_what_the_card_has_no_room_for_the_processor_takes_apart(card, monkeypatch):
    given = heap(0.8)
    with choice.plain_torch():
        expected = take_apart(*given, VOXEL)

    monkeypatch.setattr(tensor_taken_apart, "taken_apart", no_room)
    assert_same_parts(take_apart(*given, VOXEL), expected)
