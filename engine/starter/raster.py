# SPDX-License-Identifier: GPL-3.0-or-later
"""Z-buffer rasteriser: an asset and a camera to the visible surface samples of every pixel.

Every pixel is covered by 2 x 2 rays. Rays of a pixel that hit the same label become one sample with their mean normal,
so a picture costs little more than one sample per covered pixel and is still smooth along edges. Where the first
surface is glass, the first opaque surface behind it gives further samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from .asset import Asset
from .camera import Camera, rotation, to_camera
from .materials import GLASS_SLOT
from .patterns import pattern_bit

CREASE_COSINE = 0.75
"""Faces that meet at less than about 41 degrees are shaded smoothly."""


@dataclass(frozen=True)
class Samples:
    """Visible surface samples of one square picture with ``size`` pixels a side, ordered by pixel.

    ``pixels`` int32 [S], row * size + column. ``codes`` uint8 [S]: the label (0 to 11), the number of rays that hit it
    less one (0 to 3) << 4, and what covers it << 6 (0 nothing, else 1 + pattern bit of the glass in front).
    ``normals`` int8 [S, 3]: unit normal times 127 in camera space (x right, y up, z towards the viewer), turned to the
    viewer.
    """

    size: int
    pixels: np.ndarray
    codes: np.ndarray
    normals: np.ndarray


@njit(cache=True)
def corner_normals(vertices: np.ndarray, faces: np.ndarray, crease: float) -> np.ndarray:
    """Return unit normals float32 [F, 3, 3] of every face corner: the mean over adjacent faces that meet smoothly."""
    count = len(faces)
    flat = np.zeros((count, 3), dtype=np.float32)
    unit = np.zeros((count, 3), dtype=np.float32)
    degree = np.zeros(len(vertices) + 1, dtype=np.int64)
    for f in range(count):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        u, v = b - a, c - a
        n = np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
        length = np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2)
        flat[f] = n
        if length > 0:
            unit[f] = n / length
        for k in range(3):
            degree[faces[f, k] + 1] += 1
    start = np.cumsum(degree)
    fill = start.copy()
    around = np.empty(3 * count, dtype=np.int64)
    for f in range(count):
        for k in range(3):
            around[fill[faces[f, k]]] = f
            fill[faces[f, k]] += 1
    result = np.empty((count, 3, 3), dtype=np.float32)
    for f in range(count):
        for k in range(3):
            vertex = faces[f, k]
            x, y, z = np.float32(0), np.float32(0), np.float32(0)
            for at in range(start[vertex], start[vertex + 1]):
                g = around[at]
                if unit[f, 0] * unit[g, 0] + unit[f, 1] * unit[g, 1] + unit[f, 2] * unit[g, 2] >= crease:
                    x, y, z = x + flat[g, 0], y + flat[g, 1], z + flat[g, 2]
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0:
                result[f, k, 0], result[f, k, 1], result[f, k, 2] = x / length, y / length, z / length
            else:
                result[f, k] = unit[f]
    return result


@njit(cache=True)
def _nearest_faces(
    points: np.ndarray, faces: np.ndarray, skip: np.ndarray, centre_x: float, centre_y: float, half: float, size: int
) -> np.ndarray:
    """Return the first face hit through the centre of every pixel int32 [size, size], -1 where there is none."""
    nearest = np.zeros((size, size), dtype=np.float32)
    hit = np.full((size, size), -1, dtype=np.int32)
    scale = size / (2 * half)
    plane = np.empty((len(points), 3), dtype=np.float64)
    for n in range(len(points)):
        inverse = -1.0 / points[n, 2]
        plane[n, 0] = (points[n, 0] * inverse - centre_x + half) * scale - 0.5
        plane[n, 1] = (centre_y + half - points[n, 1] * inverse) * scale - 0.5
        plane[n, 2] = inverse
    for f in range(len(faces)):
        if skip[f]:
            continue
        a, b, c = plane[faces[f, 0]], plane[faces[f, 1]], plane[faces[f, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-12:
            continue
        left = max(0, int(np.ceil(min(a[0], b[0], c[0]))))
        right = min(size - 1, int(np.floor(max(a[0], b[0], c[0]))))
        top = max(0, int(np.ceil(min(a[1], b[1], c[1]))))
        bottom = min(size - 1, int(np.floor(max(a[1], b[1], c[1]))))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                wb = ((column - a[0]) * (c[1] - a[1]) - (row - a[1]) * (c[0] - a[0])) / area
                wc = ((b[0] - a[0]) * (row - a[1]) - (b[1] - a[1]) * (column - a[0])) / area
                wa = 1 - wb - wc
                if wa < -1e-9 or wb < -1e-9 or wc < -1e-9:
                    continue
                depth = wa * a[2] + wb * b[2] + wc * c[2]
                if depth > nearest[row, column]:
                    nearest[row, column] = depth
                    hit[row, column] = f
    return hit


@njit(cache=True)
def _collect(
    hit: np.ndarray,
    behind: np.ndarray,
    points: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    slots: np.ndarray,
    normals: np.ndarray,
    turn: np.ndarray,
    patterns: np.ndarray,
    glass: int,
    frame: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge the 2 x 2 rays of every pixel to samples: pixels, codes, normals."""
    fine = len(hit)
    size = fine // 2
    limit = 4096
    pixels = np.empty(limit, dtype=np.int32)
    codes = np.empty(limit, dtype=np.uint8)
    result = np.empty((limit, 3), dtype=np.int8)
    count = 0
    keys = np.empty(8, dtype=np.int64)
    rays = np.empty(8, dtype=np.int64)
    sums = np.empty((8, 3), dtype=np.float64)
    for row in range(size):
        for column in range(size):
            groups = 0
            for sub in range(4):
                y, x = 2 * row + sub // 2, 2 * column + sub % 2
                cover = 0
                for layer in range(2):
                    f = hit[y, x] if layer == 0 else behind[y, x]
                    if f < 0 or (layer == 1 and cover == 0):
                        continue
                    a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
                    dx = frame[0] + ((x + 0.5) / fine * 2 - 1) * frame[2]
                    dy = frame[1] - ((y + 0.5) / fine * 2 - 1) * frame[2]
                    # Barycentric coordinates of the ray (dx, dy, -1) t: ratios of signed volumes with the eye.
                    wa = _volume(dx, dy, b, c)
                    wb = _volume(dx, dy, c, a)
                    wc = _volume(dx, dy, a, b)
                    total = wa + wb + wc
                    wa, wb, wc = wa / total, wb / total, wc / total
                    n0 = wa * normals[f, 0, 0] + wb * normals[f, 1, 0] + wc * normals[f, 2, 0]
                    n1 = wa * normals[f, 0, 1] + wb * normals[f, 1, 1] + wc * normals[f, 2, 1]
                    n2 = wa * normals[f, 0, 2] + wb * normals[f, 1, 2] + wc * normals[f, 2, 2]
                    nx = turn[0, 0] * n0 + turn[0, 1] * n1 + turn[0, 2] * n2
                    ny = turn[1, 0] * n0 + turn[1, 1] * n1 + turn[1, 2] * n2
                    nz = turn[2, 0] * n0 + turn[2, 1] * n1 + turn[2, 2] * n2
                    p, q, r = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
                    if nx * dx + ny * dy - nz > 0:
                        nx, ny, nz = -nx, -ny, -nz
                    slot = slots[f]
                    label = 2 * slot + pattern_bit(
                        patterns[slot],
                        wa * p[0] + wb * q[0] + wc * r[0],
                        wa * p[1] + wb * q[1] + wc * r[1],
                        wa * p[2] + wb * q[2] + wc * r[2],
                    )
                    key = label | (cover << 6)
                    if slot == glass:
                        cover = 1 + (label & 1)
                    at = 0
                    while at < groups and keys[at] != key:
                        at += 1
                    if at == groups:
                        keys[at], rays[at] = key, 0
                        sums[at, 0], sums[at, 1], sums[at, 2] = 0.0, 0.0, 0.0
                        groups += 1
                    rays[at] += 1
                    sums[at, 0] += nx
                    sums[at, 1] += ny
                    sums[at, 2] += nz
            if count + groups > limit:
                limit *= 2
                pixels = np.concatenate((pixels, np.empty_like(pixels)))
                codes = np.concatenate((codes, np.empty_like(codes)))
                result = np.concatenate((result, np.empty_like(result)))
            for at in range(groups):
                length = np.sqrt(sums[at, 0] ** 2 + sums[at, 1] ** 2 + sums[at, 2] ** 2) + 1e-12
                pixels[count] = row * size + column
                codes[count] = keys[at] | ((rays[at] - 1) << 4)
                for k in range(3):
                    result[count, k] = np.int8(np.round(sums[at, k] / length * 127))
                count += 1
    return pixels[:count].copy(), codes[:count].copy(), result[:count].copy()


