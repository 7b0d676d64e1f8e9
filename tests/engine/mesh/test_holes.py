# SPDX-License-Identifier: GPL-3.0-or-later
"""Small holes close with the winding around them; openings, rims and patches stay."""

import numpy as np
import pytest
from espalier.engine.mesh.repair.holes import fill_holes
from espalier.engine.mesh.surface.manifold import split_non_manifold
from espalier.engine.mesh.surface.topology import edge_table, half_edge_ends
from espalier.tests.engine.mesh.shapes import grid_faces, signed_volume, sphere, torus


def directed_edges_are_unique(faces):
    tail, head = half_edge_ends(faces)
    return len(np.unique(np.stack([tail, head], 1), axis=0)) == len(tail)


def test_dropped_faces_are_filled_with_the_winding_around_them():
    vertices, faces = torus(60, 30)
    kept = faces[np.random.default_rng(1).random(len(faces)) > 0.01]
    apart, kept, _, _ = split_non_manifold(vertices, kept)
    filled_vertices, filled, holes = fill_holes(apart, kept, 0.5)
    assert holes > 10
    assert (edge_table(filled).count == 2).all()
    assert directed_edges_are_unique(filled)
    assert signed_volume(filled_vertices, filled) == pytest.approx(signed_volume(vertices, faces), rel=1e-3)


@pytest.mark.parametrize("size", [8, 48])
def test_a_round_hole_is_covered_by_its_flattest_disc(size):
    angle = 2 * np.pi * np.arange(size) / size
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(size)], 1)
    wide = grid_faces(2, size, False, True)
    vertices = np.concatenate([0.1 * ring, 0.4 * ring])
    filled_vertices, filled, holes = fill_holes(vertices, wide, 1.0)
    assert holes == 1
    added = filled[len(wide) :]
    points = filled_vertices[added]
    area = 0.5 * np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    assert np.abs(area.sum(axis=0)[2]) == pytest.approx(0.5 * size * 0.01 * np.sin(2 * np.pi / size))
    assert np.linalg.norm(area, axis=1).sum() == pytest.approx(np.abs(area.sum(axis=0)[2]))
    assert directed_edges_are_unique(filled)


def test_openings_longer_than_the_limit_stay_open():
    vertices, faces = sphere(0.4)
    bowl = faces[vertices[faces].mean(axis=1)[:, 2] < 0]
    assert fill_holes(vertices, bowl, 1.0)[2] == 0


def test_a_small_patch_is_not_doubled():
    vertices, faces = sphere(0.4)
    scale = faces[(np.linalg.norm(vertices[faces].mean(axis=1) - [0.4, 0, 0], axis=1) < 0.08)]
    assert fill_holes(vertices, scale, 10.0)[2] == 0


def test_cuts_that_are_marked_stay_open():
    vertices, faces = torus(60, 30)
    kept = np.delete(faces, [5, 900], axis=0)
    table = edge_table(kept)
    marked = np.zeros(3 * len(kept), dtype=bool)
    marked[table.boundary()[0]] = True
    assert fill_holes(vertices, kept, 0.5)[2] == 2
    assert fill_holes(vertices, kept, 0.5, marked)[2] == 1
