# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of a finished object for lists and history: shaded points, no renderer needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

AZIMUTH, ELEVATION = np.radians(30.0), np.radians(20.0)
"""The camera stands to the front right, a little above; fronts face -Y."""

SUPERSAMPLE, POINTS_PER_PIXEL, MOST_POINTS = 2, 2.0, 1_500_000

MOST_FACES = 1_000_000
"""More faces than this are thinned out: each still has several to a pixel."""

Colours = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gives the colour and alpha float32 [N, 4] in 0..1 of points in faces [N] at barycentric weights [N, 3]."""


def render_preview(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, base_color: np.ndarray, size: int = 256
) -> np.ndarray:
    """Return uint8 [size, size, 4], transparent where the object is not.

    vertices float [V, 3] (Z up, within [-0.5, 0.5]), faces int [F, 3], uv float [F, 3, 2] with its origin at the lower
    left of base_color uint8 [S, S, 3 or 4]. Orthographic; both sides of a face are lit.
    """

    def colours(face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return _texels(base_color, np.einsum("nc,nci->ni", weights, uv[face]))

    return _render(vertices, faces, colours, size)


def render_vertex_colours(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, size: int = 256) -> np.ndarray:
    """As ``render_preview``, with the colours float32 [V, 3] in 0..1 of the vertices."""

    def opaque(face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = np.ones((len(face), 4), dtype=np.float32)
        corner = faces[face]
        found[:, :3] = sum(weights[:, k, None] * colours[corner[:, k]] for k in range(3))
        return found

    return _render(vertices, faces, opaque, size)


def _render(vertices: np.ndarray, faces: np.ndarray, colours: Colours, size: int) -> np.ndarray:
    """Scatter points over the faces, the nearest to the camera last, and average what falls into a pixel."""
    thinning = -(-len(faces) // MOST_FACES)
    view = np.asarray(vertices, dtype=np.float32) @ np.stack(_camera(), axis=1).astype(np.float32)
    x, y, depth = (np.ascontiguousarray(axis)[faces[::thinning]] for axis in view.T)
    side = size * SUPERSAMPLE
    scale = np.float32(0.94 * side / max(float(np.ptp(x)), float(np.ptp(y)), 1e-9))
    x, y, depth = (x - (x.max() + x.min()) / 2) * scale, (y - (y.max() + y.min()) / 2) * scale, depth * scale

    normal = _normals(x, y, depth)
    # The third component of a normal that is not of unit length is twice the area that the camera sees.
    area = np.abs(normal[2]) / 2
    density = min(POINTS_PER_PIXEL, MOST_POINTS / max(float(area.sum()), 1.0))
    face, weights = _points(np.ceil(area * density).astype(np.int64))
    column, row, near = (sum(weights[:, k] * axis[face, k] for k in range(3)) for axis in (x, y, depth))
    column = np.clip((column + side / 2).astype(np.int64), 0, side - 1)
    row = np.clip((side / 2 - row).astype(np.int64), 0, side - 1)
    colour = colours(face * thinning, weights)
    colour[:, :3] *= _light(normal)[face, None]

    nearest_last = np.argsort(near, kind="stable")
    image = np.full((side * side, 4), -1, dtype=np.float32)
    image[(row * side + column)[nearest_last]] = colour[nearest_last]
    image = _without_gaps(image.reshape(side, side, 4)).reshape(size, SUPERSAMPLE, size, SUPERSAMPLE, 4)
    image[..., :3] *= image[..., 3:]
    image = image.mean(axis=(1, 3))
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _without_gaps(image: np.ndarray) -> np.ndarray:
    """Fill single pixels of [S, S, 4] that no point fell on (negative) from both sides; what is left becomes clear."""
    for axis in (0, 1):
        before, after = np.roll(image, 1, axis), np.roll(image, -1, axis)
        gap = (image[..., 3] < 0) & (before[..., 3] >= 0) & (after[..., 3] >= 0)
        image[gap] = (before[gap] + after[gap]) / 2
    return np.maximum(image, 0)


def _camera() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and towards-the-camera unit vectors."""
    towards = np.array([np.sin(AZIMUTH) * np.cos(ELEVATION), -np.cos(AZIMUTH) * np.cos(ELEVATION), np.sin(ELEVATION)])
    right = np.array([np.cos(AZIMUTH), np.sin(AZIMUTH), 0.0])
    return right, np.cross(towards, right), towards


def _points(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread ``counts[f]`` points evenly over each face f: face index [N] and barycentric weights float32 [N, 3]."""
    face = np.repeat(np.arange(len(counts)), counts)
    index = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    u, v = (0.5 + index * 0.7548776662466927) % 1, (0.5 + index * 0.5698402909980532) % 1
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    return face, np.stack([1 - u - v, u, v], axis=1).astype(np.float32)


def _texels(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Colour and alpha float32 [N, 4] in 0..1 of the texels at uv [N, 2]."""
    height, width = image.shape[:2]
    column = np.clip((uv[:, 0] * width).astype(np.int64), 0, width - 1)
    row = np.clip(((1 - uv[:, 1]) * height).astype(np.int64), 0, height - 1)
    found = np.ones((len(uv), 4), dtype=np.float32)
    found[:, : image.shape[2]] = image[row, column] / np.float32(255)
    return found


def _normals(x: np.ndarray, y: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cross products of the faces' edges, seen by the camera: right, up and towards it, each [F]."""
    ax, ay, az = (axis[:, 1] - axis[:, 0] for axis in (x, y, depth))
    bx, by, bz = (axis[:, 2] - axis[:, 0] for axis in (x, y, depth))
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


def _light(normal: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Brightness [F] of each face under a lamp above the camera and a soft sky."""
    right, up, towards = normal
    length = np.maximum(np.sqrt(right**2 + up**2 + towards**2), 1e-20)
    length = np.where(towards < 0, -length, length)
    sky = (up * np.cos(ELEVATION) + towards * np.sin(ELEVATION)) / length
    lamp = (0.6 * up + towards) / (np.hypot(0.6, 1.0) * length)
    return (0.45 + 0.1 * sky + 0.5 * np.clip(lamp, 0, 1)).astype(np.float32)
