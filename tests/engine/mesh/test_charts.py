# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts are connected, have few borders, and lie flat without folds."""

import numpy as np
import pytest
from espalier.engine.mesh.surface.topology import edge_table, label_components
from espalier.engine.mesh.unwrap import charts as charting
from espalier.engine.mesh.unwrap import flatten as flattening
from espalier.engine.mesh.unwrap.charts import find_charts, winding_pairs
from espalier.engine.mesh.unwrap.flatten import flatten, stretches
from espalier.engine.mesh.unwrap.outlines import (
    ChartPoints,
    Trouble,
    chart_points,
    crossings,
    cut_through,
    overfull_points,
)
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, moebius, sphere, torus


def plate(n=12, hole=False):
    u, v = np.meshgrid(np.linspace(-0.4, 0.4, n), np.linspace(-0.4, 0.4, n), indexing="ij")
    points = np.stack([u, v, np.zeros_like(u)], -1).reshape(-1, 3)
    faces = grid_faces(n, n, False, False)
    if hole:
        faces = faces[np.abs(points[faces].mean(axis=1)[:, :2]).max(axis=1) > 0.15]
    return points, faces


def charts_of(vertices, faces, texel=0.002):
    left, right = winding_pairs(faces, edge_table(faces))
    return find_charts(vertices, faces, left, right, texel, np.radians(90), noisy=False), left, right


@pytest.mark.parametrize(
    "shape", [sphere, torus, cube, moebius, lambda: plate(hole=True), lambda: merge(cube(), torus())]
)
def test_every_chart_is_connected_and_has_points_of_its_own(shape):
    vertices, faces = shape()
    label, left, right = charts_of(vertices, faces)
    assert len(label) == len(faces)
    points = chart_points(label, left, right)
    same = label[left // 3] == label[right // 3]
    assert label_components(len(faces), left[same] // 3, right[same] // 3).max() == label.max()
    assert np.array_equal(points.chart[points.corner], np.repeat(label, 3).reshape(-1, 3))


@pytest.mark.parametrize("shape", [torus, moebius, lambda: merge(cube(), sphere())])
def test_the_same_charts_are_found_without_compiled_loops(shape, monkeypatch):
    random = np.random.default_rng(5)
    vertices, faces = shape()
    vertices = vertices + random.normal(scale=0.003, size=vertices.shape)
    compiled = charts_of(vertices, faces)[0]
    monkeypatch.setattr(charting, "load_loops", lambda module: None)
    assert np.array_equal(charts_of(vertices, faces)[0], compiled)


def test_a_flat_sheet_is_one_chart_and_a_box_has_no_more_than_sides():
    assert charts_of(*plate())[0].max() == 0
    assert charts_of(*cube())[0].max() < 6


def test_a_band_of_few_texels_is_not_cut_across_but_a_wide_one_is():
    points = np.stack(np.meshgrid(np.linspace(-0.3, 0.3, 121), [-0.01, 0.0, 0.01], [0.0]), -1)[..., 0, :]
    points, faces = points.reshape(-1, 3), grid_faces(3, 121, False, False)
    assert charts_of(points, faces, 0.02 / 5)[0].max() == 0
    assert charts_of(points, faces, 0.02 / 50)[0].max() > 0


def test_a_shell_of_more_than_half_a_turn_is_one_chart_where_it_is_some_texels_wide():
    turn = np.radians(np.linspace(-98, 98, 17))
    along = np.repeat(np.linspace(-0.03, 0.03, 31), 17)
    points = np.stack([along, np.tile(0.01 * np.sin(turn), 31), np.tile(0.01 * np.cos(turn), 31)], -1)
    faces = grid_faces(31, 17, False, False)
    assert charts_of(points, faces, 0.034 / 12)[0].max() == 0
    assert charts_of(points, faces, 0.034 / 50)[0].max() > 0


def test_strips_narrower_than_texels_join_their_neighbours():
    height = np.where(np.arange(12) < 6, 0.0, 0.002)
    points, faces = plate()
    points[:, 2] = np.repeat(height, 12)
    points[:, 0] = np.repeat(np.where(np.arange(12) < 6, np.arange(12), np.arange(12) - 0.999) * 0.07, 12)
    label, _, _ = charts_of(points, faces, 0.004)
    assert label.max() == 0


def test_a_cut_goes_through_the_trouble_and_otherwise_through_the_middle():
    vertices, faces = plate(13)
    middle = (vertices * [2, 1, 1])[faces].mean(axis=1)
    left, right = winding_pairs(faces, edge_table(faces))
    one = np.zeros(len(faces), dtype=np.int64)
    halves = cut_through(one, middle, left, right, Trouble.none())
    assert np.array_equal(halves == halves[0], middle[:, 0] < 0)
    parts = cut_through(one, middle, left, right, Trouble(np.array([0]), np.array([[0.4, -0.35, 0.0]])))
    assert np.array_equal(parts == parts[0], middle[:, 0] < 0.4)
    same_place = np.zeros((len(faces), 3))
    for _ in range(20):
        one = cut_through(one, same_place, left, right, Trouble.none())
    assert one.max() + 1 == len(faces)


def test_points_with_more_than_a_turn_around_them_are_found():
    turns = np.linspace(0, 4 * np.pi, 13)[:-1]
    uv = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(turns), np.sin(turns)], 1)])
    corner = np.stack([np.zeros(12, int), np.arange(1, 13), np.arange(1, 13) % 12 + 1], 1)
    closed = ChartPoints(corner, np.zeros(13, int), np.array([0, 13]), np.zeros(0, bool))
    assert [found.tolist() for found in overfull_points(uv, closed)] == [[0], []]
    cut = ChartPoints(corner[:8], np.zeros(13, int), np.array([0, 13]), np.zeros(0, bool))
    assert [found.tolist() for found in overfull_points(uv, cut)] == [[], [0]]
    half = ChartPoints(corner[:5], np.zeros(13, int), np.array([0, 13]), np.zeros(0, bool))
    assert [found.tolist() for found in overfull_points(uv, half)] == [[], []]


