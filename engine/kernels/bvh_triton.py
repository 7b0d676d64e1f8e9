# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks the search tree over triangles: ``compiled_bvh.closest`` and ``compiled_rays.open_share`` of mesh.

One lane for each query, without a stack: nodes lie in depth-first order, so a lane goes on with the next node, or, past
a box that cannot matter, with the one after all that lies in it. In turns all lanes walk until each has found a leaf,
and try the triangles of their leaves. What is taken does not depend on the order in which triangles are tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

# One warp: to ask whether any lane walks on takes no barrier.
_BLOCK = 32
_WARPS = 1

# As in compiled_bvh.
_SLACK = tl.constexpr(1e-9)
_NOTHING = tl.constexpr(1e-20)
_TIE = tl.constexpr(1e-4)


@dataclass(frozen=True)
class Tree:
    """The tree of ``compiled_bvh.build`` with its triangles, F of them and N nodes.

    boxes float32 [N, 6]; first and count int32 [N]; skip int32 [N]: of an inner node the next one that does not lie in
    it (N at the end), of a leaf -1; corners float32 [F, 9] and unit normals float32 [F, 3], sorted along the curve.
    """

    boxes: Tensor
    first: Tensor
    count: Tensor
    skip: Tensor
    corners: Tensor
    normals: Tensor


@triton.jit
def _any(lanes):
    return tl.max(lanes.to(tl.int32), 0) > 0


@triton.jit
def _box_distance(boxes, node, x, y, z, live):
    """The squared distance of points to the boxes of their nodes."""
    box = boxes + node.to(tl.int64) * 6
    dx = tl.maximum(tl.maximum(tl.load(box, mask=live, other=0.0) - x, x - tl.load(box + 3, mask=live, other=0.0)), 0.0)
    dy = tl.maximum(
        tl.maximum(tl.load(box + 1, mask=live, other=0.0) - y, y - tl.load(box + 4, mask=live, other=0.0)), 0.0
    )
    dz = tl.maximum(
        tl.maximum(tl.load(box + 2, mask=live, other=0.0) - z, z - tl.load(box + 5, mask=live, other=0.0)), 0.0
    )
    return dx * dx + dy * dy + dz * dz


@triton.jit
def _edges(corners, face, live):
    """The corner a of triangles and the edges to b and c, in float64."""
    corner = corners + face.to(tl.int64) * 9
    ax = tl.load(corner, mask=live, other=0.0).to(tl.float64)
    ay = tl.load(corner + 1, mask=live, other=0.0).to(tl.float64)
    az = tl.load(corner + 2, mask=live, other=0.0).to(tl.float64)
    bx = tl.load(corner + 3, mask=live, other=0.0) - ax
    by = tl.load(corner + 4, mask=live, other=0.0) - ay
    bz = tl.load(corner + 5, mask=live, other=0.0) - az
    cx = tl.load(corner + 6, mask=live, other=0.0) - ax
    cy = tl.load(corner + 7, mask=live, other=0.0) - ay
    cz = tl.load(corner + 8, mask=live, other=0.0) - az
    return ax, ay, az, bx, by, bz, cx, cy, cz


