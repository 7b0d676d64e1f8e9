# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of the search tree over triangles, for one CPU thread.

Importing this module fails where numba is missing; ``nearest`` says what then happens. Arrays are numpy. No fast-math:
the same input gives the same bits everywhere. A bounding volume hierarchy in depth-first order: the left child of node
n is n + 1, so a node is its box [6] (low x, y, z, high x, y, z) and two numbers: ``count`` 0 and the right child, or
the number of triangles of a leaf and the first of them.
"""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled

LEAF = 4
"""Triangles that are tried one by one."""
DEPTH = 128
"""More levels than there can be: 63 of distinct Morton codes, and halvings of up to 2^31 triangles with equal ones."""
TIE = 1e-4
"""By how much (of the squared distance, for each unit of 1 - cosine) a face that is turned aside counts as further."""
SLACK = 1e-9
"""A box is left out only when it is further than the best triangle by this share and by ``NOTHING``: what a triangle
counts as is never less than its box by more than that. So the order of visiting decides nothing."""
NOTHING = 1e-20
"""Squared world units, for rounding in objects about one unit long."""


@compiled
def morton_codes(points: np.ndarray, low: np.ndarray, scale: float) -> np.ndarray:
    """The place of points [N, 3] along a Z-order curve of 2^21 steps a side, uint64 [N]."""
    codes = np.empty(len(points), np.uint64)
    for i in range(len(points)):
        code = np.uint64(0)
        for axis in range(3):
            step = np.uint64(min(max((points[i, axis] - low[axis]) * scale, 0.0), 2097151.0))
            step = (step | step << np.uint64(32)) & np.uint64(0x1F00000000FFFF)
            step = (step | step << np.uint64(16)) & np.uint64(0x1F0000FF0000FF)
            step = (step | step << np.uint64(8)) & np.uint64(0x100F00F00F00F00F)
            step = (step | step << np.uint64(4)) & np.uint64(0x10C30C30C30C30C3)
            step = (step | step << np.uint64(2)) & np.uint64(0x1249249249249249)
            code |= step << np.uint64(axis)
        codes[i] = code
    return codes


@compiled
def build(codes: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes float32 [N, 6], first int32 [N] and count int32 [N] over triangles float32 [F, 9] sorted by code.

    Nodes are split where the highest bit of the codes changes (Lauterbach et al., 2009), equal codes in the middle.
    """
    room = max(2 * len(codes), 1)
    boxes = np.empty((room, 6), np.float32)
    first, count = np.empty(room, np.int32), np.empty(room, np.int32)
    stack = np.empty((DEPTH, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(codes), -1
    top, nodes = 1, 0
    while top:
        top -= 1
        begin, end, parent = stack[top, 0], stack[top, 1], stack[top, 2]
        node = nodes
        nodes += 1
        if parent >= 0:
            first[parent] = node
        if end - begin <= LEAF:
            first[node], count[node] = begin, end - begin
            continue
        count[node] = 0
        differing = codes[begin] ^ codes[end - 1]
        middle = (begin + end) // 2
        if differing:
            bit = np.uint64(1)
            while differing > np.uint64(1):
                differing >>= np.uint64(1)
                bit <<= np.uint64(1)
            low, high = begin, end - 1  # codes[low] has the bit unset, codes[high] has it set
            while high - low > 1:
                between = (low + high) // 2
                if codes[between] & bit:
                    high = between
                else:
                    low = between
            middle = high
        # The left half is taken up next and becomes node + 1; the right one reports back to this node.
        stack[top, 0], stack[top, 1], stack[top, 2] = middle, end, node
        stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2] = begin, middle, -1
        top += 2
    for node in range(nodes - 1, -1, -1):
        if count[node] == 0:
            left, right = node + 1, first[node]
            for axis in range(3):
                boxes[node, axis] = min(boxes[left, axis], boxes[right, axis])
                boxes[node, axis + 3] = max(boxes[left, axis + 3], boxes[right, axis + 3])
            continue
        for axis in range(3):
            low_side, high_side = np.float32(np.inf), np.float32(-np.inf)
            for face in range(first[node], first[node] + count[node]):
                for corner in range(3):
                    value = corners[face, 3 * corner + axis]
                    low_side, high_side = min(low_side, value), max(high_side, value)
            boxes[node, axis], boxes[node, axis + 3] = low_side, high_side
    return boxes[:nodes].copy(), first[:nodes].copy(), count[:nodes].copy()


@compiled
def _box_distance(boxes: np.ndarray, node: int, x: float, y: float, z: float) -> float:
    """The squared distance of a point to a box."""
    dx = max(max(boxes[node, 0] - x, x - boxes[node, 3]), 0.0)
    dy = max(max(boxes[node, 1] - y, y - boxes[node, 4]), 0.0)
    dz = max(max(boxes[node, 2] - z, z - boxes[node, 5]), 0.0)
    return dx * dx + dy * dy + dz * dz


@compiled
def _on_triangle(corners: np.ndarray, face: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """The squared distance of a point to a triangle and the weights of its corners b and c at the closest point.

    Ericson, Real-Time Collision Detection, 5.1.5: by the region of the triangle's plane that the point is above.
    """
    ax, ay, az = np.float64(corners[face, 0]), np.float64(corners[face, 1]), np.float64(corners[face, 2])
    bx, by, bz = corners[face, 3] - ax, corners[face, 4] - ay, corners[face, 5] - az
    cx, cy, cz = corners[face, 6] - ax, corners[face, 7] - ay, corners[face, 8] - az
    px, py, pz = x - ax, y - ay, z - az
    d1, d2 = bx * px + by * py + bz * pz, cx * px + cy * py + cz * pz
    bb, bc, cc = bx * bx + by * by + bz * bz, bx * cx + by * cy + bz * cz, cx * cx + cy * cy + cz * cz
    d3, d4 = d1 - bb, d2 - bc
    d5, d6 = d1 - bc, d2 - cc
    wb, wc = 0.0, 0.0
    if d1 <= 0 and d2 <= 0:
        pass
    elif d3 >= 0 and d4 <= d3:
        wb = 1.0
    elif d6 >= 0 and d5 <= d6:
        wc = 1.0
    else:
        va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
        if vc <= 0 and d1 >= 0 >= d3 and d1 > d3:
            wb = d1 / (d1 - d3)
        elif vb <= 0 and d2 >= 0 >= d6 and d2 > d6:
            wc = d2 / (d2 - d6)
        elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
            wc = (d4 - d3) / ((d4 - d3) + (d5 - d6))
            wb = 1.0 - wc
        else:
            total = va + vb + vc
            wb, wc = vb / total, vc / total
    dx, dy, dz = px - wb * bx - wc * cx, py - wb * by - wc * cy, pz - wb * bz - wc * cz
    return dx * dx + dy * dy + dz * dz, wb, wc


@compiled
def closest(
    boxes: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    corners: np.ndarray,
    normals: np.ndarray,
    points: np.ndarray,
    facing: np.ndarray,
    margin: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest triangle of each point, int64 [N], and the weights of its three corners there, float64 [N, 3].

    Distances count as ``nearest.SurfaceIndex.closest`` says; of triangles that count as equally far the first one is
    taken. Points that follow each other should be close together: the last one's triangle is the first guess for the
    next.
    """
    face = np.zeros(len(points), np.int64)
    weights = np.empty((len(points), 3))
    nodes, gaps = np.empty(DEPTH, np.int64), np.empty(DEPTH)
    guess = 0
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        fx, fy, fz = facing[i, 0], facing[i, 1], facing[i, 2]
        best, bound, best_b, best_c = np.inf, np.inf, 0.0, 0.0
        chosen = 0
        node, start, stop = -1, guess, guess + 1
        top = 1
        nodes[0], gaps[0] = 0, 0.0
        while True:
            for tried in range(start, stop):
                gap, wb, wc = _on_triangle(corners, tried, x, y, z)
                if gap > bound:
                    continue
                cosine = normals[tried, 0] * fx + normals[tried, 1] * fy + normals[tried, 2] * fz
                if cosine < 0:
                    gap = (2.0 * np.sqrt(gap) + margin) ** 2
                gap *= 1.0 + TIE * (1.0 - cosine)
                if gap < best or (gap == best and tried < chosen):
                    best, best_b, best_c, chosen = gap, wb, wc, tried
                    bound = best * (1.0 + SLACK) + NOTHING
            node = -1
            while top:
                top -= 1
                if gaps[top] <= bound:
                    node = nodes[top]
                    break
            if node < 0:
                break
            while count[node] == 0:
                left, right = node + 1, np.int64(first[node])
                near, far = _box_distance(boxes, left, x, y, z), _box_distance(boxes, right, x, y, z)
                if far < near:
                    left, right, near, far = right, left, far, near
                if near > bound:
                    node = -1
                    break
                if far <= bound:
                    nodes[top], gaps[top] = right, far
                    top += 1
                node = left
            start = stop = 0
            if node >= 0:
                start, stop = np.int64(first[node]), np.int64(first[node] + count[node])
        face[i], guess = chosen, chosen
        weights[i, 0], weights[i, 1], weights[i, 2] = 1.0 - best_b - best_c, best_b, best_c
    return face, weights
