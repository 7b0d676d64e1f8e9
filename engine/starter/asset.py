# SPDX-License-Identifier: GPL-3.0-or-later
"""A procedural asset: a mesh whose faces have material slots, and a pattern for every slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .families import FAMILIES
from .materials import GLASS_SLOT, SLOTS
from .parts import Mesh
from .patterns import PATTERN_FIELDS, draw_pattern, point_labels

LONGEST_SIDE = 0.94


@dataclass(frozen=True)
class Asset:
    """An object in [-0.5, 0.5]^3, Z up, front towards -Y, its box centred on the origin, its longest side 0.94.

    ``vertices`` float32 [V, 3], ``faces`` int32 [F, 3], ``slots`` int32 [F] below 6, ``patterns`` float32 [6, 5] (see
    ``patterns.py``). Materials are not part of an asset: a table of twelve labels is drawn when it is needed.
    """

    seed: int
    family: str
    vertices: np.ndarray
    faces: np.ndarray
    slots: np.ndarray
    patterns: np.ndarray


def make_asset(seed: int, family: str | None = None) -> Asset:
    """Build the asset of a seed; without ``family`` the families take turns by seed. Same seed, same asset."""
    names = list(FAMILIES)
    family = names[seed % len(names)] if family is None else family
    rng = np.random.default_rng(seed)
    mesh = join(FAMILIES[family](rng))
    patterns = np.stack([draw_pattern(rng) for _ in range(SLOTS)])
    patterns[GLASS_SLOT] = np.zeros(PATTERN_FIELDS)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    vertices = (mesh.vertices - (low + high) / 2) * (LONGEST_SIDE / (high - low).max())
    return Asset(seed, family, vertices.astype(np.float32), mesh.faces, mesh.slots, patterns)


def join(parts: Sequence[Mesh]) -> Mesh:
    """Put parts side by side in one mesh."""
    starts = np.cumsum([0] + [len(p.vertices) for p in parts[:-1]])
    faces = np.concatenate([p.faces + np.int32(s) for p, s in zip(parts, starts, strict=True)])
    return Mesh(
        np.concatenate([p.vertices for p in parts]),
        np.ascontiguousarray(faces, dtype=np.int32),
        np.concatenate([p.slots for p in parts]),
    )


def label_points(asset: Asset, points: np.ndarray, face_ids: np.ndarray) -> np.ndarray:
    """Return the label (slot * 2 + pattern bit) uint8 [N] of points [N, 3] on the faces ``face_ids`` [N]."""
    return point_labels(asset.patterns, asset.slots[face_ids], np.ascontiguousarray(points, dtype=np.float32))


def sample_surface(asset: Asset, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points uniformly by area: positions float32 [count, 3] and labels uint8 [count]."""
    rng = np.random.default_rng(seed)
    a, b, c = (asset.vertices[asset.faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).astype(np.float64)
    face = np.searchsorted(np.cumsum(area / area.sum()), rng.random(count)).clip(max=len(area) - 1)
    u, v = rng.random((2, count, 1), dtype=np.float32)
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    points = a[face] + u * (b - a)[face] + v * (c - a)[face]
    return points, label_points(asset, points, face)
