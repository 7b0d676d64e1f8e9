# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture lookups with a mip chain, as the material voxeliser needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import EspalierError

Wrap = Literal["repeat", "clamp", "mirror"]


@dataclass(frozen=True)
class Texture:
    """An 8-bit image [H, W] or [H, W, C]; row 0 is the top of the image (v = 1).

    ``smooth`` blends texels and mip levels; otherwise the nearest texel of the full image is read.
    """

    pixels: Tensor
    smooth: bool = True
    wrap: Wrap = "repeat"

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != torch.uint8 or pixels.ndim not in (2, 3) or pixels.numel() == 0:
            raise EspalierError("bad_input", "A texture must be a non-empty image with 8 bits a channel.")


def sample_texture(texture: Texture, uv: Tensor, footprint: Tensor, mip_offset: float = 0.0) -> Tensor:
    """Texture values float32 [Q, C] in [0, 1] at ``uv`` float32 [Q, 2].

    ``footprint`` float32 [Q]: size of one sample in uv units; it picks the mip level log2(footprint * H) + offset.
    spec/ovoxel.md 3.3.
    """
    levels = _mip_chain(texture.pixels.to(uv.device)) if texture.smooth else [_with_channels(texture.pixels)]
    size = torch.tensor([level.shape[:2] for level in levels], device=uv.device)
    texels = torch.cat([level.reshape(-1, level.shape[2]) for level in levels]).to(uv.device)
    first = torch.cumsum(size.prod(1), 0) - size.prod(1)

    def read(level: Tensor) -> Tensor:
        height, width = size[level].unbind(1)
        x, y = uv[:, 0] * width, (1 - uv[:, 1]) * height
        start = first[level]
        if not texture.smooth:
            return _texels(texels, start, width, height, x.floor().long(), y.floor().long(), texture.wrap)
        x, y = x - 0.5, y - 0.5
        x0, y0 = x.floor(), y.floor()
        fx, fy = (x - x0).unsqueeze(1), (y - y0).unsqueeze(1)
        x0, y0 = x0.long(), y0.long()
        corner = [
            _texels(texels, start, width, height, x0 + dx, y0 + dy, texture.wrap) for dy in (0, 1) for dx in (0, 1)
        ]
        return (corner[0] * (1 - fx) + corner[1] * fx) * (1 - fy) + (corner[2] * (1 - fx) + corner[3] * fx) * fy

    last = len(levels) - 1
    if last == 0:
        return read(torch.zeros(len(uv), dtype=torch.int64, device=uv.device)) / 255
    level = torch.log2(footprint * levels[0].shape[0]) + mip_offset
    level = torch.where(torch.isfinite(level), level, 0.0).clamp(0, last)
    lower = level.floor().clamp(max=last - 1)
    blend = (level - lower).unsqueeze(1)
    lower = lower.long()
    return (read(lower) * (1 - blend) + read(lower + 1) * blend) / 255


def _with_channels(pixels: Tensor) -> Tensor:
    return pixels if pixels.ndim == 3 else pixels.unsqueeze(2)


def _mip_chain(pixels: Tensor) -> list[Tensor]:
    """Halve by 2x2 integer averages, truncated, down to one texel; an odd last row or column is left out."""
    levels = [_with_channels(pixels)]
    while max(levels[-1].shape[:2]) > 1:
        image = levels[-1].int()
        height, width = image.shape[:2]
        step_y, step_x = min(height, 2), min(width, 2)
        image = image[: height // step_y * step_y, : width // step_x * step_x]
        total = sum(image[y::step_y, x::step_x] for y in range(step_y) for x in range(step_x))
        levels.append((total // (step_y * step_x)).to(torch.uint8))
    return levels


def _texels(texels: Tensor, start: Tensor, width: Tensor, height: Tensor, x: Tensor, y: Tensor, wrap: Wrap) -> Tensor:
    return texels[start + _wrapped(y, height, wrap) * width + _wrapped(x, width, wrap)].float()


def _wrapped(index: Tensor, count: Tensor, wrap: Wrap) -> Tensor:
    if wrap == "clamp":
        return torch.minimum(index.clamp_min(0), count - 1)
    if wrap == "mirror":
        index = index % (2 * count)
        return torch.minimum(index, 2 * count - 1 - index)
    return index % count
