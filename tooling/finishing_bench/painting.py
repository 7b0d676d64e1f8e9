# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of the set: gradients and edges that depend on the position only."""

from __future__ import annotations

import numpy as np

BASE_COLOR, METALLIC, ROUGHNESS, ALPHA = slice(0, 3), 3, 4, 5


def paint(coords: np.ndarray, resolution: int, transparent: bool) -> np.ndarray:
    """Attributes float32 [N, 6] of voxels ``coords`` [N, 3]: base colour (sRGB), metallic, roughness, alpha.

    Edges are as soft as a voxel, as they are in voxels made from an image. With ``transparent`` alpha has holes.
    """
    points = (coords + 0.5) / resolution - 0.5
    x, y, z = points.T
    gradient = np.stack([0.55 + 0.35 * np.sin(3.1 * x + 0.4), 0.5 + 0.3 * np.sin(2.7 * y + 1.9 * z), 0.45 + 0.4 * z], 1)
    band = _edge(np.sin(2 * np.pi * (z + 0.15 * x) / 0.22), 2 * np.pi / 0.22, resolution)
    spot = _edge(np.sin(15.0 * x) * np.sin(15.0 * y) + np.sin(15.0 * z) - 0.9, 20.0, resolution)
    ochre, teal = np.array([0.85, 0.55, 0.2]), np.array([0.1, 0.35, 0.4])
    colour = gradient + 0.45 * band[:, None] * (ochre - gradient)
    colour = colour + 0.7 * spot[:, None] * (teal - colour)
    metallic = _edge(np.sin(9.0 * x - 5.0 * z), 10.0, resolution)
    roughness = 0.5 + 0.3 * np.sin(6.0 * (x + y)) - 0.25 * spot
    alpha = np.ones(len(points))
    if transparent:
        alpha = 1.0 - _edge(np.sin(70.0 * x) * np.sin(70.0 * y) * np.sin(70.0 * z) - 0.35, 60.0, resolution)
    attributes = np.concatenate([colour, np.stack([metallic, roughness, alpha], axis=1)], axis=1)
    return np.clip(attributes, 0.0, 1.0).astype(np.float32)


def _edge(value: np.ndarray, slope: float, resolution: int) -> np.ndarray:
    """A step from 0 to 1 where ``value`` crosses zero, one voxel wide where its slope is ``slope`` per unit."""
    return np.clip(0.5 + value * resolution / slope, 0.0, 1.0)
