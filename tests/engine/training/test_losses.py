# SPDX-License-Identifier: GPL-3.0-or-later
"""Objectives against hand-computed values and the identities they promise."""

import pytest
import torch
from espalier.engine.training.losses import SIGMA_MIN, dice_loss, interpolate, kl_divergence, voxel_iou


def test_kl_is_zero_for_the_unit_gaussian_and_grows_with_the_mean():
    assert kl_divergence(torch.zeros(8), torch.zeros(8)).item() == 0
    assert kl_divergence(torch.full((8,), 2.0), torch.zeros(8)).item() == pytest.approx(2.0)


def test_dice_of_a_certain_and_right_answer_vanishes():
    target = torch.tensor([[1.0, 0.0, 1.0]])
    assert dice_loss(torch.tensor([[30.0, -30.0, 30.0]]), target).item() == pytest.approx(0.0, abs=1e-6)
    assert dice_loss(torch.tensor([[-30.0, 30.0, -30.0]]), target).item() == pytest.approx(1 - 1 / 4)


def test_the_path_runs_from_data_to_noise():
    x0, eps = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    at_data, _ = interpolate(x0, eps, torch.tensor(0.0))
    at_noise, _ = interpolate(x0, eps, torch.tensor(1.0))
    torch.testing.assert_close(at_data, x0 + SIGMA_MIN * eps)
    torch.testing.assert_close(at_noise, eps)


def test_the_velocity_is_the_derivative_of_the_path():
    x0, eps = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    here, velocity = interpolate(x0, eps, torch.tensor(0.3, dtype=torch.float64))
    there, _ = interpolate(x0, eps, torch.tensor(0.8, dtype=torch.float64))
    torch.testing.assert_close(here + 0.5 * velocity, there)


def test_voxel_iou_counts_shared_over_all():
    a = torch.tensor([[1, 1, 0, 0]], dtype=torch.bool)
    b = torch.tensor([[0, 1, 1, 0]], dtype=torch.bool)
    assert voxel_iou(a, b).item() == pytest.approx(1 / 3)
