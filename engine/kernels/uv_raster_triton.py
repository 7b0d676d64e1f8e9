# SPDX-License-Identifier: GPL-3.0-or-later
"""Which face each texel of a UV layout shows, and where in it: ``mesh.raster.rasterise``, rounding for rounding.

One lane for each (face, texel) pair of the faces' bounding boxes. Faces contend for a texel by integer minima alone
(a distance that is not negative sorts as its bits do), which no order of execution can change.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .segments_triton import last, owner_of

_BLOCK = 128
_NOBODY = tl.constexpr(2**31 - 1)


@triton.jit
def _texel_of_pair(ends, boxes, pair, faces, steps):
    """Face, column and row of a (face, texel) pair; ``boxes`` int32 [F, 4]: first column and row, width and height."""
    face = owner_of(ends, faces, pair, steps)
    left, top = tl.load(boxes + face * 4), tl.load(boxes + face * 4 + 1)
    width, height = tl.load(boxes + face * 4 + 2), tl.load(boxes + face * 4 + 3)
    offset = pair - (tl.load(ends + face) - width.to(tl.int64) * height)
    # An empty box owns no pair; the lanes beyond the last pair may meet one.
    width = tl.maximum(width, 1)
    return face, left + (offset % width).to(tl.int32), top + (offset // width).to(tl.int32)


@triton.jit
def _plane_weights(corners, face, column, row):
    """Weights of the corners b and c at a texel's centre, and the signed double area of the face."""
    ax, ay = tl.load(corners + face * 6), tl.load(corners + face * 6 + 1)
    bx, by = tl.load(corners + face * 6 + 2) - ax, tl.load(corners + face * 6 + 3) - ay
    cx, cy = tl.load(corners + face * 6 + 4) - ax, tl.load(corners + face * 6 + 5) - ay
    area = bx * cy - by * cx
    area = tl.where(tl.abs(area) > 1e-9, area, 0.0)
    safe = tl.where(area == 0, 1.0, area)
    x, y = column.to(tl.float64) - (ax - 0.5), row.to(tl.float64) - (ay - 0.5)
    return cy / safe * x + -cx / safe * y, -by / safe * x + bx / safe * y, area


@triton.jit
def _edge_weights(corners, face, column, row):
    """Weights of b and c at the point on a face's edges nearest to a texel's centre, and its squared distance."""
    px, py = column.to(tl.float64) + 0.5, row.to(tl.float64) + 0.5
    nearest = tl.full(px.shape, float("inf"), tl.float64)
    weight_b, weight_c = px * 0, px * 0
    for start in tl.static_range(3):
        end = (start + 1) % 3
        x, y = tl.load(corners + face * 6 + 2 * start), tl.load(corners + face * 6 + 2 * start + 1)
        along_x = tl.load(corners + face * 6 + 2 * end) - x
        along_y = tl.load(corners + face * 6 + 2 * end + 1) - y
        length = along_x * along_x + along_y * along_y
        t = ((px - x) * along_x + (py - y) * along_y) / tl.where(length > 0, length, 1.0)
        t = tl.minimum(tl.maximum(t, 0.0), 1.0)
        dx, dy = px - x - t * along_x, py - y - t * along_y
        gap = dx * dx + dy * dy
        closer = gap < nearest
        nearest = tl.where(closer, gap, nearest)
        at_b = 1.0 - t if start == 1 else (t if start == 0 else t * 0)
        at_c = 1.0 - t if start == 2 else (t if start == 1 else t * 0)
        weight_b, weight_c = tl.where(closer, at_b, weight_b), tl.where(closer, at_c, weight_c)
    return weight_b, weight_c, nearest


@triton.jit(do_not_specialize=["pairs", "faces", "steps", "size"])
def _claim_inside(corners, ends, boxes, owner, pairs, faces, steps, size, BLOCK: tl.constexpr):
    pair = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = pair < pairs
    face, column, row = _texel_of_pair(ends, boxes, pair, faces, steps)
    weight_b, weight_c, area = _plane_weights(corners, face, column, row)
    least = tl.minimum(tl.minimum(weight_b, weight_c), 1.0 - weight_b - weight_c)
    inside = listed & (area != 0) & (least >= 0)
    tl.atomic_min(owner + row.to(tl.int64) * size + column, face.to(tl.int32), mask=inside, sem="relaxed")


