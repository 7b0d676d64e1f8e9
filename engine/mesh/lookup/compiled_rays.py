# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays in the search tree of ``compiled_bvh``, made wide and small for them, for one CPU thread.

Importing this module fails where numba is missing. A node holds the boxes of eight children in two lines of the cache,
and the processor tries all eight in one step. Boxes are numbers of steps of a grid of 2^16 a side, widened outward by a
step at least: more than single precision loses. So no ray passes by what it meets, and triangles are tried in double
precision: what is found does not depend on the tree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cpu import CPUContext
from numba.core.typing import BaseContext, Signature
from numba.extending import intrinsic

from ...kernels.compiled_loops import compiled

WIDTH = 8
ROW = 64
"""Numbers of 16 bits to a node: six sides (low x, y, z, high x, y, z) of eight boxes, then eight children of 32 bits:
the number of a node, or -1 - the number of a leaf in the binary tree."""
CHILDREN = 24
"""Where these begin, in numbers of 32 bits."""
STEPS = 65530.0
PACKET = 16
"""Rays of a point that go down the tree together."""
STACK = 128 * WIDTH
"""As many as can wait at once: seven brothers of each node on a way down."""

Compiling = tuple[Signature, Callable[..., ir.Value]]
"""What numba is told of a function: its types, and what writes its code."""


@compiled
def widen(boxes: np.ndarray, first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tree of ``compiled_bvh.build``: nodes uint16 [W, ``ROW``] and, float64 [4], corner and step of their grid.

    Of the children of a node the one with the largest surface is divided until there are eight (Wald et al., 2008).
    """
    leaf_count, span = 0, 0.0
    for node in range(len(count)):
        leaf_count += count[node] > 0
    for axis in range(3):
        span = max(span, np.float64(boxes[0, axis + 3]) - boxes[0, axis])
    grid = np.empty(4)
    grid[3] = span / STEPS if span > 0.0 else 1.0
    for axis in range(3):
        grid[axis] = boxes[0, axis] - 2.0 * grid[3]
    # What nothing is written to has its low sides above its high ones: no ray enters.
    nodes = np.zeros((leaf_count, ROW), np.uint16)
    nodes[:, : 3 * WIDTH] = 65535
    child, opened = nodes.view(np.int32), np.empty(WIDTH, np.int64)
    stack = np.empty((STACK, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, -1, 0
    top, made = 1, 0
    while top:
        top -= 1
        node, parent, lane = stack[top, 0], stack[top, 1], stack[top, 2]
        if parent >= 0:
            child[parent, CHILDREN + lane] = made
        opened[0], held = node, 1
        while held < WIDTH:
            widest, largest = -1, -1.0
            for lane in range(held):
                node = opened[lane]
                if count[node] == 0:
                    x = np.float64(boxes[node, 3]) - boxes[node, 0]
                    y = np.float64(boxes[node, 4]) - boxes[node, 1]
                    z = np.float64(boxes[node, 5]) - boxes[node, 2]
                    if x * y + y * z + z * x > largest:
                        widest, largest = lane, x * y + y * z + z * x
            if widest < 0:
                break
            node = opened[widest]
            for lane in range(held, widest + 1, -1):
                opened[lane] = opened[lane - 1]
            opened[widest], opened[widest + 1] = node + 1, first[node]
            held += 1
        for lane in range(held):
            node = opened[lane]
            for axis in range(3):
                low = np.floor((boxes[node, axis] - grid[axis]) / grid[3]) - 1.0
                high = np.ceil((boxes[node, axis + 3] - grid[axis]) / grid[3]) + 1.0
                nodes[made, axis * WIDTH + lane] = np.uint16(low)
                nodes[made, (axis + 3) * WIDTH + lane] = np.uint16(high)
            child[made, CHILDREN + lane] = -1 - node
        for lane in range(held - 1, -1, -1):
            if count[opened[lane]] == 0:
                stack[top, 0], stack[top, 1], stack[top, 2] = opened[lane], made, lane
                top += 1
        made += 1
    return nodes[:made].copy(), grid


def _everywhere(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A number as a vector of eight equal ones."""
    kind, number = ir.VectorType(value.type, WIDTH), ir.IntType(32)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, number(0))
    places = ir.Constant(ir.VectorType(number, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), places)


def _least(builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered("<", one, other), one, other)


