# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing takes noise off, keeps the size, and keeps cuts shut."""

import numpy as np
import pytest
from espalier.engine.kernels import choice
from espalier.engine.mesh.surface.smooth import taubin_smooth


def _sheet(side=24):
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    vertices = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3).astype(float)
    a = (x[:-1, :-1] * side + y[:-1, :-1]).ravel()
    faces = np.concatenate([np.stack([a, a + side, a + 1], 1), np.stack([a + 1, a + side, a + side + 1], 1)])
    return vertices, faces


def test_noise_on_a_plane_falls_and_the_plane_stays():
    vertices, faces = _sheet()
    vertices[:, 2] = np.random.default_rng(0).normal(0, 0.2, len(vertices))
    smooth = taubin_smooth(vertices, faces, 8)
    assert smooth[:, 2].std() < 0.5 * vertices[:, 2].std()
    assert abs(smooth[:, 2].mean() - vertices[:, 2].mean()) < 0.01
    assert np.ptp(smooth[:, 0]) > 0.95 * np.ptp(vertices[:, 0])


def test_coincident_vertices_stay_together():
    vertices, faces = _sheet()
    cut = np.concatenate([vertices, vertices])
    faces = np.concatenate([faces[: len(faces) // 2], faces[len(faces) // 2 :] + len(vertices)])
    smooth = taubin_smooth(cut, faces, 5)
    assert np.array_equal(smooth[: len(vertices)], smooth[len(vertices) :])


def test_no_faces_change_nothing():
    vertices = np.random.default_rng(0).random((5, 3))
    assert np.array_equal(taubin_smooth(vertices, np.zeros((0, 3), int), 3), vertices)


@pytest.mark.parametrize("shape", ["noisy", "cut", "loose points", "one face"])
def test_the_card_moves_points_as_the_processor_does(shape, card):
    vertices, faces = _sheet(12)
    vertices += np.random.default_rng(0).normal(0, 0.2, vertices.shape)
    if shape == "cut":
        vertices = np.concatenate([vertices, vertices])
        faces = np.concatenate([faces[:99], faces[99:] + 144])
    elif shape == "loose points":
        vertices = np.concatenate([vertices, vertices[:9] + 3.0, vertices[:1]])
    elif shape == "one face":
        faces = faces[:1]
    with choice.plain_torch():
        expected = taubin_smooth(vertices, faces, 3)
    found = taubin_smooth(vertices, faces, 3)
    assert found.dtype == expected.dtype and np.abs(found - expected).max() <= 1e-12
    assert np.abs(found - vertices).max() > 0.01
