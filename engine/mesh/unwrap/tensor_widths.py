# SPDX-License-Identifier: GPL-3.0-or-later
"""``widths`` and ``widen`` in torch, for graphics cards: see the functions named in each."""

from __future__ import annotations

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums
from .flatten import double_areas
from .widen import FLAT, HALVINGS, SLACK
from .widths import DIRECTIONS


def ranges(uv: Tensor, chart: Tensor, around: Sums, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """``widths.ranges``; ``around`` has the faces by their ``chart``."""
    x, y = uv.unbind(2)
    cos_of, sin_of = cos[chart][:, None], sin[chart][:, None]
    return extremes(torch.stack([x * cos_of + y * sin_of, y * cos_of - x * sin_of], 2), around)


def narrowest(uv: Tensor, chart: Tensor, count: int, halvings: int = 0) -> tuple[Tensor, Tensor]:
    """``widths.narrowest``."""
    best, width = uv.new_zeros(count), uv.new_full((count,), torch.inf)
    around = Sums(chart, count)

    def attempt(angle: Tensor) -> None:
        nonlocal best, width
        low, high = ranges(uv, chart, around, angle.cos(), angle.sin())
        wide = torch.where(high < low, torch.inf, high - low)
        for turned, across in ((angle, wide[:, 1]), (angle + 0.5 * torch.pi, wide[:, 0])):
            better = across < width
            best, width = torch.where(better, turned, best), torch.where(better, across, width)

    for step in range(DIRECTIONS // 2):
        attempt(uv.new_full((count,), torch.pi * step / DIRECTIONS))
    for halving in range(1, halvings + 1):
        centre, turn = best, torch.pi / DIRECTIONS / 2**halving
        attempt(centre - turn)
        attempt(centre + turn)
    return best, width


def widened(points: Tensor, chart: Tensor, count: int, narrow_below: float) -> Tensor:
    """``widen.widened``, where charts are widened up to ``narrow_below``."""
    around = Sums(chart, count)
    low, high = extremes(points, around)
    diagonal, area = high - low, around(0.5 * double_areas(points))
    narrow = area < narrow_below * torch.hypot(*diagonal.unbind(1))
    face = narrow[chart].nonzero().squeeze(1)
    if len(face) == 0:
        return points
    number, count = (narrow.cumsum(0) - 1)[chart[face]], int(narrow.sum())
    angle, width = narrowest(points[face], number, count, HALVINGS)
    cos, sin = angle.cos()[number][:, None], angle.sin()[number][:, None]
    x, y = points[face].unbind(2)
    laid = torch.stack([x * cos + y * sin, y * cos - x * sin], 2)
    around = Sums(number, count)
    low, high = extremes(laid, around)
    length = high[:, 0] - low[:, 0]
    thin = (width < narrow_below) & (width > FLAT * length)
    enough = narrow_below / width.clamp_min(1e-300)
    longer = (length / width.clamp_min(1e-300)).clamp_min(1.0)
    stretch = torch.where(thin, torch.minimum(enough.clamp_min(1.0), longer), 1.0)
    laid[..., 1] *= stretch[number][:, None]
    width = narrowest(laid, number, count, HALVINGS)[1]
    bound = SLACK * (narrow_below / length.clamp_min(1e-300)).clamp_min(1.0)
    whole = torch.where(thin, torch.minimum((narrow_below / width.clamp_min(1e-300)).clamp_min(1.0), bound), 1.0)
    laid = laid * whole[number][:, None, None]
    laid = laid - extremes(laid, around)[0][number][:, None]
    result, kept = points.clone(), thin[number]
    result[face[kept]] = laid[kept]
    return result


def extremes(points: Tensor, around: Sums) -> tuple[Tensor, Tensor]:
    """The lower and the upper corner of the box around each chart of ``points`` [F, 3, 2], [C, 2] each."""
    return around.least(points.amin(1)), around.greatest(points.amax(1))
