# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds the energies of planes to voxels: the sums of ``ovoxel.quadric.Quadrics.add_planes`` in the same order.

One lane for each voxel walks through what belongs to it, sorted by voxel and within a voxel in the order given. So no
two lanes add to the same number, and the result has the same bits whatever runs first.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .segments_triton import strided

_BLOCK = 64


@triton.jit(do_not_specialize=["voxels", "count", "hits"])
def _add_planes(
    sums,
    crossed,
    origin,
    squares,
    planes,
    triangle,
    points,
    bounds,
    order,
    source,
    voxels,
    count,
    hits,
    BLOCK: tl.constexpr,
):
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = voxel < voxels
    at = tl.load(bounds + voxel, mask=listed, other=0)
    end = tl.load(bounds + voxel + 1, mask=listed, other=0)
    s0 = tl.load(sums + voxel, mask=listed)
    s1 = tl.load(sums + strided(1, voxels, voxel), mask=listed)
    s2 = tl.load(sums + strided(2, voxels, voxel), mask=listed)
    s3 = tl.load(sums + strided(3, voxels, voxel), mask=listed)
    s4 = tl.load(sums + strided(4, voxels, voxel), mask=listed)
    s5 = tl.load(sums + strided(5, voxels, voxel), mask=listed)
    s6 = tl.load(sums + strided(6, voxels, voxel), mask=listed)
    s7 = tl.load(sums + strided(7, voxels, voxel), mask=listed)
    s8 = tl.load(sums + strided(8, voxels, voxel), mask=listed)
    number = tl.load(crossed + voxel, mask=listed)
    x = tl.load(origin + voxel, mask=listed)
    y = tl.load(origin + strided(1, voxels, voxel), mask=listed)
    z = tl.load(origin + strided(2, voxels, voxel), mask=listed)
    square_x, square_y, square_z = tl.load(squares), tl.load(squares + 1), tl.load(squares + 2)
    for _ in range(tl.max(end - at)):
        live = at < end
        item = tl.load(order + at, mask=live, other=0)
        hit = tl.load(source + item, mask=live, other=0)
        is_hit = live & (hit >= 0)
        plane = tl.where(is_hit, tl.load(triangle + hit, mask=is_hit, other=0), -1 - hit)
        s0 += tl.load(planes + plane, mask=live, other=0.0)
        s1 += tl.load(planes + strided(1, count, plane), mask=live, other=0.0)
        s2 += tl.load(planes + strided(2, count, plane), mask=live, other=0.0)
        s3 += tl.load(planes + strided(3, count, plane), mask=live, other=0.0)
        s4 += tl.load(planes + strided(4, count, plane), mask=live, other=0.0)
        s5 += tl.load(planes + strided(5, count, plane), mask=live, other=0.0)
        nx = tl.load(planes + strided(6, count, plane), mask=live, other=0.0)
        ny = tl.load(planes + strided(7, count, plane), mask=live, other=0.0)
        nz = tl.load(planes + strided(8, count, plane), mask=live, other=0.0)
        distance = ((tl.load(planes + strided(9, count, plane), mask=live, other=0.0) - nx * x) - ny * y) - nz * z
        from_x = tl.where(is_hit, (tl.load(points + hit, mask=is_hit, other=0.0) - x) * square_x, 0.0)
        from_y = tl.where(is_hit, (tl.load(points + strided(1, hits, hit), mask=is_hit, other=0.0) - y) * square_y, 0.0)
        from_z = tl.where(is_hit, (tl.load(points + strided(2, hits, hit), mask=is_hit, other=0.0) - z) * square_z, 0.0)
        s6 += nx * distance + from_x
        s7 += ny * distance + from_y
        s8 += nz * distance + from_z
        number += tl.where(is_hit, 1.0, 0.0)
        at += 1
    tl.store(sums + voxel, s0, mask=listed)
    tl.store(sums + strided(1, voxels, voxel), s1, mask=listed)
    tl.store(sums + strided(2, voxels, voxel), s2, mask=listed)
    tl.store(sums + strided(3, voxels, voxel), s3, mask=listed)
    tl.store(sums + strided(4, voxels, voxel), s4, mask=listed)
    tl.store(sums + strided(5, voxels, voxel), s5, mask=listed)
    tl.store(sums + strided(6, voxels, voxel), s6, mask=listed)
    tl.store(sums + strided(7, voxels, voxel), s7, mask=listed)
    tl.store(sums + strided(8, voxels, voxel), s8, mask=listed)
    tl.store(crossed + voxel, number, mask=listed)


@triton.jit(do_not_specialize=["voxels", "count"])
def _add_values(sums, values, bounds, order, voxels, count, BLOCK: tl.constexpr):
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    entry = tl.program_id(1)
    listed = voxel < voxels
    at = tl.load(bounds + voxel, mask=listed, other=0)
    end = tl.load(bounds + voxel + 1, mask=listed, other=0)
    total = tl.load(sums + strided(entry, voxels, voxel), mask=listed)
    for _ in range(tl.max(end - at)):
        live = at < end
        item = tl.load(order + at, mask=live, other=0)
        total += tl.load(values + strided(entry, count, item), mask=live, other=0.0)
        at += 1
    tl.store(sums + strided(entry, voxels, voxel), total, mask=listed)


def _by_voxel(row: Tensor, voxels: int) -> tuple[Tensor, Tensor]:
    """Items in the order of their voxels, int64 [P], and where those of each voxel begin, int64 [voxels + 1]."""
    ordered, order = torch.sort(row.int(), stable=True)
    limits = torch.arange(voxels + 1, dtype=torch.int32, device=row.device)
    return order, torch.searchsorted(ordered, limits)


def add_planes(
    sums: Tensor,
    crossed: Tensor,
    origin: Tensor,
    squares: Tensor,
    planes: Tensor,
    row: Tensor,
    source: Tensor,
    triangle: Tensor,
    points: Tensor,
) -> None:
    """Add to ``sums`` float64 [9, N] and ``crossed`` float64 [N] of voxels at ``origin`` float64 [3, N].

    Item p belongs to voxel ``row`` [P]. ``source`` int64 [P]: hit h of ``triangle`` int64 [H] and ``points`` float64
    [3, H] (voxel units), or -1 - t for triangle t alone. ``planes`` float64 [10, F]: the table of ``Quadrics.planes``;
    ``squares`` float64 [3]: weights of the points.
    """
    voxels = sums.shape[1]
    if voxels == 0 or len(row) == 0:
        return
    order, bounds = _by_voxel(row, voxels)
    _add_planes[(triton.cdiv(voxels, _BLOCK),)](
        sums,
        crossed,
        origin,
        squares,
        planes,
        triangle,
        points,
        bounds,
        order,
        source,
        voxels,
        planes.shape[1],
        len(triangle),
        BLOCK=_BLOCK,
        enable_fp_fusion=False,
    )


def add_values(sums: Tensor, row: Tensor, values: Tensor) -> None:
    """Add ``values`` float64 [K, P] to the columns ``row`` [P] of ``sums`` float64 [K, N], in the order given."""
    entries, voxels = sums.shape
    if voxels == 0 or len(row) == 0:
        return
    order, bounds = _by_voxel(row, voxels)
    _add_values[(triton.cdiv(voxels, _BLOCK), entries)](
        sums, values, bounds, order, voxels, values.shape[1], BLOCK=_BLOCK, enable_fp_fusion=False
    )
