# SPDX-License-Identifier: GPL-3.0-or-later
"""``unroll.unrolled`` in torch, for graphics cards."""

from __future__ import annotations

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums, firsts, marked, order_by
from ..surface.tensor_topology import components
from ..surface.tensor_vectors import lengths
from .tensor_widths import narrowest


def unrolled(
    faces: Tensor, exact: Tensor, uv: Tensor, pair: Tensor, second: Tensor, left: Tensor, right: Tensor
) -> tuple[Tensor, Tensor]:
    """``unroll.unrolled``."""
    f, g = left // 3, right // 3
    border = (second[f] != second[g]).nonzero().squeeze(1)
    swap = second[f[border]]
    one = torch.where(swap, right[border], left[border])
    other = torch.where(swap, left[border], right[border])
    of, count = pair[one // 3], int(pair.max()) + 1
    ends = torch.stack([_corner(faces, one, 0), _corner(faces, one, 1)], 1)
    span = exact[ends[:, 0]] - exact[ends[:, 1]]
    length = lengths(span)
    here = torch.stack([_corner(uv, one, 0), _corner(uv, one, 1)], 1)
    there = torch.stack([_corner(uv, other, 1), _corner(uv, other, 0)], 1)
    angle = narrowest(uv[~second], pair[~second], count)[0][of]
    along = here[..., 0] * angle.cos()[:, None] + here[..., 1] * angle.sin()[:, None]
    way = _longest_way(of, ends, along, length)
    seam = marked(len(left), border[~way])

    of, weight = of[way], length[way]
    sums = Sums(of, count)
    total = sums(weight).clamp_min(1e-300)[:, None]
    here_mean, there_mean = (sums(points[way].mean(1) * weight[:, None]) / total for points in (here, there))
    a, b = here[way] - here_mean[of][:, None], there[way] - there_mean[of][:, None]
    # Of the numbers a conj(b) in the complex plane: the turn that lays the one border best on the other.
    product = torch.stack([(a * b).sum(2), a[..., 1] * b[..., 0] - a[..., 0] * b[..., 1]], 2)
    turn = sums(product.mean(1) * weight[:, None])
    turn = turn / torch.hypot(*turn.unbind(1)).clamp_min(1e-300)[:, None]
    cos, sin = (part[:, None] for part in turn[pair].unbind(1))
    x, y = (uv - there_mean[pair][:, None]).unbind(2)
    moved = here_mean[pair][:, None] + torch.stack([cos * x - sin * y, sin * x + cos * y], 2)
    return torch.where(second[:, None, None], moved, uv), seam


def _longest_way(of: Tensor, ends: Tensor, along: Tensor, length: Tensor) -> Tensor:
    """``unroll._longest_way``."""
    size = int(ends.max()) + 1 if len(ends) else 1
    keys, node = torch.unique((of[:, None] * size + ends).reshape(-1), return_inverse=True)
    pair = of.repeat_interleave(2)
    order = order_by(node, along.reshape(-1), pair)
    first = firsts(pair[order])
    stop = marked(len(keys), node[order[first]])
    stop[node[order[torch.cat([first[1:], first.new_ones(1)])]]] = True
    edge, inner = torch.arange(len(of), device=of.device).repeat_interleave(2), ~stop[node]
    chain = components(len(of) + len(keys), edge[inner], len(of) + node[inner])[: len(of)]
    chains = int(chain.max()) + 1 if len(chain) else 0
    total = Sums(chain, chains)(length)
    order = order_by(chain, -total[chain], of)
    first = order[firsts(of[order])]
    best = torch.full((int(of.max()) + 1 if len(of) else 0,), -1, device=of.device)
    best[of[first]] = chain[first]
    return chain == best[of]


def _corner(values: Tensor, half: Tensor, step: int) -> Tensor:
    """``unroll._corner``."""
    return values[half // 3, (half % 3 + step) % 3]
