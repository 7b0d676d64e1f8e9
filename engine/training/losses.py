# SPDX-License-Identifier: GPL-3.0-or-later
"""Training objectives: variational autoencoders and flow matching."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SIGMA_MIN = 1e-5


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the mean over elements of KL(N(mean, exp(logvar)) || N(0, 1))."""
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1).mean()


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - (2 sum(p y) + 1) / (sum(p) + sum(y) + 1) over the whole batch, p = sigmoid(logits)."""
    p = logits.float().sigmoid()
    return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


def sample_posterior(mean: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    """Draw z = mean + exp(logvar / 2) eps with the stage's own generator."""
    eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
    return mean.float() + (0.5 * logvar.float()).exp() * eps


def interpolate(x0: Tensor, eps: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the point x_t on the straight path from data to noise and the velocity the network has to predict.

    ``x_t = (1 - t) x0 + (s + (1 - s) t) eps`` and ``v = (1 - s) eps - x0`` with ``s = SIGMA_MIN``; t = 1 is noise.
    ``t`` broadcasts against ``x0``.
    """
    x_t = (1 - t) * x0 + (SIGMA_MIN + (1 - SIGMA_MIN) * t) * eps
    return x_t, (1 - SIGMA_MIN) * eps - x0


def flow_loss(prediction: Tensor, velocity: Tensor) -> Tensor:
    """Plain mean squared error over all elements (tokens weigh equally)."""
    return F.mse_loss(prediction.float(), velocity)


def voxel_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the batch of |A and B| / |A or B| for boolean grids [B, ...]."""
    prediction, target = prediction.flatten(1), target.flatten(1)
    union = (prediction | target).sum(1).clamp(min=1)
    return ((prediction & target).sum(1) / union).mean()