@triton.jit
def _on_triangle(corners, face, x, y, z, live):
    """The squared distance of points to triangles and the weights of b and c at the closest point.

    The cases of ``compiled_bvh._on_triangle``, from the last to the first.
    """
    ax, ay, az, bx, by, bz, cx, cy, cz = _edges(corners, face, live)
    px, py, pz = x - ax, y - ay, z - az
    d1, d2 = bx * px + by * py + bz * pz, cx * px + cy * py + cz * pz
    bb, bc, cc = bx * bx + by * by + bz * bz, bx * cx + by * cy + bz * cz, cx * cx + cy * cy + cz * cz
    d3, d4 = d1 - bb, d2 - bc
    d5, d6 = d1 - bc, d2 - cc
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    on_ab = (vc <= 0) & (d1 >= 0) & (d3 <= 0) & (d1 > d3)
    on_ac = (vb <= 0) & (d2 >= 0) & (d6 <= 0) & (d2 > d6) & ~on_ab
    on_bc = (va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0) & ~on_ab & ~on_ac
    total = va + vb + vc
    # One division for each weight: of an edge only one of them is a quotient.
    wb = tl.where(on_ab, d1, vb) / tl.where(on_ab, d1 - d3, total)
    wc = tl.where(on_ac, d2, tl.where(on_bc, d4 - d3, vc)) / tl.where(
        on_ac, d2 - d6, tl.where(on_bc, (d4 - d3) + (d5 - d6), total)
    )
    weight_b = tl.where(on_ac, 0.0, tl.where(on_bc, 1.0 - wc, wb))
    weight_c = tl.where(on_ab, 0.0, wc)
    at_c = (d6 >= 0) & (d5 <= d6)
    weight_b, weight_c = tl.where(at_c, 0.0, weight_b), tl.where(at_c, 1.0, weight_c)
    at_b = (d3 >= 0) & (d4 <= d3)
    weight_b, weight_c = tl.where(at_b, 1.0, weight_b), tl.where(at_b, 0.0, weight_c)
    at_a = (d1 <= 0) & (d2 <= 0)
    weight_b, weight_c = tl.where(at_a, 0.0, weight_b), tl.where(at_a, 0.0, weight_c)
    dx = px - weight_b * bx - weight_c * cx
    dy = py - weight_b * by - weight_c * cy
    dz = pz - weight_b * bz - weight_c * cz
    return dx * dx + dy * dy + dz * dz, weight_b, weight_c


@triton.jit(do_not_specialize=["total", "nodes"])
def _closest(
    boxes,
    first,
    count,
    skip,
    corners,
    normals,
    points,
    facing,
    order,
    margin,
    face,
    weights,
    total,
    nodes,
    BLOCK: tl.constexpr,
):
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = lane < total
    query = tl.load(order + lane, mask=listed, other=0)
    x, y, z = tl.load(points + query * 3), tl.load(points + query * 3 + 1), tl.load(points + query * 3 + 2)
    fx, fy, fz = tl.load(facing + query * 3), tl.load(facing + query * 3 + 1), tl.load(facing + query * 3 + 2)
    beyond = tl.load(margin)
    best = tl.full((BLOCK,), float("inf"), tl.float64)
    bound = best
    best_b, best_c = x * 0, x * 0
    chosen = tl.zeros((BLOCK,), tl.int32)
    # The nearer child at every branch leads to a leaf that bounds the walk.
    leaf = tl.zeros((BLOCK,), tl.int32)
    inner = listed & (tl.load(skip + leaf) >= 0)
    while _any(inner):
        left = leaf + 1
        right = tl.load(first + leaf, mask=inner, other=0)
        nearer = _box_distance(boxes, left, x, y, z, inner) <= _box_distance(boxes, right, x, y, z, inner)
        leaf = tl.where(inner, tl.where(nearer, left, right), leaf)
        inner = inner & (tl.load(skip + leaf, mask=inner, other=-1) >= 0)
    leaf = tl.where(listed, leaf, -1)
    node = tl.where(listed, 0, nodes)
    while _any(leaf >= 0):
        begin = tl.load(first + leaf, mask=leaf >= 0, other=0)
        number = tl.load(count + leaf, mask=leaf >= 0, other=0)
        for step in range(tl.max(number, 0)):
            tried = begin + step
            live = step < number
            gap, wb, wc = _on_triangle(corners, tried, x, y, z, live)
            normal = normals + tried.to(tl.int64) * 3
            cosine = tl.load(normal, mask=live, other=0.0) * fx
            cosine += tl.load(normal + 1, mask=live, other=0.0) * fy
            cosine += tl.load(normal + 2, mask=live, other=0.0) * fz
            turned = 2.0 * tl.sqrt(gap) + beyond
            gap = tl.where(cosine < 0, turned * turned, gap)
            gap *= 1.0 + _TIE * (1.0 - cosine)
            closer = live & ((gap < best) | ((gap == best) & (tried < chosen)))
            best, chosen = tl.where(closer, gap, best), tl.where(closer, tried, chosen)
            best_b, best_c = tl.where(closer, wb, best_b), tl.where(closer, wc, best_c)
        bound = best * (1.0 + _SLACK) + _NOTHING
        leaf = tl.full((BLOCK,), -1, tl.int32)
        walking = node < nodes
        while _any(walking):
            near = walking & (_box_distance(boxes, node, x, y, z, walking) <= bound)
            after = tl.load(skip + node, mask=walking, other=0)
            leaf = tl.where(near & (after < 0), node, leaf)
            node = tl.where(walking, tl.where(near | (after < 0), node + 1, after), node)
            walking = (node < nodes) & (leaf < 0)
    tl.store(face + query, chosen.to(tl.int64), mask=listed)
    tl.store(weights + query * 3, 1.0 - best_b - best_c, mask=listed)
    tl.store(weights + query * 3 + 1, best_b, mask=listed)
    tl.store(weights + query * 3 + 2, best_c, mask=listed)