def _most(builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _side(builder: ir.IRBuilder, data: ir.Value, node: ir.Value, number: ir.Value) -> ir.Value:
    """One side of a node's eight boxes, 0 to 5 (LLVM's int64), in steps and single precision; ``data``: all nodes."""
    steps = ir.VectorType(ir.IntType(16), WIDTH)
    place = builder.add(builder.mul(node, node.type(ROW)), builder.mul(number, node.type(WIDTH)))
    held = builder.load(builder.bitcast(builder.gep(data, [place]), steps.as_pointer()), align=2)
    # By way of 32 bits with a sign, which processors convert at once.
    wide = builder.zext(held, ir.VectorType(ir.IntType(32), WIDTH))
    return builder.sitofp(wide, ir.VectorType(ir.FloatType(), WIDTH))


@intrinsic
def entered(
    typing: BaseContext,
    nodes: types.Type,
    node: types.Type,
    x: types.Type,
    y: types.Type,
    z: types.Type,
    rx: types.Type,
    ry: types.Type,
    rz: types.Type,
    reach: types.Type,
) -> Compiling:
    """Which of a node's boxes a ray enters within 0..reach: bits of an int64.

    x, y, z: where it starts, in steps; r: the world units of its length to a step along each axis; float32 all.
    """

    def build(context: CPUContext, builder: ir.IRBuilder, signature: Signature, args: tuple[ir.Value, ...]) -> ir.Value:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        enter, leave = _everywhere(builder, args[8].type(0.0)), _everywhere(builder, args[8])
        for axis in range(3):
            origin, slope = (_everywhere(builder, args[place + axis]) for place in (2, 5))
            low, high = (args[1].type(axis + shift) for shift in (0, 3))
            ahead = builder.fcmp_ordered(">=", args[5 + axis], args[5 + axis].type(0.0))
            near = _side(builder, data, args[1], builder.select(ahead, low, high))
            far = _side(builder, data, args[1], builder.select(ahead, high, low))
            enter = _most(builder, enter, builder.fmul(builder.fsub(near, origin), slope))
            leave = _least(builder, leave, builder.fmul(builder.fsub(far, origin), slope))
        within = builder.fcmp_ordered("<=", enter, leave)
        return builder.zext(builder.bitcast(within, ir.IntType(WIDTH)), ir.IntType(64))

    return types.int64(nodes, types.int64, *[types.float32] * 7), build


@intrinsic
def lowest_bit(typing: BaseContext, bits: types.Type) -> Compiling:
    """The number of the lowest bit of an int64 that is set; 64 where none is."""

    def build(context: CPUContext, builder: ir.IRBuilder, signature: Signature, args: tuple[ir.Value, ...]) -> ir.Value:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), build


@compiled
def _hits(
    corners: np.ndarray, face: int, x: float, y: float, z: float, dx: float, dy: float, dz: float, reach: float
) -> bool:
    """Whether a ray meets a triangle, from either side, within 0..reach (Möller and Trumbore, 1997)."""
    ax, ay, az = np.float64(corners[face, 0]), np.float64(corners[face, 1]), np.float64(corners[face, 2])
    bx, by, bz = corners[face, 3] - ax, corners[face, 4] - ay, corners[face, 5] - az
    cx, cy, cz = corners[face, 6] - ax, corners[face, 7] - ay, corners[face, 8] - az
    px, py, pz = dy * cz - dz * cy, dz * cx - dx * cz, dx * cy - dy * cx
    det = bx * px + by * py + bz * pz
    if det == 0.0:
        return False
    tx, ty, tz = x - ax, y - ay, z - az
    u = (tx * px + ty * py + tz * pz) / det
    if u < 0.0 or u > 1.0:
        return False
    qx, qy, qz = ty * bz - tz * by, tz * bx - tx * bz, tx * by - ty * bx
    v = (dx * qx + dy * qy + dz * qz) / det
    if v < 0.0 or u + v > 1.0:
        return False
    t = (cx * qx + cy * qy + cz * qz) / det
    return 0.0 < t < reach


