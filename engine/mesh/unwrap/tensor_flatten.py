# SPDX-License-Identifier: GPL-3.0-or-later
"""``flatten`` in torch, for graphics cards: all charts at once, none of which knows of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums, marked
from ..surface.tensor_topology import ends_of
from ..surface.tensor_vectors import cross, dot, face_vectors, lengths, unit
from .flatten import (
    FLAT,
    INERTIA,
    ITERATIONS,
    LARGEST_WEIGHT,
    LEAST_WEIGHT,
    UNTANGLE_ROUNDS,
    UNTANGLE_STEPS,
    double_areas,
)
from .tensor_equations import Equations

# Forces count as balanced when what is left of them is so small a share of the pull of the rest shapes.
_RESIDUAL = 1e-6


def flatten(points: Tensor, corners: Tensor, chart: Tensor, of_point: Tensor, start: Tensor | None = None) -> Tensor:
    """``flatten.flatten``; ``of_point`` int64 [V], ascending: the chart of each point, every number is a chart's."""
    _, rest = rest_shapes(points, corners)
    uv = _project(points, corners, chart, of_point) if start is None else start
    weight = _corner_weights(rest)
    around = Sums(corners.reshape(-1), len(points))
    system = laplacian(corners, weight, of_point)
    for _ in range(ITERATIONS):
        uv = uv + system.solve(*_pull(rest, uv, corners, weight, around), _RESIDUAL)
    return _untangle(uv, corners, chart, rest)


def stretches(points: Tensor, uv: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """``flatten.stretches``."""
    area, rest = rest_shapes(points, corners)
    flat = uv[corners]
    length, x, y = rest[:, 1, 0].clamp_min(1e-30), rest[:, 2, 0], rest[:, 2, 1].clamp_min(1e-30)
    first = (flat[:, 1] - flat[:, 0]) / length[:, None]
    second = (flat[:, 2] - flat[:, 0] - first * x[:, None]) / y[:, None]
    e, f = 0.5 * (first[:, 0] + second[:, 1]), 0.5 * (first[:, 0] - second[:, 1])
    g, h = 0.5 * (second[:, 0] + first[:, 1]), 0.5 * (first[:, 1] - second[:, 0])
    q, r = torch.hypot(e, h), torch.hypot(f, g)
    return area, torch.stack([q + r, q - r], 1)


def rest_shapes(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """``flatten._rest_shapes``."""
    a, b, c = (points[corner] for corner in corners.unbind(1))
    along, across = b - a, c - a
    length = lengths(along)
    safe = length.clamp_min(1e-30)
    vector = cross(along, across)
    double_area = lengths(vector)
    rest = points.new_zeros((len(corners), 3, 2))
    rest[:, 1, 0] = length
    rest[:, 2, 0], rest[:, 2, 1] = dot(along, across) / safe, double_area / safe
    return 0.5 * double_area, rest


def _project(points: Tensor, corners: Tensor, chart: Tensor, of_point: Tensor) -> Tensor:
    """``flatten._project``."""
    axis = unit(Sums(chart, int(of_point[-1]) + 1)(face_vectors(points, corners)))
    u = unit(cross(torch.eye(3, dtype=axis.dtype, device=axis.device)[axis.abs().argmin(1)], axis))
    v = cross(axis, u)
    return torch.stack([dot(points, axes[of_point]) for axes in (u, v)], 1)


def _corner_weights(rest: Tensor) -> Tensor:
    """``flatten._corner_weights``."""
    p, q = rest.roll(-1, 1) - rest, rest.roll(1, 1) - rest
    sine = p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]
    return (0.5 * (p * q).sum(2) / sine.abs().clamp_min(1e-30)).clamp(LEAST_WEIGHT, LARGEST_WEIGHT)


def laplacian(corners: Tensor, weight: Tensor, of_point: Tensor) -> Equations:
    """``flatten._laplacian``: the weighted Laplacian of the triangles plus a diagonal."""
    count = len(of_point)
    j, k, by = corners.roll(-1, 1).reshape(-1), corners.roll(1, 1).reshape(-1), weight.reshape(-1)
    link, which = torch.unique(torch.cat([j * count + k, k * count + j]), return_inverse=True)
    joined = Sums(which, len(link))(torch.cat([by, by]))
    row = link // count
    own = Sums(row, count, ascending=True)(joined)
    return Equations(row, link % count, joined, own + (INERTIA * own + 1e-9), of_point)


def _pull(rest: Tensor, uv: Tensor, corners: Tensor, weight: Tensor, around: Sums) -> tuple[Tensor, Tensor]:
    """What pulls points ``uv`` [V, 2] to where the rest shapes want them, less what holds them where they are; and the
    pull alone (``flatten.pull``): float64 [V, 2] each."""
    flat = uv[corners]
    by = weight[..., None]
    # The edge opposite to each corner.
    wanted, present = rest.roll(-1, 1) - rest.roll(1, 1), flat.roll(-1, 1) - flat.roll(1, 1)
    cos = (by * wanted * present).sum((1, 2))
    sin = (weight * (wanted[..., 0] * present[..., 1] - wanted[..., 1] * present[..., 0])).sum(1)
    length = torch.hypot(cos, sin).clamp_min(1e-30)
    cos, sin = (cos / length)[:, None], (sin / length)[:, None]
    x, y = wanted.unbind(2)
    turned = by * torch.stack([cos * x - sin * y, sin * x + cos * y], 2)
    present = by * present
    # A corner is at the head of the edge opposite to the one before it, at the tail of that opposite to the next.
    both = torch.cat([edge.roll(1, 1) - edge.roll(-1, 1) for edge in (turned, present)], 2)
    pull, hold = around(both.view(-1, 4)).split(2, 1)
    return pull - hold, pull


def _untangle(uv: Tensor, corners: Tensor, chart: Tensor, rest: Tensor) -> Tensor:
    """``flatten._untangle``."""
    small = FLAT * (rest[:, 1, 0] * rest[:, 2, 1]).clamp_min(1e-30)
    mirrored = chart[double_areas(uv[corners]) < small]
    tangled = marked(int(chart.max()) + 1, mirrored)[chart].nonzero().squeeze(1)
    if len(tangled) == 0:
        return uv
    corners, small, count = corners[tangled], small[tangled], len(uv)
    tail, head = ends_of(corners)
    key, times = torch.unique(torch.minimum(tail, head) * count + torch.maximum(tail, head), return_counts=True)
    a, b = key // count, key % count
    fixed = torch.zeros(count, dtype=torch.bool, device=uv.device)
    fixed[a[times == 1]] = fixed[b[times == 1]] = True
    to, by = torch.cat([a, b]), torch.cat([b, a])
    degree = torch.bincount(to, minlength=count).clamp_min(1)[:, None]
    for turn in range(UNTANGLE_ROUNDS):
        bad = double_areas(uv[corners]) < small
        if not bad.any():
            break
        near = torch.zeros_like(fixed)
        near[corners[bad]] = True
        for _ in range(turn // 2):
            near[corners[near[corners].any(1)]] = True
        free = near & ~fixed
        chosen = free[to]
        around, neighbour = Sums(to[chosen], count), by[chosen]
        for _ in range(UNTANGLE_STEPS):
            uv = torch.where(free[:, None], around(uv[neighbour]) / degree, uv)
    return uv
