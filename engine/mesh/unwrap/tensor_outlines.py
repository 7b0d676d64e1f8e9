# SPDX-License-Identifier: GPL-3.0-or-later
"""``outlines`` in torch, for graphics cards: the points of charts, where they cover themselves, cutting them.

See the functions named in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums, firsts, least, order_by
from ..surface.tensor_topology import components, ends_of, following
from .outlines import LEAST_SHARE, TURN_SLACK, Trouble, cross


@dataclass(frozen=True)
class ChartPoints:
    """``outlines.ChartPoints`` of ``charts`` charts, as tensors, without where each chart's points begin."""

    corner: Tensor
    chart: Tensor
    charts: int
    inner: Tensor

    @cached_property
    def outline(self) -> tuple[Tensor, Tensor]:
        """``outlines.outline``."""
        tail, head = ends_of(self.corner)
        count = len(self.chart)
        edge, times = torch.unique(torch.minimum(tail, head) * count + torch.maximum(tail, head), return_counts=True)
        edge = edge[times == 1]
        return edge // max(count, 1), edge % max(count, 1)


def chart_points(label: Tensor, left: Tensor, right: Tensor) -> ChartPoints:
    """``outlines.chart_points``."""
    inner = label[left // 3] == label[right // 3]
    one, other = left[inner], right[inner]
    joined = components(3 * len(label), torch.cat([one, following(one)]), torch.cat([following(other), other]))
    chart = label.new_zeros(int(joined.max()) + 1)
    chart[joined] = label.repeat_interleave(3)
    chart, order = torch.sort(chart, stable=True)
    name = torch.empty_like(order)
    name[order] = torch.arange(len(order), device=order.device)
    return ChartPoints(name[joined].view(-1, 3), chart, int(label.max()) + 1, inner)


def cut_through(label: Tensor, middle: Tensor, left: Tensor, right: Tensor, trouble: Trouble) -> Tensor:
    """``outlines.cut_through``."""
    part = 2 * label + _upper_halves(label, middle, trouble)
    f, g = left // 3, right // 3
    same = part[f] == part[g]
    piece = components(len(label), f[same], g[same])
    pieces = int(piece.max()) + 1
    size, half = torch.bincount(piece, minlength=pieces), torch.empty(pieces, dtype=torch.int64, device=part.device)
    half[piece] = part
    order = order_by(-size, half)
    crumb = torch.ones(pieces, dtype=torch.bool, device=part.device)
    crumb[order[firsts(half[order])]] = False
    part = torch.where(crumb[piece], part ^ 1, part)
    same = part[f] == part[g]
    return components(len(label), f[same], g[same])


def _upper_halves(label: Tensor, middle: Tensor, trouble: Trouble) -> Tensor:
    """Which faces lie above the best cut of their chart (``outlines._upper_half``), int64 [F], 1 or 0."""
    count = int(label.max()) + 1
    members = torch.bincount(label, minlength=count)
    sums = Sums(label, count)
    away = middle - (sums(middle) / members[:, None])[label]
    spread = sums((away[:, :, None] * away[:, None]).reshape(-1, 9)).view(-1, 3, 3)
    # Few and small: not worth a solver on the card.
    axes = torch.linalg.eigh(spread.cpu())[1].to(spread.device).flip(2)[:, :, :2]
    along = (away[:, :, None] * axes[label]).sum(1)
    owner = label[trouble.face]
    at = ((trouble.place - (middle - away)[trouble.face])[:, :, None] * axes[owner]).sum(1)
    # How many faces of its chart lie below each place, along both axes: of both sorted together.
    both = torch.cat([owner, label])
    is_face = torch.cat([torch.zeros_like(owner), torch.ones_like(label)])
    start = members.cumsum(0) - members
    below = []
    for axis in range(2):
        order = order_by(torch.cat([at[:, axis], along[:, axis]]), both)
        before = torch.empty_like(order)
        before[order] = is_face[order].cumsum(0) - is_face[order]
        below.append(before - start[both])
    places = len(owner)
    uneven = torch.stack([(rank[:places] / members[owner] - 0.5).abs() for rank in below], 1)
    # Of equally good cuts the one across the longer axis, then the first.
    number = torch.arange(2 * places, device=label.device).view(2, -1).T
    chosen = (uneven == least(uneven.amin(1), owner, count)[owner][:, None]) & (uneven < 0.5 - LEAST_SHARE)
    number = torch.where(chosen, number, 2 * places).amin(1)
    best = torch.full((count,), 2 * places, device=label.device).scatter_reduce_(0, owner, number, "amin")
    through = best < 2 * places
    axis = torch.where(through, best // max(places, 1), 0)
    height = torch.cat([at.T.reshape(-1), at.new_zeros(1)])[best]
    halves = below[0][places:] >= ((members + 1) // 2)[label]
    above = along.gather(1, axis[label][:, None]).squeeze(1) >= height[label]
    return torch.where(through[label], above, halves).long()


def overfull_points(uv: Tensor, points: ChartPoints) -> tuple[Tensor, Tensor]:
    """``outlines.overfull_points``."""
    flat = uv[points.corner]
    p, q = flat.roll(-1, 1) - flat, flat.roll(1, 1) - flat
    angle = torch.atan2((p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).abs(), (p * q).sum(2))
    total = Sums(points.corner.reshape(-1), len(uv))(angle.reshape(-1))
    rim = torch.zeros(len(uv), dtype=torch.bool, device=uv.device)
    for end in points.outline:
        rim[end] = True
    full = total > 2 * torch.pi + TURN_SLACK
    return (full & ~rim).nonzero().squeeze(1), (full & rim).nonzero().squeeze(1)


def crossings(uv: Tensor, points: ChartPoints) -> Tensor:
    """``outlines.crossings``."""
    a, b = points.outline
    chart = points.chart[a]
    step = (uv[a] - uv[b]).abs().amax(1)
    number = torch.bincount(chart, minlength=points.charts).clamp_min(1)
    cell = (Sums(chart, points.charts)(step) / number).clamp_min(1e-12)[chart][:, None]
    low = (torch.minimum(uv[a], uv[b]) / cell).floor().long()
    wide = (torch.maximum(uv[a], uv[b]) / cell).floor().long() - low + 1
    times = wide.prod(1)
    line = torch.arange(len(a), device=a.device).repeat_interleave(times)
    place = torch.arange(len(line), device=a.device) - (times.cumsum(0) - times)[line]
    x, y = low[line, 0] + place % wide[line, 0], low[line, 1] + place // wide[line, 0]
    order = order_by(y, x, chart[line]) if len(line) else line
    line, x, y = line[order], x[order], y[order]
    crossed = torch.zeros(len(uv), dtype=torch.bool, device=uv.device)
    # Lines that share a cell lie next to each other: compared at growing distance until no cell is that full.
    for apart in range(1, len(line)):
        p, q = line[:-apart], line[apart:]
        shared = (x[apart:] == x[:-apart]) & (y[apart:] == y[:-apart]) & (chart[p] == chart[q])
        shared = shared.nonzero().squeeze(1)
        if len(shared) == 0:
            break
        p, q = p[shared], q[shared]
        crossed[a[p[cross(uv[a[p]], uv[b[p]], uv[a[q]], uv[b[q]])]]] = True
    return crossed.nonzero().squeeze(1)