def test_a_cap_of_a_sphere_lies_flat_without_folds_and_hardly_stretched():
    vertices, faces = sphere()
    faces = faces[vertices[faces].mean(axis=1)[:, 2] > 0.1]
    used, corners = np.unique(faces, return_inverse=True)
    corners = corners.reshape(-1, 3)
    uv = flatten(vertices[used], corners, np.zeros(len(faces), dtype=np.int64))
    _, stretch = stretches(vertices[used], uv, corners)
    assert stretch[:, 1].min() > 0.7
    assert stretch[:, 0].max() < 1.4


def caps(*heights):
    """Caps of spheres as one mesh whose charts have their own points: [V, 3], [F, 3], [F]."""
    parts = []
    for height in heights:
        vertices, faces = sphere()
        faces = faces[vertices[faces].mean(axis=1)[:, 2] > height]
        used, corners = np.unique(faces, return_inverse=True)
        parts.append((vertices[used], corners.reshape(-1, 3)))
    return *merge(*parts), np.repeat(np.arange(len(parts)), [len(faces) for _, faces in parts])


# The third covers nearly the whole sphere: faces that lie mirrored are spread out.
@pytest.mark.parametrize(("heights", "begun"), [((0.1, 0.25, -0.1), False), ((0.2, 0.0), True), ((0.1, -0.39), False)])
def test_charts_are_flattened_alike_with_and_without_compiled_loops(heights, begun, monkeypatch):
    points, corners, chart = caps(*heights)
    arguments = points, corners, chart, points[:, :2] * [1.2, 0.7] if begun else None
    compiled = flatten(*arguments)
    monkeypatch.setattr(flattening, "load_loops", lambda module: None)
    assert np.allclose(flatten(*arguments), compiled, atol=1e-9)
    assert stretches(points, compiled, corners)[1].min() > 0


def test_a_chart_with_a_wide_band_is_flattened_like_the_others():
    # A fan: whatever the order of its points, one of them is next to all.
    turns = np.linspace(0, 2 * np.pi, 801)[:-1]
    fan = np.concatenate([[[0.0, 0.0, 0.0]], np.stack([np.cos(turns), np.sin(turns), 0 * turns], 1)])
    rim = np.arange(1, 801)
    points, corners = merge((fan, np.stack([0 * rim, rim, rim % 800 + 1], 1)), plate())
    chart = np.repeat([0, 1], [800, len(corners) - 800])
    _, stretch = stretches(points, flatten(points, corners, chart), corners)
    assert np.allclose(stretch, 1.0, atol=1e-6)


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
    assert len(crossings(flat, points)) == 0
    angle = 9.0 * (flat[:, 0] + 0.4)
    rolled = (0.7 + flat[:, 1:]) * np.stack([np.cos(angle), np.sin(angle)], 1)
    second = (points.chart == 1)[:, None]
    assert set(points.chart[crossings(np.where(second, rolled, flat), points)]) == {1}
