# SPDX-License-Identifier: GPL-3.0-or-later
"""Small openings and crumbs do not shatter a surface into charts, and no chart covers itself."""

import numpy as np
import pytest
from espalier.engine.mesh.unwrap import relax as relaxing
from espalier.engine.mesh.unwrap.outlines import ChartPoints, crossings, overfull_points
from espalier.engine.mesh.unwrap.relax import relax
from espalier.tests.engine.mesh.shapes import grid_faces


def saddle(n=25):
    """A saddle over [-0.4, 0.4]^2 of n x n points: [V, 3], [F, 3]."""
    u, v = np.meshgrid(np.linspace(-0.4, 0.4, n), np.linspace(-0.4, 0.4, n), indexing="ij")
    points = np.stack([u, v, 1.5 * (u**2 - v**2)], -1).reshape(-1, 3)
    return points, grid_faces(n, n, False, False)


def slit(points, faces, from_x, to_x, n=25):
    """The same surface cut open along the middle row between two columns."""
    row = np.arange(n) * n + n // 2
    cut = row[from_x + 1 : to_x]
    copies = np.arange(len(points), len(points) + len(cut))
    to = np.arange(len(points))
    to[cut] = copies
    above = points[faces].mean(axis=1)[:, 1] > 0
    return np.concatenate([points, points[cut]]), np.where(above[:, None], to[faces], faces)


def check(uv, chart, faces):
    """No chart covers itself."""
    for name in np.unique(chart):
        inside = chart == name
        key = np.concatenate([faces[inside].reshape(-1, 1), uv[inside].reshape(-1, 2)], axis=1)
        points, corner = np.unique(key, axis=0, return_inverse=True)
        shown = ChartPoints(
            corner.reshape(-1, 3), np.zeros(len(points), int), np.array([0, len(points)]), np.zeros(0, bool)
        )
        assert len(crossings(points[:, 1:], shown)) == 0
        assert all(len(found) == 0 for found in overfull_points(points[:, 1:], shown))
        edges = uv[inside][:, 1:] - uv[inside][:, :1]
        assert (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0] > 0).all()


def test_openings_in_a_chart_stay_openings():
    points, faces = saddle()
    middle = points[faces].mean(axis=1)[:, :2]
    pierced = faces[(np.abs(np.mod(middle, 0.2) - 0.1) > 0.03).any(axis=1)]
    assert len(pierced) < len(faces)
    uv, chart, rest = relax(points, pierced, 0.004, lambda: None)
    assert chart.max() == 0 and (rest < 0).all()
    check(uv, chart, pierced)


def test_the_lips_of_a_slit_in_a_saddle_do_not_lie_over_each_other():
    points, faces = slit(*saddle(), 8, 16)
    uv, chart, rest = relax(points, faces, 0.004, lambda: None)
    assert chart.max() == 0 and (rest < 0).all()
    check(uv, chart, faces)


def test_a_saddle_cut_from_its_rim_is_divided_where_it_would_lie_over_itself():
    points, faces = slit(*saddle(), -1, 13)
    uv, chart, rest = relax(points, faces, 0.004, lambda: None)
    assert 1 <= chart.max() <= 3 and (rest < 0).all()
    check(uv, chart, faces)


def test_a_crumpled_spot_at_the_rim_takes_only_itself_out_of_a_chart():
    points, faces = saddle()
    points[:, 2] = 0.0
    # Around the middle of one side winds a ramp of more than a turn, in steps of 30 degrees.
    centre, begin = 12 * 25, 13 * 25
    angle = -np.radians(30) * np.arange(1, 15)
    ramp = points[centre] + 0.8 / 24 * np.stack([np.cos(angle), np.sin(angle), -0.02 * angle], -1)
    spoke = np.concatenate([[begin], len(points) + np.arange(len(ramp))])
    points = np.concatenate([points, ramp])
    faces = np.concatenate([faces, np.stack([np.full(len(ramp), centre), spoke[1:], spoke[:-1]], -1)])
    uv, chart, rest = relax(points, faces, 0.004, lambda: None)
    assert (rest < 0).all()
    check(uv, chart, faces)
    assert len(np.unique(chart)) > 1
    assert np.bincount(chart).max() > 0.95 * len(faces)


@pytest.mark.parametrize("texel", [0.01, 0.004])
def test_narrow_charts_join_the_neighbour_along_their_longest_border(texel):
    points, faces = saddle()
    points[:, 2] = 0.0
    work = relaxing._Relaxation(points, faces, texel, lambda: None)
    middle = work.middle[:, :2]
    strip = (np.abs(middle[:, 0] - 0.02) < 0.02) & (middle[:, 1] < 0.2)
    label = np.where(strip, 1, np.where(middle[:, 0] > 0.2, 2, 0))
    work._keep(np.arange(len(faces)), label, points[faces][..., :2], True)
    work.join_narrow()
    chart = work.shown_charts()
    assert len(np.unique(chart)) == 2
    assert np.array_equal(chart == chart[label == 2][0], label == 2)
