# SPDX-License-Identifier: GPL-3.0-or-later
"""Random material tables: one row for each of an asset's twelve labels (six slots, two colours each)."""

from __future__ import annotations

import torch
from torch import Tensor

SLOTS = 6
LABELS = 2 * SLOTS
GLASS_SLOT = 5
"""The one slot whose material is transparent."""

GREY_SHARE = 0.12
METAL_SHARE = 0.3


def draw_materials(count: int, generator: torch.Generator | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Draw material tables float32 [count, 12, 6]: sRGB colour, metallic (0 or 1), roughness, alpha per label.

    The hues of an asset's labels are spread around the colour circle, so that neighbouring parts usually differ. The
    second label of a slot (its pattern's other colour) differs from the first in colour only. Alpha is 1 except for
    ``GLASS_SLOT``: 0.3 to 0.8. ``generator`` lives on ``device``.
    """

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator, device=device)

    order = uniform(LABELS).argsort(1)
    hue = (uniform(1) + order / LABELS + uniform(LABELS, low=-0.04, high=0.04)) % 1.0
    saturation = uniform(LABELS).sqrt() * 0.75 + 0.25
    value = uniform(LABELS, low=0.45)
    grey = uniform(LABELS) < GREY_SHARE
    saturation = torch.where(grey, 0.0, saturation)
    value = torch.where(grey, uniform(LABELS, low=0.08, high=0.98), value)
    metallic = (uniform(SLOTS) < METAL_SHARE).float()
    value = torch.where(metallic.repeat_interleave(2, 1) > 0, 0.3 + 0.7 * value, value)
    roughness = uniform(SLOTS, low=0.1, high=0.9)
    alpha = torch.ones_like(metallic)
    alpha[:, GLASS_SLOT] = uniform(low=0.3, high=0.8)
    metallic[:, GLASS_SLOT] = 0.0
    shared = torch.stack([metallic, roughness, alpha], dim=-1).repeat_interleave(2, 1)
    return torch.cat([hsv_to_rgb(hue, saturation, value), shared], dim=-1)


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Convert hue, saturation and value, each in [0, 1] and [...], to RGB [..., 3]."""
    steps = torch.tensor([5.0, 3.0, 1.0], device=hue.device)
    k = (steps + 6 * hue[..., None]) % 6
    return value[..., None] * (1 - saturation[..., None] * torch.minimum(k, 4 - k).clamp(0, 1))
