# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of the evaluation on cases whose answer is known."""

import numpy as np
import pytest
from espalier.engine.training import metrics

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float64)
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_samples_lie_on_the_surface_and_spread_by_area():
    points = metrics.sample_surface(SQUARE, FACES, 4000, seed=0)
    assert np.abs(points[:, 2]).max() == 0 and points.min() >= 0 and points.max() <= 1
    assert np.abs(points[:, :2].mean(0) - 0.5).max() < 0.03


def test_a_surface_without_area_is_refused():
    with pytest.raises(ValueError, match="no area"):
        metrics.sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 10, seed=0)


def test_an_object_is_at_no_distance_from_itself():
    points = metrics.sample_surface(SQUARE, FACES, 500, seed=0)
    assert metrics.chamfer(points, points) == 0 and metrics.f_score(points, points) == pytest.approx(1)


def test_a_shift_is_its_chamfer_distance_and_flips_the_f_score_at_its_threshold():
    points = metrics.sample_surface(SQUARE, FACES, 500, seed=0)
    shifted = points + np.array([0, 0, 0.02])
    assert metrics.chamfer(points, shifted) == pytest.approx(0.02, rel=1e-6)
    assert metrics.f_score(points, shifted, 0.021) == pytest.approx(1)
    assert metrics.f_score(points, shifted, 0.019) == 0


def test_voxel_iou_ignores_order_and_repetition():
    a = np.array([[0, 0, 0], [1, 2, 3], [5, 5, 5]])
    assert metrics.voxel_iou(a, a[[2, 0, 1, 1]]) == 1
    assert metrics.voxel_iou(a[:2], a[1:]) == pytest.approx(1 / 3)


def test_materials_are_compared_with_the_nearest_true_voxel():
    coords = np.array([[0, 0, 0], [10, 0, 0]])
    truth = np.array([[1.0, 0, 0, 1, 0.2], [0, 1.0, 0, 0, 0.8]])
    errors = metrics.material_errors(coords + 1, truth, coords, truth)
    assert errors == {"colour": 0, "metallic": 1, "roughness": 0}
    swapped = metrics.material_errors(coords, truth[::-1], coords, truth)
    assert swapped["colour"] == pytest.approx(2 / 3) and swapped["metallic"] == 0
