# SPDX-License-Identifier: GPL-3.0-or-later
"""Winding is consistent, outward, and independent of how the input was wound."""

import numpy as np
import pytest
from espalier.engine.mesh.repair.orient import open_seams, orient_consistently, orient_outward
from espalier.engine.mesh.repair.repair import repair
from espalier.engine.mesh.repair.sides import GridSides
from espalier.engine.mesh.surface.manifold import split_non_manifold
from espalier.engine.mesh.surface.topology import edge_table, half_edge_ends, vertex_components
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, signed_volume, sphere, torus, voxel_asset

NO_CELLS = np.zeros((0, 3), dtype=np.int64)


def flipped(faces, seed=0):
    flip = np.random.default_rng(seed).random(len(faces)) < 0.5
    return np.where(flip[:, None], faces[:, ::-1], faces)


def inconsistent_edges(faces):
    left, right = edge_table(faces).pairs()
    tail, _ = half_edge_ends(faces)
    return int((tail[left] == tail[right]).sum())


@pytest.mark.parametrize("shape", [cube(), sphere(), torus()])
def test_random_flips_are_undone(shape):
    vertices, faces = shape
    surface, _ = orient_outward(vertices, orient_consistently(flipped(faces)))
    assert inconsistent_edges(surface.faces) == 0
    assert signed_volume(vertices, surface.faces) == pytest.approx(signed_volume(vertices, faces))


def test_nested_closed_shells_each_face_outward():
    shells = [sphere(0.45), sphere(0.3), cube(0.2)]
    vertices, faces = merge(*shells)
    surface, turned = orient_outward(vertices, orient_consistently(flipped(faces, 3)))
    assert 0 <= turned <= 3
    piece = vertex_components(surface.faces, len(vertices))
    for index, (own_vertices, own_faces) in enumerate(shells):
        volume = signed_volume(vertices, surface.faces[piece == index])
        assert volume == pytest.approx(signed_volume(own_vertices, own_faces))


def test_an_open_bowl_faces_away_from_its_inside():
    vertices, faces = sphere(0.4)
    bowl = faces[vertices[faces].mean(axis=1)[:, 2] < 0]
    surface, _ = orient_outward(vertices, orient_consistently(flipped(bowl)))
    middle = vertices[surface.faces].mean(axis=1)
    normal = np.cross(
        vertices[surface.faces[:, 1]] - vertices[surface.faces[:, 0]],
        vertices[surface.faces[:, 2]] - vertices[surface.faces[:, 0]],
    )
    assert (np.einsum("fi,fi->f", normal, middle) > 0).all()


def test_a_flat_sheet_faces_up():
    vertices, faces = cube(1.0)
    top = faces[(vertices[faces][:, :, 2] > 0).all(axis=1)]
    surface, _ = orient_outward(vertices, orient_consistently(top[:, ::-1]))
    a, b, c = vertices[surface.faces[0]]
    assert np.cross(b - a, c - a)[2] > 0


def test_a_moebius_band_is_recognised_and_opened_along_one_short_seam():
    _vertices, faces = moebius()
    surface = orient_consistently(faces)
    assert surface.orientable.tolist() == [False]
    opened, copies, cut = open_seams(faces, surface, edge_table(faces), lambda left, _: np.zeros(len(left)))
    assert orient_consistently(opened).orientable.all()
    assert inconsistent_edges(opened) == 0
    assert (np.sort(copies[opened], axis=1) == np.sort(faces, axis=1)).all()
    assert 0 < cut <= 24


def test_what_can_be_oriented_is_wound_and_left_whole_where_something_else_is_cut():
    _vertices, faces = merge(cube(), moebius(), sphere())
    faces = flipped(faces)
    surface = orient_consistently(faces)
    opened, copies, cut = open_seams(faces, surface, edge_table(faces), lambda left, _: np.arange(len(left)))
    whole = surface.orientable[surface.piece]
    assert 0 < (~whole).sum() < len(faces) and 0 < cut <= 24
    assert np.array_equal(copies[opened][whole], surface.faces[whole])
    assert np.bincount(copies)[np.unique(faces[whole])].max() == 1
    assert orient_consistently(opened).orientable.all() and inconsistent_edges(opened) == 0


def test_the_voxel_grid_tells_the_outside_of_a_shell_with_a_hole():
    vertices, faces = sphere(0.4)
    inner_vertices, inner_faces = sphere(0.3)
    top = vertices[faces].mean(axis=1)[:, 2] < 0.3
    top_inner = inner_vertices[inner_faces].mean(axis=1)[:, 2] < 0.3 * 0.75
    raw_vertices, raw_faces, material = voxel_asset(
        *merge((vertices, faces[top]), (inner_vertices, inner_faces[top_inner])), 48
    )
    closed_vertices, closed_faces, closed = voxel_asset(*sphere(0.4), 48)
    hints = GridSides.of(closed_vertices.astype(float), closed_faces, closed.coords, 48).hints()
    corners = closed_vertices[closed_faces].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = np.sign(np.einsum("fi,fi->f", normal, corners.mean(axis=1)))
    assert (hints == outward).mean() > 0.99
    # Two open shells: everything is outside, so nothing is claimed.
    assert (GridSides.of(raw_vertices.astype(float), raw_faces, material.coords, 48).hints() == 0).mean() > 0.9


def test_two_cubes_that_touch_along_an_edge_come_apart_as_closed_solids():
    vertices, faces = merge(cube(0.4, (-0.2, 0, -0.2)), cube(0.4, (0.2, 0, 0.2)))
    _, index = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    points = np.zeros((index.max() + 1, 3))
    points[index.reshape(-1)] = vertices
    split, corners, origin, crowded = split_non_manifold(points, flipped(index.reshape(-1)[faces]))
    assert crowded == 1
    assert (edge_table(corners).count == 2).all()
    assert vertex_components(corners, len(split)).max() == 1
    assert (points[origin] == split).all()


def test_solids_that_pass_through_each_other_keep_one_closed_skin():
    raw_vertices, raw_faces, material = voxel_asset(*merge(sphere(0.3, (-0.15, 0, 0)), sphere(0.3, (0.15, 0, 0))), 48)
    assert (edge_table(raw_faces).count > 2).any()
    vertices, faces, counts = repair(raw_vertices, flipped(raw_faces), material.coords, 48)
    assert counts["crowded_edges"] > 0
    table = edge_table(faces)
    assert (table.count <= 2).all()
    assert inconsistent_edges(faces) == 0
    piece = vertex_components(faces, len(vertices))
    skin = piece == np.argmax(np.bincount(piece))
    union = 2 * 4 / 3 * np.pi * 0.3**3 - np.pi * (4 * 0.3 + 0.3) * (2 * 0.3 - 0.3) ** 2 / 12
    assert signed_volume(vertices, faces[skin]) == pytest.approx(union, rel=0.03)


def test_winding_of_the_input_does_not_matter():
    raw_vertices, raw_faces, material = voxel_asset(*torus(), 32)
    first = repair(raw_vertices, raw_faces, material.coords, 32)
    second = repair(raw_vertices, flipped(raw_faces), material.coords, 32)
    assert signed_volume(*first[:2]) == pytest.approx(signed_volume(*second[:2]))
    assert signed_volume(*first[:2]) > 0
