# SPDX-License-Identifier: GPL-3.0-or-later
"""What packing does with all faces, in torch, for graphics cards: see the functions named in each.

Only how large charts are and the cells that they touch go to the processor, which finds them a place one by one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...kernels.host_arrays import home, upload
from ..surface.tensor_reductions import Sums, in_boxes
from .compiled_packing import REACH
from .flatten import double_areas
from .packing import ANGLES
from .tensor_widths import extremes, ranges, widened

# Pairs of a face and a cell looked at together.
_PAIRS_AT_ONCE = 1 << 22


class FacesOnCard:
    """``bitmap_packing._Faces`` on ``device``."""

    def __init__(self, uv: np.ndarray, chart: np.ndarray, device: torch.device) -> None:
        self.count = int(chart.max()) + 1
        self._chart = upload(chart, device)
        self._around = Sums(self._chart, self.count)
        self._points = _laid_down(upload(uv, device).double(), self._chart, self._around, self.count)

    def measures(self) -> tuple[np.ndarray, np.ndarray]:
        """How far each chart reaches from the origin [C, 2], and its area [C]."""
        extent = extremes(self._points, self._around)[1].clamp_min(0.0)
        return home((extent, self._around(0.5 * double_areas(self._points).abs())))

    def widen(self, least: float) -> None:
        """Stretch the charts that are narrower than ``least``."""
        self._points = widened(self._points, self._chart, self.count, least)

    def cells(self, scale: float, margin: float, box: np.ndarray, first: np.ndarray, texels: int) -> np.ndarray:
        """``compiled_packing.touched_cells`` of the charts at ``scale``, ``margin`` from the edges of their boxes."""
        width, height, begin = (upload(part, self._chart.device) for part in (*box.T, first))
        return home(_touched(self._points * scale + margin, self._chart, width, height, begin, int(first[-1]), texels))

    def placed(self, scale: float, margin: float, places: np.ndarray, box: np.ndarray, edge: int) -> np.ndarray:
        """``bitmap_packing._at_places`` of the same."""
        place, size = (upload(part, self._chart.device) for part in (places, box))
        row, column, turn = (part[:, None] for part in place[self._chart].unbind(1))
        w, h = (part[:, None] for part in size[self._chart].unbind(1))
        x, y = (self._points * scale + margin).unbind(2)
        turned_x = torch.where(turn == 0, x, torch.where(turn == 1, h - y, torch.where(turn == 2, w - x, y)))
        turned_y = torch.where(turn == 0, y, torch.where(turn == 1, x, torch.where(turn == 2, h - y, w - x)))
        return home(torch.stack([turned_x + column + edge, turned_y + row + edge], 2))


def _laid_down(uv: Tensor, chart: Tensor, around: Sums, count: int) -> Tensor:
    """``packing.lay_down``."""
    least = uv.new_full((count,), torch.inf)
    best = uv.new_zeros((count, 6))
    for step in range(ANGLES):
        angle = 0.5 * np.pi * step / ANGLES
        cos, sin = (uv.new_full((count,), float(part)) for part in (np.cos(angle), np.sin(angle)))
        low, high = ranges(uv, chart, around, cos, sin)
        wide = high - low
        area = wide[:, 0] * wide[:, 1]
        better = area < least * (1 - 1e-9)
        least = torch.where(better, area, least)
        best = torch.where(better[:, None], torch.cat([cos[:, None], sin[:, None], low, wide], 1), best)
    cos, sin, low_along, low_across, wide_along, wide_across = (part[:, None] for part in best[chart].unbind(1))
    u, v = uv.unbind(2)
    along, across = u * cos + v * sin - low_along, v * cos - u * sin - low_across
    upright = wide_across > wide_along
    return torch.stack([torch.where(upright, across, along), torch.where(upright, wide_along - along, across)], 2)


def _touched(
    triangles: Tensor, chart: Tensor, width: Tensor, height: Tensor, first: Tensor, total: int, texels: int
) -> Tensor:
    """``compiled_packing.touched_cells``, uint8 [total]."""
    reach, square = REACH / texels, 0.5 - 0.5 / texels
    x, y = triangles.unbind(2)
    next_x, next_y = x.roll(-1, 1), y.roll(-1, 1)
    twice = x * next_y - next_x * y
    turn = torch.where((twice[:, 0] + twice[:, 1]) + twice[:, 2] >= 0, 1.0, -1.0).double()[:, None]
    across_x, across_y = -turn * (next_y - y), turn * (next_x - x)
    length = (across_x * across_x + across_y * across_y).sqrt()
    length = torch.where(length > 0, length, 1.0)
    across_x, across_y = across_x / length, across_y / length
    bound = across_x * x + across_y * y - reach - square * (across_x.abs() + across_y.abs())
    grow = reach + square
    last = torch.stack([width, height], 1)[chart] - 1
    low = (triangles.amin(1) - grow - 0.5).ceil().long().clamp_min(0)
    high = torch.minimum((triangles.amax(1) + grow - 0.5).floor().long(), last)
    extent = (high - low + 1).clamp_min(0)
    cells = torch.zeros(total, dtype=torch.uint8, device=chart.device)
    for face, column, row in in_boxes(low, extent, _PAIRS_AT_ONCE):
        at_x, at_y = (column + 0.5).double(), (row + 0.5).double()
        within = torch.ones_like(face, dtype=torch.bool)
        for i in range(3):
            within &= across_x[face, i] * at_x + across_y[face, i] * at_y >= bound[face, i]
        cells[(first[chart[face]] + row * width[chart[face]] + column)[within]] = 1
    return cells
