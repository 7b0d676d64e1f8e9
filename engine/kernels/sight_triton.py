# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures faces and counts the pixels that show each: ``mesh.sight.plain_picture``, rounding for rounding.

One lane for each (face, pixel) pair of the faces' bounding boxes. Faces contend for a pixel by integer minima alone (a
number of any sign sorts as its bits do, once those of negative ones are turned over), and pixels are counted in
integers, which no order of execution can change.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .segments_triton import last, owner_of

_BLOCK = 128
_NOBODY = tl.constexpr(2**31 - 1)
# As in mesh.sight.
_SLACK = tl.constexpr(1e-9)


@triton.jit
def _corner(flat, faces, face, number):
    vertex = tl.load(faces + face * 3 + number).to(tl.int64) * 3
    return tl.load(flat + vertex), tl.load(flat + vertex + 1), tl.load(flat + vertex + 2)


@triton.jit(do_not_specialize=["total"])
def _bound(flat, faces, boxes, counts, total, BLOCK: tl.constexpr):
    """Pixels in the bounding box of each face, int64, and the box: first column and row, and its width."""
    item = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = item < total
    face = tl.where(listed, item, 0)
    ax, ay, _ = _corner(flat, faces, face, 0)
    bx, by, _ = _corner(flat, faces, face, 1)
    cx, cy, _ = _corner(flat, faces, face, 2)
    left, right = tl.ceil(tl.minimum(ax, tl.minimum(bx, cx))), tl.floor(tl.maximum(ax, tl.maximum(bx, cx)))
    low, high = tl.ceil(tl.minimum(ay, tl.minimum(by, cy))), tl.floor(tl.maximum(ay, tl.maximum(by, cy)))
    width = tl.maximum(right - left + 1, 0.0).to(tl.int64)
    height = tl.maximum(high - low + 1, 0.0).to(tl.int64)
    has_area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) != 0
    tl.store(boxes + item * 3, left.to(tl.int32), mask=listed)
    tl.store(boxes + item * 3 + 1, low.to(tl.int32), mask=listed)
    tl.store(boxes + item * 3 + 2, width.to(tl.int32), mask=listed)
    tl.store(counts + item, tl.where(has_area, width * height, 0), mask=listed)


@triton.jit
def _sortable(number):
    bits = number.to(tl.int64, bitcast=True)
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)


@triton.jit(do_not_specialize=["pairs", "count", "steps", "side"])
def _draw(
    flat,
    faces,
    boxes,
    counts,
    ends,
    distance,
    shown,
    pairs,
    count,
    steps,
    side,
    CLAIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """For each pixel the least distance from either end of the view, then the lowest face that has it."""
    pair = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = pair < pairs
    face = owner_of(ends, count, pair, steps)
    offset = pair - (tl.load(ends + face) - tl.load(counts + face))
    # A face without pixels owns no pair; the lanes beyond the last pair may meet one.
    width = tl.maximum(tl.load(boxes + face * 3 + 2), 1)
    column = tl.load(boxes + face * 3) + offset % width
    row = tl.load(boxes + face * 3 + 1) + offset // width
    ax, ay, az = _corner(flat, faces, face, 0)
    bx, by, bz = _corner(flat, faces, face, 1)
    cx, cy, cz = _corner(flat, faces, face, 2)
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    twice = tl.where(listed, twice, 1.0)
    x, y = column.to(tl.float64), row.to(tl.float64)
    third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / twice
    second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / twice
    first = 1.0 - second - third
    within = listed & (tl.minimum(first, tl.minimum(second, third)) >= -_SLACK)
    away = first * az + second * bz + third * cz
    pixel = (row * side + column) * 2
    # Differences from zero: a zero has one sign only.
    near, far = _sortable(0.0 + away), _sortable(0.0 - away)
    if CLAIM:
        pixel = tl.where(within, pixel, 0)
        owner = face.to(tl.int32)
        tl.atomic_min(shown + pixel, owner, mask=within & (tl.load(distance + pixel) == near), sem="relaxed")
        tl.atomic_min(shown + pixel + 1, owner, mask=within & (tl.load(distance + pixel + 1) == far), sem="relaxed")
    else:
        tl.atomic_min(distance + pixel, near, mask=within, sem="relaxed")
        tl.atomic_min(distance + pixel + 1, far, mask=within, sem="relaxed")


@triton.jit(do_not_specialize=["total"])
def _count(flat, faces, shown, seen, total, BLOCK: tl.constexpr):
    """Add each pixel, from either end of the view, to the side of the face that it shows."""
    item = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    face = tl.load(shown + item, mask=item < total, other=_NOBODY)
    listed = face != _NOBODY
    face = tl.where(listed, face, 0).to(tl.int64)
    ax, ay, _ = _corner(flat, faces, face, 0)
    bx, by, _ = _corner(flat, faces, face, 1)
    cx, cy, _ = _corner(flat, faces, face, 2)
    along = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0
    from_near = item % 2 == 0
    is_back = along == from_near
    tl.atomic_add(seen + face * 2 + is_back.to(tl.int64), 1, mask=listed, sem="relaxed")


def picture(points: Tensor, faces: Tensor, frame: list[list[float]], side: int, seen: Tensor) -> None:
    """``sight.plain_picture``: points float64 [V, 3], faces int32 [F, 3], seen int32 [F, 2]."""
    x, y, z = points.unbind(1)
    flat = torch.stack([x * row[0] + y * row[1] + z * row[2] for row in frame], 1)
    flat[:, :2] += side / 2.0
    count = len(faces)
    boxes = faces.new_empty((count, 3))
    counts = torch.empty(count, dtype=torch.int64, device=faces.device)
    _bound[(triton.cdiv(count, _BLOCK),)](flat, faces, boxes, counts, count, BLOCK=_BLOCK, enable_fp_fusion=False)
    ends = counts.cumsum(0)
    draw(flat, faces, boxes, counts, ends, side, seen, last(ends))


def draw(
    flat: Tensor, faces: Tensor, boxes: Tensor, counts: Tensor, ends: Tensor, side: int, seen: Tensor, pairs: int
) -> None:
    """Draw faces whose bounding boxes hold ``counts`` pixels int64 [F], ``pairs`` together; ``ends``: running sums."""
    if pairs == 0:
        return
    distance = torch.full((2 * side * side,), 2**63 - 1, dtype=torch.int64, device=faces.device)
    shown = torch.full((2 * side * side,), _NOBODY.value, dtype=torch.int32, device=faces.device)
    for claim in (False, True):
        _draw[(triton.cdiv(pairs, _BLOCK),)](
            flat,
            faces,
            boxes,
            counts,
            ends,
            distance,
            shown,
            pairs,
            len(faces),
            len(faces).bit_length(),
            side,
            CLAIM=claim,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
    _count[(triton.cdiv(len(shown), _BLOCK),)](
        flat, faces, shown, seen, len(shown), BLOCK=_BLOCK, enable_fp_fusion=False
    )