@njit(cache=True)
def _volume(dx: float, dy: float, p: np.ndarray, q: np.ndarray) -> float:
    """Return the signed volume of the ray (dx, dy, -1) with two corners."""
    return dx * (p[1] * q[2] - p[2] * q[1]) + dy * (p[2] * q[0] - p[0] * q[2]) - (p[0] * q[1] - p[1] * q[0])


def first_faces(vertices: np.ndarray, faces: np.ndarray, camera: Camera, size: int) -> np.ndarray:
    """Return the face seen through every pixel of the camera's frame int32 [size, size], -1 where there is none."""
    points = to_camera(vertices, camera)
    everything = np.zeros(len(faces), dtype=np.bool_)
    return _nearest_faces(
        points, faces.astype(np.int32), everything, camera.centre_x, camera.centre_y, camera.half, size
    )


def smooth_normals(asset: Asset) -> np.ndarray:
    """Return the shading normals float32 [F, 3, 3] of an asset's face corners."""
    return corner_normals(asset.vertices, asset.faces, CREASE_COSINE)


def rasterise(asset: Asset, normals: np.ndarray, camera: Camera, size: int) -> Samples:
    """Return the visible samples of an asset in the camera's frame, ``size`` pixels a side.

    ``normals`` comes from ``smooth_normals``. Expects the whole asset in front of the eye.
    """
    points = to_camera(asset.vertices, camera)
    frame = np.array([camera.centre_x, camera.centre_y, camera.half])
    is_glass = asset.slots == GLASS_SLOT
    everything = np.zeros(len(asset.faces), dtype=np.bool_)
    hit = _nearest_faces(points, asset.faces, everything, *frame, 2 * size)
    if is_glass.any():
        behind = _nearest_faces(points, asset.faces, is_glass, *frame, 2 * size)
    else:
        behind = np.full_like(hit, -1)
    pixels, codes, packed = _collect(
        hit,
        behind,
        points,
        asset.vertices,
        asset.faces,
        asset.slots,
        normals,
        rotation(camera),
        asset.patterns,
        GLASS_SLOT,
        frame,
    )
    return Samples(size, pixels, codes, packed)
