# SPDX-License-Identifier: GPL-3.0-or-later
"""``smooth`` in torch, for graphics cards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tensor_reductions import Sums, marked, order_by
from .tensor_topology import Edges
from .tensor_vectors import Groups, lengths


def filtered(faces: Tensor, vertices: Tensor, factors: Sequence[float]) -> Tensor:
    """Vertices float64 [V, 3] after a step of each factor towards the means of their neighbours.

    ``smooth.taubin_smooth``. Points are numbered along x, y and z, so that their neighbours are added up in the same
    order as on the processor.
    """
    points, of = _places(vertices.double())
    corners = of[faces]
    ends = torch.cat([corners, corners.roll(-1, 1)]).view(2, -1)
    ends = ends[:, ends[0] != ends[1]]
    key = torch.unique(ends.amin(0) * len(points) + ends.amax(0))
    low, high = key // len(points), key % len(points)
    # Neighbours before those after: each in rising order.
    own, neighbour = torch.cat([high, low]), torch.cat([low, high])
    around = Groups(own, len(points))
    share = (1.0 / around.size.clamp_min(1).double())[own, None]
    moves = (around.size > 0)[:, None].double()
    for factor in factors:
        points = points + factor * moves * (around.sums(share * points[neighbour]) - points)
    return points[of]


def smoothed(vertices: Tensor, table: Edges, steps: int, furthest: float) -> Tensor:
    """``smooth.smoothed`` over the edges of ``table``."""
    a, b = table.ends.unbind(1)
    fixed = marked(len(vertices), table.ends[table.count == 1])
    own, neighbour = torch.cat([a, b]), torch.cat([b, a])
    around, degree = Sums(own, len(vertices)), torch.bincount(own, minlength=len(vertices))
    stays = (fixed | (degree == 0))[:, None]
    degree = degree.clamp_min(1)[:, None]
    points = vertices
    for _ in range(steps):
        points = torch.where(stays, points, 0.5 * points + 0.5 * around(points[neighbour]) / degree)
    way = points - vertices
    return vertices + way * (furthest / lengths(way)[:, None].clamp_min(1e-300)).clamp(max=1.0)


def _places(points: Tensor) -> tuple[Tensor, Tensor]:
    """The different points [P, 3] in rising order, and which of them each of ``points`` [V, 3] is, int64 [V]."""
    order = order_by(*points.flip(1).unbind(1))
    ordered = points[order]
    fresh = torch.ones(len(order), dtype=torch.bool, device=order.device)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(1)
    of = torch.empty_like(order)
    of[order] = fresh.cumsum(0) - 1
    return ordered[fresh], of
