# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts are measured in all directions, with and without compiled loops."""

import numpy as np
from espalier.engine.mesh.unwrap import widths
from espalier.engine.mesh.unwrap.widths import narrowest, ranges

STRIP = np.array([[[0, 0], [3, 0], [3, 0.5]], [[0, 0], [3, 0.5], [0, 0.5]]])


def turned(points, angle):
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_the_width_of_a_chart_is_that_of_its_narrow_side():
    uv = np.concatenate([STRIP, 2 * turned(STRIP, np.radians(45))])
    angle, width = narrowest(uv, np.array([0, 0, 2, 2]), 3)
    assert np.allclose(width, [0.5, np.inf, 1.0])
    assert np.allclose(np.degrees(angle[[0, 2]]) % 180, [0, 45])


def test_halving_the_step_finds_the_width_between_the_directions_tried_first():
    uv, chart = turned(STRIP, np.radians(40)), np.zeros(2, dtype=np.int64)
    assert narrowest(uv, chart, 1)[1][0] > 0.55
    angle, width = narrowest(uv, chart, 1, 14)
    assert abs(width[0] - 0.5) < 1e-4
    assert abs(np.degrees(angle[0]) % 180 - 40) < 1e-2


def test_compiled_loops_measure_the_same_bits(monkeypatch):
    random = np.random.default_rng(2)
    uv, chart, angle = random.normal(size=(40, 3, 2)), random.integers(0, 8, 40), random.uniform(0, 6, 9)
    compiled = ranges(uv, chart, np.cos(angle), np.sin(angle))
    monkeypatch.setattr(widths, "load_loops", lambda module: None)
    plain = ranges(uv, chart, np.cos(angle), np.sin(angle))
    assert all(np.array_equal(one, other) for one, other in zip(compiled, plain, strict=True))
    assert (compiled[0][8] == np.inf).all() and (compiled[1][8] == -np.inf).all()
