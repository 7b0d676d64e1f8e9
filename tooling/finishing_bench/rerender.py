# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished asset seen from outside, its maps against the voxel materials: peak signal-to-noise ratios.

At every pixel of 26 views the maps are read as a renderer does (bilinear), and the voxel materials (trilinear over the
voxels there are) at the closest point of the raw surface.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .painting import ALPHA, BASE_COLOR, METALLIC, ROUGHNESS
from .surfaces import DIRECTIONS, Surface, views

SIDE = 256
MOST_PIXELS = 400_000
BEST = 99.0


def seen_pixels(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Face int64 [N] and weights float64 [N, 3] of pixels of the 26 views, at most ``MOST_PIXELS`` of them."""
    face, weight = views(vertices, faces, DIRECTIONS, SIDE)
    if len(face) > MOST_PIXELS:
        some = np.random.default_rng(0).choice(len(face), MOST_PIXELS, replace=False)
        face, weight = face[some], weight[some]
    return face, weight


def map_fidelity(
    mesh: dict[str, np.ndarray],
    face: np.ndarray,
    weight: np.ndarray,
    maps: dict[str, np.ndarray],
    raw: Surface,
    voxels: Voxels,
) -> dict[str, float]:
    """Decibels for ``base_color``, ``roughness``, ``metallic`` and, where it is in the maps, ``alpha``.

    ``mesh``: ``vertices``, ``faces``, ``uv``; ``face`` and ``weight`` as from ``seen_pixels``.
    """
    position = np.einsum("nc,nci->ni", weight, mesh["vertices"][mesh["faces"][face]].astype(np.float64))
    place = np.einsum("nc,nci->ni", weight, mesh["uv"][face].astype(np.float64))
    truth = voxels.sample(raw.closest(position)[1])
    base, orm = read_map(maps["base_color"], place), read_map(maps["orm"], place)
    figures = {
        "base_color": decibels(base[:, :3], truth[:, BASE_COLOR]),
        "roughness": decibels(orm[:, 1], truth[:, ROUGHNESS]),
        "metallic": decibels(orm[:, 2], truth[:, METALLIC]),
    }
    if base.shape[1] == 4:
        figures["alpha"] = decibels(base[:, 3], truth[:, ALPHA])
    return figures


def decibels(values: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of values in 0..1, at most 99."""
    error = float(((values - truth) ** 2).mean())
    return BEST if error == 0 else min(BEST, -10 * np.log10(error))


def read_map(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear values float64 [N, C] in 0..1 of an image uint8 [S, S, C], first row on top, at ``uv`` [N, 2]."""
    rows, columns = image.shape[:2]
    x, y = uv[:, 0] * columns - 0.5, (1.0 - uv[:, 1]) * rows - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    result = np.zeros((len(uv), image.shape[2]))
    for right, wx in ((0, 1 - fx), (1, fx)):
        for down, wy in ((0, 1 - fy), (1, fy)):
            texel = image[(top + down).clip(0, rows - 1), (left + right).clip(0, columns - 1)]
            result += wx * wy * texel
    return result / 255.0


class Voxels:
    """Voxel materials to sample: coords int [N, 3], attrs float [N, 6]; voxel centres at -0.5 + (index + 0.5) / R."""

    def __init__(self, coords: np.ndarray, attrs: np.ndarray, resolution: int) -> None:
        self._key = self._flat(coords.astype(np.int64), resolution)
        order = np.argsort(self._key)
        self._key, self._attrs, self.resolution = self._key[order], attrs[order].astype(np.float64), resolution
        self._centres = (coords[order] + 0.5) / resolution - 0.5

    @staticmethod
    def _flat(coords: np.ndarray, resolution: int) -> np.ndarray:
        return (coords[:, 0] * (resolution + 2) + coords[:, 1]) * (resolution + 2) + coords[:, 2]

    def sample(self, points: np.ndarray) -> np.ndarray:
        """Attributes [N, 6]: trilinear among the voxels there are, weights renormalised; else the nearest voxel's."""
        place = (points + 0.5) * self.resolution - 0.5
        low = np.floor(place).astype(np.int64)
        part = place - low
        total, weights = np.zeros((len(points), 6)), np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1.0 - part), axis=1)
            coords = low + corner
            key = self._flat(coords, self.resolution)
            row = np.searchsorted(self._key, key).clip(max=len(self._key) - 1)
            held = (self._key[row] == key) & (coords >= 0).all(axis=1) & (coords < self.resolution).all(axis=1)
            weight = np.where(held, weight, 0.0)
            total += weight[:, None] * self._attrs[row]
            weights += weight
        alone = weights < 1e-9
        result = total / np.where(alone, 1.0, weights)[:, None]
        if alone.any():
            result[alone] = self._attrs[cKDTree(self._centres).query(points[alone])[1]]
        return result
