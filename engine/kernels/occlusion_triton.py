# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooths and reads samples of ambient occlusion: ``mesh.compiled_occlusion``, rounding for rounding.

One lane for each place goes through the blocks around it, row by row, so the sums have the same order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 128


@triton.jit(do_not_specialize=["total", "side"])
def _weigh(
    sample,
    shares,
    points,
    normals,
    place,
    at,
    facing,
    otherwise,
    lengths,
    result,
    total,
    side,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """``STEPS``: blocks each way that count; ``lengths``: the radius in blocks and the square of the one in space."""
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = lane < total
    row, column = (
        tl.load(place + lane * 2, mask=listed, other=0.0),
        tl.load(place + lane * 2 + 1, mask=listed, other=0.0),
    )
    x = tl.load(at + lane * 3, mask=listed, other=0.0).to(tl.float64)
    y = tl.load(at + lane * 3 + 1, mask=listed, other=0.0).to(tl.float64)
    z = tl.load(at + lane * 3 + 2, mask=listed, other=0.0).to(tl.float64)
    fx = tl.load(facing + lane * 3, mask=listed, other=0.0).to(tl.float64)
    fy = tl.load(facing + lane * 3 + 1, mask=listed, other=0.0).to(tl.float64)
    fz = tl.load(facing + lane * 3 + 2, mask=listed, other=0.0).to(tl.float64)
    radius, furthest = tl.load(lengths), tl.load(lengths + 1)
    top, left = tl.ceil(row - radius), tl.ceil(column - radius)
    sums, weights = x * 0, x * 0
    for down in range(STEPS):
        r = top + down
        steep = tl.minimum(radius - tl.abs(r - row), 1.0)
        in_rows = listed & (r >= 0) & (r < side)
        for right in range(STEPS):
            c = left + right
            within = in_rows & (c >= 0) & (c < side)
            other = tl.load(sample + r.to(tl.int64) * side + c.to(tl.int64), mask=within, other=-1)
            within = within & (other >= 0)
            cosine = tl.load(normals + other * 3, mask=within, other=0.0) * fx
            cosine += tl.load(normals + other * 3 + 1, mask=within, other=0.0) * fy
            cosine += tl.load(normals + other * 3 + 2, mask=within, other=0.0) * fz
            dx = tl.load(points + other * 3, mask=within, other=0.0) - x
            dy = tl.load(points + other * 3 + 1, mask=within, other=0.0) - y
            dz = tl.load(points + other * 3 + 2, mask=within, other=0.0) - z
            near = 1.0 - (dx * dx + dy * dy + dz * dz) / furthest
            tent = steep * tl.minimum(radius - tl.abs(c - column), 1.0)
            square = cosine * cosine
            fourth = square * square
            weight = tl.where(within & (cosine > 0) & (near > 0), tent * near * (fourth * fourth), 0.0)
            sums += weight * tl.load(shares + other, mask=within, other=0.0)
            weights += weight
    mean = sums / tl.where(weights > 0, weights, 1.0)
    shown = tl.where(weights > 0, mean.to(tl.float32), tl.load(otherwise + lane, mask=listed, other=0.0))
    tl.store(result + lane, shown, mask=listed)


def _weighted(
    sample: Tensor,
    shares: Tensor,
    points: Tensor,
    normals: Tensor,
    place: Tensor,
    at: Tensor,
    facing: Tensor,
    otherwise: Tensor,
    radius: float,
    spacing: float,
) -> Tensor:
    """``compiled_occlusion._weighted``, as the mean float32 [T], ``otherwise`` float32 [T] where nothing has a weight.

    ``radius`` has a half: so many blocks each way reach no further than 2 * radius, save for one without a weight.
    """
    place, at, facing = (part.contiguous() for part in (place, at, facing))
    result = torch.empty_like(otherwise)
    if len(place):
        # Numbers would arrive in single precision.
        lengths = torch.tensor([radius, (4.0 * spacing * radius) ** 2], dtype=torch.float64).to(place.device)
        _weigh[(triton.cdiv(len(place), _BLOCK),)](
            sample,
            shares,
            points,
            normals,
            place,
            at,
            facing,
            otherwise,
            lengths,
            result,
            len(place),
            len(sample),
            STEPS=int(2 * radius),
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return result


def smooth_samples(
    sample: Tensor, shares: Tensor, points: Tensor, normals: Tensor, radius: float, spacing: float
) -> Tensor:
    """``compiled_occlusion.smooth_samples`` of all rows: sample int64 [B, B], the others float32 [N] and [N, 3]."""
    place = (sample >= 0).nonzero()
    here = sample[place[:, 0], place[:, 1]]
    own = points[here], normals[here], shares[here]
    result = shares.clone()
    result[here] = _weighted(sample, shares, points, normals, place.double(), *own, radius, spacing)
    return result


def read_samples(
    sample: Tensor,
    shares: Tensor,
    points: Tensor,
    normals: Tensor,
    place: Tensor,
    at: Tensor,
    facing: Tensor,
    spacing: float,
) -> Tensor:
    """``compiled_occlusion.read_samples``: place float64 [T, 2], at and facing float64 [T, 3]; float32 [T]."""
    block = place.round().long().clamp(0, len(sample) - 1)
    own = sample[block[:, 0], block[:, 1]]
    otherwise = torch.where(own >= 0, shares[own.clamp_min(0)], 1.0)
    return _weighted(sample, shares, points, normals, place, at, facing, otherwise, 1.5, spacing)