@triton.jit(do_not_specialize=["pairs", "faces", "steps", "size"])
def _reach_rim(
    corners,
    ends,
    boxes,
    rim,
    owner,
    distance,
    nearest,
    pairs,
    faces,
    steps,
    size,
    reach,
    CLAIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """For each texel that no face holds the least squared distance to a rim face, then the lowest face that has it."""
    pair = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = pair < pairs
    segment, column, row = _texel_of_pair(ends, boxes, pair, faces, steps)
    face = tl.load(rim + segment)
    texel = tl.where(listed, row.to(tl.int64) * size + column, 0)
    _, _, gap = _edge_weights(corners, face, column, row)
    free = listed & (tl.load(owner + texel) == _NOBODY) & (gap <= tl.load(reach))
    bits = gap.to(tl.int64, bitcast=True)
    if CLAIM:
        mine = free & (tl.load(distance + texel) == bits)
        tl.atomic_min(nearest + texel, face.to(tl.int32), mask=mine, sem="relaxed")
    else:
        tl.atomic_min(distance + texel, bits, mask=free, sem="relaxed")


@triton.jit(do_not_specialize=["total", "size"])
def _locate(corners, texels, owner, nearest, face_of, barycentric, inside, total, size, BLOCK: tl.constexpr):
    item = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = item < total
    texel = tl.load(texels + item, mask=listed, other=0)
    column, row = texel % size, texel // size
    held = tl.load(owner + texel)
    is_inside = held != _NOBODY
    face = tl.where(is_inside, held, tl.load(nearest + texel)).to(tl.int64)
    face = tl.where(listed, face, 0)
    plane_b, plane_c, _ = _plane_weights(corners, face, column, row)
    edge_b, edge_c, _ = _edge_weights(corners, face, column, row)
    weight_b, weight_c = tl.where(is_inside, plane_b, edge_b), tl.where(is_inside, plane_c, edge_c)
    tl.store(face_of + item, face, mask=listed)
    tl.store(barycentric + item * 3, 1.0 - (weight_b + weight_c), mask=listed)
    tl.store(barycentric + item * 3 + 1, weight_b, mask=listed)
    tl.store(barycentric + item * 3 + 2, weight_c, mask=listed)
    tl.store(inside + item, is_inside.to(tl.int8), mask=listed)


@dataclass(frozen=True)
class Boxes:
    """Texels near faces: ``texels`` int32 [F, 4], first column and row, width and height; ``ends`` int64 [F], running
    sums of their numbers."""

    texels: Tensor
    ends: Tensor

    @staticmethod
    def around(corners: Tensor, size: int, reach: float) -> Boxes:
        """Texels with centres within ``reach`` of each face's bounding box."""
        low = (corners.amin(1) - 0.5 - reach).ceil().clamp(0, size).long()
        high = ((corners.amax(1) - 0.5 + reach).floor() + 1).clamp(0, size).long()
        extent = (high - low).clamp_min(0)
        return Boxes(torch.cat([low, extent], 1).int(), extent.prod(1).cumsum(0))


def claim_inside(corners: Tensor, boxes: Boxes, size: int, pairs: int) -> Tensor:
    """The lowest face that holds each texel's centre, int32 [size * size], 2^31 - 1 where there is none."""
    owner = torch.full((size * size,), _NOBODY.value, dtype=torch.int32, device=corners.device)
    if pairs:
        _claim_inside[(triton.cdiv(pairs, _BLOCK),)](
            corners,
            boxes.ends,
            boxes.texels,
            owner,
            pairs,
            len(boxes.ends),
            len(boxes.ends).bit_length(),
            size,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return owner


def reach_rim(corners: Tensor, rim: Tensor, owner: Tensor, boxes: Boxes, size: int, reach: float, pairs: int) -> Tensor:
    """The nearest of the faces ``rim`` within ``reach`` of each texel that has no ``owner``, as that."""
    nearest = torch.full_like(owner, _NOBODY.value)
    if pairs:
        furthest = torch.iinfo(torch.int64).max
        distance = torch.full(owner.shape, furthest, dtype=torch.int64, device=owner.device)
        limit = torch.full((1,), reach**2, dtype=torch.float64, device=owner.device)
        for claim in (False, True):
            _reach_rim[(triton.cdiv(pairs, _BLOCK),)](
                corners,
                boxes.ends,
                boxes.texels,
                rim,
                owner,
                distance,
                nearest,
                pairs,
                len(boxes.ends),
                len(boxes.ends).bit_length(),
                size,
                limit,
                CLAIM=claim,
                BLOCK=_BLOCK,
                enable_fp_fusion=False,
            )
    return nearest


def locate(corners: Tensor, texel: Tensor, owner: Tensor, nearest: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Face int64 [T], barycentric float64 [T, 3] and inside int8 [T] of the covered texels ``texel`` int64 [T]."""
    face = torch.empty_like(texel)
    barycentric = texel.new_empty((len(texel), 3), dtype=torch.float64)
    inside = texel.new_empty(len(texel), dtype=torch.int8)
    if len(texel):
        _locate[(triton.cdiv(len(texel), _BLOCK),)](
            corners,
            texel,
            owner,
            nearest,
            face,
            barycentric,
            inside,
            len(texel),
            size,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    return face, barycentric, inside


def rasterise(corners: Tensor, rim: Tensor, size: int, reach: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Covered texels int64 [T] ascending, their faces int64 [T], barycentric float64 [T, 3] and inside bool [T].

    ``corners`` float64 [F, 3, 2]: (column, row) in texels of an image of side ``size``; ``rim`` int64 [R]: the faces,
    ascending, that texels within ``reach`` of them belong to where no face holds their centre.
    """
    corners = corners.contiguous()
    boxes = Boxes.around(corners, size, 0.0)
    owner = claim_inside(corners, boxes, size, last(boxes.ends))
    boxes = Boxes.around(corners.index_select(0, rim), size, reach)
    nearest = reach_rim(corners, rim, owner, boxes, size, reach, last(boxes.ends))
    texel = (torch.minimum(owner, nearest) < _NOBODY.value).nonzero().squeeze(1)
    face, barycentric, inside = locate(corners, texel, owner, nearest, size)
    return texel, face, barycentric, inside.bool()