@compiled
def _turned(bits: int) -> int:
    """The transpose of a matrix of 8 x 8 bits, uint64: bit 8 i + j becomes bit 8 j + i (Warren, Hacker's Delight)."""
    swap = (bits ^ bits >> np.uint64(7)) & np.uint64(0x00AA00AA00AA00AA)
    bits ^= swap ^ swap << np.uint64(7)
    swap = (bits ^ bits >> np.uint64(14)) & np.uint64(0x0000CCCC0000CCCC)
    bits ^= swap ^ swap << np.uint64(14)
    swap = (bits ^ bits >> np.uint64(28)) & np.uint64(0x00000000F0F0F0F0)
    return bits ^ swap ^ swap << np.uint64(28)


@compiled
def open_share(
    nodes: np.ndarray,
    grid: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    corners: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    pattern: np.ndarray,
    directions: np.ndarray,
) -> np.ndarray:
    """The share of rays that meet nothing, float32 [N], from points [N, 3] around their unit normals [N, 3].

    directions float64 [P, K, 4]: K rays for each of P patterns, a unit vector about (0, 0, 1) and how far it reaches;
    ``pattern`` int64 [N] says which to take. nodes and grid: see ``widen``; ``first`` and ``count`` int32 of the binary
    tree over the triangles ``corners`` float32 [F, 9].
    """
    shares, child = np.empty(len(points), np.float32), nodes.view(np.int32)
    rays = directions.shape[1]
    ray, slopes = np.empty((PACKET, 4)), np.empty((PACKET, 4), np.float32)
    stack, going = np.empty(STACK, np.int64), np.empty(STACK, np.int64)
    for i in range(len(points)):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        nx, ny, nz = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
        sx, sy, sz = (
            np.float32((x - grid[0]) / grid[3]),
            np.float32((y - grid[1]) / grid[3]),
            np.float32((z - grid[2]) / grid[3]),
        )
        # A frame around the normal without a branch that jumps (Duff et al., 2017).
        sign = 1.0 if nz >= 0.0 else -1.0
        a = -1.0 / (sign + nz)
        b = nx * ny * a
        kind, free = pattern[i], 0
        for begin in range(0, rays, PACKET):
            together = min(rays - begin, PACKET)
            for k in range(together):
                dx, dy, dz = (
                    directions[kind, begin + k, 0],
                    directions[kind, begin + k, 1],
                    directions[kind, begin + k, 2],
                )
                ray[k, 0] = dx * (1.0 + sign * nx * nx * a) + dy * b + dz * nx
                ray[k, 1] = dx * (sign * b) + dy * (sign + ny * ny * a) + dz * ny
                ray[k, 2] = dx * (-sign * nx) - dy * ny + dz * nz
                ray[k, 3] = slopes[k, 3] = directions[kind, begin + k, 3]
                for axis in range(3):
                    slopes[k, axis] = grid[3] / ray[k, axis] if abs(ray[k, axis]) > 1e-12 else grid[3] * 1e12
            alive = (1 << together) - 1
            top = 1
            stack[0], going[0] = 0, alive
            while top:
                top -= 1
                node, active = stack[top], going[top] & alive
                if node < 0:
                    from_face, to_face = first[-1 - node], first[-1 - node] + count[-1 - node]
                    while active:
                        k = lowest_bit(active)
                        for face in range(from_face, to_face):
                            if _hits(corners, face, x, y, z, ray[k, 0], ray[k, 1], ray[k, 2], ray[k, 3]):
                                alive &= ~(1 << k)
                                break
                        active &= active - 1
                    continue
                some, others, reached = np.uint64(0), np.uint64(0), np.uint64(0)
                while active:
                    k = lowest_bit(active)
                    s = slopes[k]
                    bits = np.uint64(entered(nodes, node, sx, sy, sz, s[0], s[1], s[2], s[3]))
                    if k < 8:
                        some |= bits << np.uint64(8 * k)
                    else:
                        others |= bits << np.uint64(8 * k - 64)
                    reached |= bits
                    active &= active - 1
                some, others = _turned(some), _turned(others)
                while reached:
                    lane = lowest_bit(np.int64(reached))
                    reached &= reached - np.uint64(1)
                    stack[top] = child[node, CHILDREN + lane]
                    going[top] = np.int64(some >> np.uint64(8 * lane) & np.uint64(255))
                    going[top] |= np.int64(others >> np.uint64(8 * lane) & np.uint64(255)) << 8
                    top += 1
            while alive:
                free += 1
                alive &= alive - 1
        shares[i] = free / rays
    return shares
