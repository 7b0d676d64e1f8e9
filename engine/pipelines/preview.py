# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of a finished object for lists and history: shaded points, no renderer needed."""

from __future__ import annotations

import numpy as np

AZIMUTH, ELEVATION = np.radians(30.0), np.radians(20.0)
"""The camera stands to the front right, a little above; fronts face -Y."""

SUPERSAMPLE, POINTS_PER_PIXEL, MOST_POINTS = 2, 2.0, 1_500_000


def render_preview(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, base_color: np.ndarray, size: int = 256
) -> np.ndarray:
    """Return uint8 [size, size, 4], transparent where the object is not.

    vertices float [V, 3] (Z up, within [-0.5, 0.5]), faces int [F, 3], uv float [F, 3, 2] with its origin at the lower
    left of base_color uint8 [S, S, 3 or 4]. Orthographic; both sides of a face are lit.
    """
    right, up, towards = _camera()
    side = size * SUPERSAMPLE
    corners = vertices[faces].astype(np.float64)
    plane = np.stack([corners @ right, corners @ up], axis=-1)
    scale = 0.94 * side / max(float(np.ptp(plane.reshape(-1, 2), axis=0).max()), 1e-9)
    middle = (plane.reshape(-1, 2).max(axis=0) + plane.reshape(-1, 2).min(axis=0)) / 2
    pixels = (plane - middle) * scale
    edge1, edge2 = pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
    area = np.abs(edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]) / 2
    density = min(POINTS_PER_PIXEL, MOST_POINTS / max(area.sum(), 1.0))
    face, weights = _points(np.ceil(area * density).astype(np.int64))

    at_corners = np.concatenate([pixels, (corners @ towards)[..., None], uv], axis=2)
    x, y, depth, u, v = sum(weights[:, k, None] * at_corners[face, k] for k in range(3)).T
    column = np.clip((x + side / 2).astype(np.int64), 0, side - 1)
    row = np.clip((side / 2 - y).astype(np.int64), 0, side - 1)
    colour = _texels(base_color, u, v)
    colour[:, :3] *= _light(corners, towards, up)[face][:, None]

    nearest_last = np.argsort(depth, kind="stable")
    image = np.zeros((side * side, 4))
    image[(row * side + column)[nearest_last]] = colour[nearest_last]
    image = image.reshape(size, SUPERSAMPLE, size, SUPERSAMPLE, 4)
    image[..., :3] *= image[..., 3:]
    image = image.mean(axis=(1, 3))
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _camera() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and towards-the-camera unit vectors."""
    towards = np.array([np.sin(AZIMUTH) * np.cos(ELEVATION), -np.cos(AZIMUTH) * np.cos(ELEVATION), np.sin(ELEVATION)])
    right = np.array([np.cos(AZIMUTH), np.sin(AZIMUTH), 0.0])
    return right, np.cross(towards, right), towards


def _points(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread ``counts[f]`` points evenly over each face f: face index [N] and barycentric weights [N, 3]."""
    face = np.repeat(np.arange(len(counts)), counts)
    index = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    u, v = (0.5 + index * 0.7548776662466927) % 1, (0.5 + index * 0.5698402909980532) % 1
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    return face, np.stack([1 - u - v, u, v], axis=1)


def _texels(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Colour and alpha [N, 4] in 0..1 of the texels at u, v [N]."""
    height, width = image.shape[:2]
    column = np.clip((u * width).astype(np.int64), 0, width - 1)
    row = np.clip(((1 - v) * height).astype(np.int64), 0, height - 1)
    found = image[row, column].astype(np.float64) / 255
    return found if found.shape[1] == 4 else np.concatenate([found, np.ones((len(found), 1))], axis=1)


def _light(corners: np.ndarray, towards: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Brightness [F] of each face under a lamp above the camera and a soft sky."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
    normal *= np.where(normal @ towards < 0, -1.0, 1.0)[:, None]
    lamp = towards + 0.6 * up
    return 0.45 + 0.1 * normal[:, 2] + 0.5 * np.clip(normal @ (lamp / np.linalg.norm(lamp)), 0, 1)