@triton.jit
def _across(low, high, from_, along):
    """Where rays enter and leave the space between two planes."""
    start, end = (low - from_) * along, (high - from_) * along
    return tl.minimum(start, end), tl.maximum(start, end)


@triton.jit
def _passes(boxes, node, x, y, z, rx, ry, rz, reach, live):
    """Whether rays (reciprocal direction r) pass the boxes of their nodes within 0..reach.

    The end moves by the rounding of both (Ize, Robust BVH Ray Traversal, 2013), so that no ray along a side is lost.
    """
    box = boxes + node.to(tl.int64) * 6
    in_x, out_x = _across(tl.load(box, mask=live, other=0.0), tl.load(box + 3, mask=live, other=0.0), x, rx)
    in_y, out_y = _across(tl.load(box + 1, mask=live, other=0.0), tl.load(box + 4, mask=live, other=0.0), y, ry)
    in_z, out_z = _across(tl.load(box + 2, mask=live, other=0.0), tl.load(box + 5, mask=live, other=0.0), z, rz)
    enter = tl.maximum(tl.maximum(in_x, in_y), tl.maximum(in_z, 0.0))
    leave = tl.minimum(tl.minimum(out_x, out_y), tl.minimum(out_z, reach))
    return enter <= leave + leave * 8.881784197001252e-16


@triton.jit
def _hits(corners, face, x, y, z, dx, dy, dz, reach, live):
    """Whether rays meet triangles, from either side, within 0..reach (Möller and Trumbore, 1997)."""
    ax, ay, az, bx, by, bz, cx, cy, cz = _edges(corners, face, live)
    px, py, pz = dy * cz - dz * cy, dz * cx - dx * cz, dx * cy - dy * cx
    det = bx * px + by * py + bz * pz
    crossed = live & (det != 0)
    det = tl.where(crossed, det, 1.0)
    tx, ty, tz = x - ax, y - ay, z - az
    u = (tx * px + ty * py + tz * pz) / det
    qx, qy, qz = ty * bz - tz * by, tz * bx - tx * bz, tx * by - ty * bx
    v = (dx * qx + dy * qy + dz * qz) / det
    t = (cx * qx + cy * qy + cz * qz) / det
    return crossed & (u >= 0) & (u <= 1) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < reach)


@triton.jit
def _reciprocal(along):
    steep = tl.abs(along) > 1e-12
    return tl.where(steep, 1.0 / tl.where(steep, along, 1.0), 1e12)


