# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts that lie over themselves or are much stretched are told from others, with and without compiled loops."""

import numpy as np
import pytest
from espalier.engine.mesh.surface.topology import edge_table
from espalier.engine.mesh.unwrap import judge
from espalier.engine.mesh.unwrap.charts import winding_pairs
from espalier.engine.mesh.unwrap.judge import lie_well
from espalier.engine.mesh.unwrap.outlines import chart_points
from espalier.tests.engine.mesh.shapes import grid_faces


def sheet(n=9):
    """A square of n x n points, [V, 2] and [F, 3]."""
    square = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij"), -1).reshape(-1, 2)
    return square, grid_faces(n, n, False, False)


def judged(*layouts, everywhere=True):
    """``lie_well`` of the sheet, a chart for each of the layouts [V, 2] of it."""
    square, faces = sheet()
    count = len(layouts)
    corner = np.concatenate([faces + c * len(square) for c in range(count)])
    exact = np.tile(np.pad(square, [(0, 0), (0, 1)]), (count, 1))
    label = np.repeat(np.arange(count), len(faces))
    first = len(square) * np.arange(count + 1)
    return lie_well(exact, np.concatenate(layouts), corner, label, first, 1e-12, everywhere)


def rolled(square):
    """Laid round a ring for more than a turn: the ends cover each other, no face is mirrored."""
    angle = 7.0 * square[:, 0]
    return (0.2 + square[:, 1:]) * np.stack([-np.cos(angle), np.sin(angle)], 1) / 2


def folded(square):
    return np.stack([np.minimum(square[:, 0], 1.2 - square[:, 0]), square[:, 1]], 1)


def test_only_charts_that_lie_flat_and_apart_lie_well(monkeypatch):
    square, _ = sheet()
    monkeypatch.setattr(judge, "STRETCHED_SHARE", 1.0)
    layouts = square, folded(square), rolled(square), square * [1.0, -1.0], square * np.nan, square * 0.7
    good, spot = judged(*layouts)
    assert good.tolist() == [True, False, False, False, False, True]
    assert spot.reshape(6, -1).any(axis=1).tolist() == [False, True, True, True, False, False]


def test_no_more_than_a_share_of_a_chart_may_be_stretched():
    square, _ = sheet()
    assert judged(square * [1.9, 1.0], square * [2.1, 1.0], square * [0.4, 1.0])[0].tolist() == [True, False, False]


@pytest.mark.parametrize("everywhere", [False, True])
def test_compiled_loops_judge_alike(everywhere, monkeypatch):
    random = np.random.default_rng(7)
    square, _ = sheet()
    layouts = [square + random.normal(scale=random.choice([0.01, 0.05, 0.2]), size=square.shape) for _ in range(60)]
    layouts += [rolled(square * random.uniform(0.5, 1.0, 2)) for _ in range(20)]
    compiled = judged(*layouts, everywhere=everywhere)
    monkeypatch.setattr(judge, "load_loops", lambda module: None)
    plain = judged(*layouts, everywhere=everywhere)
    assert all(np.array_equal(one, other) for one, other in zip(compiled, plain, strict=True))
    assert 0 < plain[0].sum() < len(layouts)


def test_a_point_round_which_faces_make_more_than_a_turn_is_the_cause_of_crossings_there():
    turns = 7.0 * np.linspace(0, 1, 10)
    flat = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(turns), np.sin(turns)], 1)])
    exact = np.concatenate([flat, np.linspace(0, 0.01, 11)[:, None]], 1)
    corner = np.stack([np.zeros(9, int), np.arange(1, 10), np.arange(2, 11)], 1)
    points = chart_points(np.zeros(9, int), *winding_pairs(corner, edge_table(corner)))
    where = np.empty(len(points.chart), dtype=int)
    where[points.corner] = corner
    good, spot = lie_well(exact[where], flat[where], points.corner, np.zeros(9, int), points.first, 1e-12, True)
    assert not good[0]
    assert where[spot].tolist() == [0]
