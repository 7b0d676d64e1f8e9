# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts are connected disks along few borders, and lie flat without folds."""

import numpy as np
import pytest
from espalier.engine.mesh.charts import find_charts, winding_pairs
from espalier.engine.mesh.disks import (
    chart_points,
    crossing_charts,
    cut_to_disks,
    euler_characteristic,
    halve,
)
from espalier.engine.mesh.flatten import flatten, stretches
from espalier.engine.mesh.topology import edge_table, label_components
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, moebius, sphere, torus


def plate(n=12, hole=False):
    u, v = np.meshgrid(np.linspace(-0.4, 0.4, n), np.linspace(-0.4, 0.4, n), indexing="ij")
    points = np.stack([u, v, np.zeros_like(u)], -1).reshape(-1, 3)
    faces = grid_faces(n, n, False, False)
    if hole:
        faces = faces[np.abs(points[faces].mean(axis=1)[:, :2]).max(axis=1) > 0.15]
    return points, faces


def disks_of(vertices, faces, texel=0.002):
    left, right = winding_pairs(faces, edge_table(faces))
    label = find_charts(vertices, faces, left, right, texel, np.radians(90), noisy=False)
    return cut_to_disks(label, vertices[faces].mean(axis=1), left, right), left, right


@pytest.mark.parametrize(
    "shape", [sphere, torus, cube, moebius, lambda: plate(hole=True), lambda: merge(cube(), torus())]
)
def test_every_chart_is_a_connected_disk(shape):
    vertices, faces = shape()
    label, left, right = disks_of(vertices, faces)
    assert len(label) == len(faces)
    points = chart_points(label, left, right)
    assert (euler_characteristic(label, points, left) == 1).all()
    same = label[left // 3] == label[right // 3]
    assert label_components(len(faces), left[same] // 3, right[same] // 3).max() == label.max()
    assert np.array_equal(points.chart[points.corner], np.repeat(label, 3).reshape(-1, 3))


def test_the_euler_characteristic_tells_spheres_rings_and_disks_apart():
    ball, ring, sheet = sphere(rows=6, columns=8), plate(hole=True), plate()
    _, faces = merge(ball, torus(), ring, sheet)
    left, right = winding_pairs(faces, edge_table(faces))
    label = label_components(len(faces), left // 3, right // 3)
    assert euler_characteristic(label, chart_points(label, left, right), left).tolist() == [2, 0, 0, 1]


def test_a_flat_sheet_is_one_chart_and_a_box_has_no_more_than_sides():
    assert disks_of(*plate())[0].max() == 0
    assert disks_of(*cube())[0].max() < 6


def test_strips_narrower_than_texels_join_their_neighbours():
    height = np.where(np.arange(12) < 6, 0.0, 0.002)
    points, faces = plate()
    points[:, 2] = np.repeat(height, 12)
    points[:, 0] = np.repeat(np.where(np.arange(12) < 6, np.arange(12), np.arange(12) - 0.999) * 0.07, 12)
    label, _, _ = disks_of(points, faces, 0.004)
    assert label.max() == 0


def test_halving_leaves_other_charts_alone_and_makes_progress():
    vertices, faces = plate(13)
    middle = vertices[faces].mean(axis=1)
    left, right = winding_pairs(faces, edge_table(faces))
    label = (middle[:, 0] > 0).astype(np.int64)
    assert np.bincount(label).tolist() == [144, 144]
    label = halve(label, np.array([1]), middle, left, right)
    assert sorted(np.bincount(label)) == [72, 72, 144]
    same_place = np.zeros((len(faces), 3))
    for _ in range(20):
        label = halve(label, np.arange(label.max() + 1), same_place, left, right)
    assert label.max() + 1 == len(faces)


def test_a_cap_of_a_sphere_lies_flat_without_folds_and_hardly_stretched():
    vertices, faces = sphere()
    faces = faces[vertices[faces].mean(axis=1)[:, 2] > 0.1]
    used, corners = np.unique(faces, return_inverse=True)
    corners = corners.reshape(-1, 3)
    uv = flatten(vertices[used], corners, np.zeros(len(faces), dtype=np.int64))
    _, stretch = stretches(vertices[used], uv, corners)
    assert stretch[:, 1].min() > 0.7
    assert stretch[:, 0].max() < 1.4


def test_flattening_charts_together_gives_what_each_alone_gives():
    first, second = plate(), sphere(rows=8, columns=12)
    second = second[0], second[1][second[0][second[1]].mean(axis=1)[:, 2] > 0.05]
    second = second[0][np.unique(second[1])], np.unique(second[1], return_inverse=True)[1].reshape(-1, 3)
    vertices, faces = merge(first, second)
    both = flatten(vertices, faces, np.repeat([0, 1], [len(first[1]), len(second[1])]))
    alone = flatten(*second, np.zeros(len(second[1]), dtype=np.int64))
    assert np.allclose(both[len(first[0]) :], alone, atol=1e-9)


def test_outlines_that_cross_themselves_are_found():
    vertices, faces = plate()
    _, more = merge((vertices, faces), (vertices, faces))
    left, right = winding_pairs(more, edge_table(more))
    label = np.repeat([0, 1], len(faces))
    points = chart_points(label, left, right)
    flat = np.empty((len(points.chart), 2))
    flat[points.corner] = np.concatenate([vertices, vertices])[more][..., :2]
    assert len(crossing_charts(flat, points)) == 0
    angle = 9.0 * (flat[:, 0] + 0.4)
    rolled = (0.7 + flat[:, 1:]) * np.stack([np.cos(angle), np.sin(angle)], 1)
    second = (points.chart == 1)[:, None]
    assert crossing_charts(np.where(second, rolled, flat), points).tolist() == [1]