@triton.jit(do_not_specialize=["total", "nodes", "rays"])
def _open_share(
    boxes,
    first,
    count,
    skip,
    corners,
    points,
    normals,
    pattern,
    directions,
    order,
    shares,
    total,
    nodes,
    rays,
    BLOCK: tl.constexpr,
):
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    listed = lane < total
    query = tl.load(order + lane, mask=listed, other=0)
    x, y, z = tl.load(points + query * 3), tl.load(points + query * 3 + 1), tl.load(points + query * 3 + 2)
    nx, ny, nz = tl.load(normals + query * 3), tl.load(normals + query * 3 + 1), tl.load(normals + query * 3 + 2)
    direction = directions + tl.load(pattern + query) * rays * 4
    # A frame around the normal without a branch that jumps (Duff et al., 2017).
    sign = tl.where(nz >= 0, 1.0, -1.0).to(tl.float64)
    a = -1.0 / (sign + nz)
    b = nx * ny * a
    free = tl.zeros((BLOCK,), tl.int32)
    for _ in range(rays):
        dx, dy, dz = tl.load(direction), tl.load(direction + 1), tl.load(direction + 2)
        reach = tl.load(direction + 3)
        wx = dx * (1.0 + sign * nx * nx * a) + dy * b + dz * nx
        wy = dx * (sign * b) + dy * (sign + ny * ny * a) + dz * ny
        wz = dx * (-sign * nx) - dy * ny + dz * nz
        rx, ry, rz = _reciprocal(wx), _reciprocal(wy), _reciprocal(wz)
        hit = lane < 0
        node = tl.zeros((BLOCK,), tl.int32)
        searching = listed
        while _any(searching):
            leaf = tl.full((BLOCK,), -1, tl.int32)
            walking = searching
            while _any(walking):
                # As on the processor the root is entered whatever its box.
                met = walking & (_passes(boxes, node, x, y, z, rx, ry, rz, reach, walking) | (node == 0))
                after = tl.load(skip + node, mask=walking, other=0)
                leaf = tl.where(met & (after < 0), node, leaf)
                node = tl.where(walking, tl.where(met | (after < 0), node + 1, after), node)
                walking = walking & (node < nodes) & (leaf < 0)
            begin = tl.load(first + leaf, mask=leaf >= 0, other=0)
            number = tl.load(count + leaf, mask=leaf >= 0, other=0)
            for step in range(tl.max(number, 0)):
                hit = hit | _hits(corners, begin + step, x, y, z, wx, wy, wz, reach, step < number)
            searching = searching & ~hit & (node < nodes)
        free += tl.where(hit, 0, 1)
        direction += 4
    tl.store(shares + query, (free.to(tl.float64) / rays).to(tl.float32), mask=listed)


def closest(tree: Tree, points: Tensor, facing: Tensor, order: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """The row in ``tree`` of the triangle nearest to each point, int64 [N], and the weights of its corners there,
    float64 [N, 3].

    points and facing float64 [N, 3]; order int64 [N]: the queries so that those that follow each other are close
    together, which only the time depends on.
    """
    points, facing = points.contiguous(), facing.contiguous()
    face = torch.empty(len(points), dtype=torch.int64, device=points.device)
    weights = torch.empty((len(points), 3), dtype=torch.float64, device=points.device)
    if len(points):
        # A number would arrive in single precision.
        beyond = torch.full((1,), margin, dtype=torch.float64, device=points.device)
        _closest[(triton.cdiv(len(points), _BLOCK),)](
            tree.boxes,
            tree.first,
            tree.count,
            tree.skip,
            tree.corners,
            tree.normals,
            points,
            facing,
            order,
            beyond,
            face,
            weights,
            len(points),
            len(tree.skip),
            BLOCK=_BLOCK,
            num_warps=_WARPS,
            enable_fp_fusion=False,
        )
    return face, weights


def open_share(
    tree: Tree, points: Tensor, normals: Tensor, pattern: Tensor, directions: Tensor, order: Tensor
) -> Tensor:
    """The share of rays that meet nothing, float32 [N], from points float64 [N, 3] around unit normals float64 [N, 3].

    pattern int64 [N] and directions float64 [P, K, 4] as in ``SurfaceIndex.open_share``; order as in ``closest``.
    """
    points, normals, directions = points.contiguous(), normals.contiguous(), directions.contiguous()
    shares = torch.empty(len(points), dtype=torch.float32, device=points.device)
    if len(points):
        _open_share[(triton.cdiv(len(points), _BLOCK),)](
            tree.boxes,
            tree.first,
            tree.count,
            tree.skip,
            tree.corners,
            points,
            normals,
            pattern,
            directions,
            order,
            shares,
            len(points),
            len(tree.skip),
            directions.shape[1],
            BLOCK=_BLOCK,
            num_warps=_WARPS,
            enable_fp_fusion=False,
        )
    return shares
