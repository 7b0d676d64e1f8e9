# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures between a generated asset and the object its image was made from, lengths in units of the unit box."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

SAMPLES = 4000
F_THRESHOLD = 0.03


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw ``count`` points uniformly by area from triangles; vertices [V, 3], faces [F, 3] -> [count, 3]."""
    rng = np.random.default_rng(seed)
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if area.sum() <= 0:
        raise ValueError("The surface has no area to sample.")
    face = rng.choice(len(faces), size=count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return a[face] + u * (b - a)[face] + v * (c - a)[face]


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean of the two directed mean nearest-neighbour distances between point sets."""
    there, back = _distances(a, b)
    return float((there.mean() + back.mean()) / 2)


def f_score(a: np.ndarray, b: np.ndarray, threshold: float = F_THRESHOLD) -> float:
    """Return the harmonic mean of precision and recall at ``threshold``."""
    there, back = _distances(a, b)
    precision, recall = (there < threshold).mean(), (back < threshold).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def voxel_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return |A and B| / |A or B| of two coordinate lists [N, 3]."""
    keys = [np.unique(c.astype(np.int64) @ np.array([1 << 40, 1 << 20, 1])) for c in (a, b)]
    shared = len(np.intersect1d(*keys, assume_unique=True))
    return shared / max(len(keys[0]) + len(keys[1]) - shared, 1)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two boolean images."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def material_errors(
    coords: np.ndarray, attributes: np.ndarray, true_coords: np.ndarray, true_attributes: np.ndarray
) -> dict[str, float]:
    """Compare each generated voxel with the nearest true voxel.

    Returns mean absolute sRGB error, share of voxels with the right metallic, mean absolute roughness error.
    Attributes are [N, >= 5] rows of red, green, blue, metallic, roughness in [0, 1].
    """
    _, nearest = cKDTree(true_coords).query(coords)
    truth = true_attributes[nearest]
    return {
        "colour": float(np.abs(attributes[:, :3] - truth[:, :3]).mean()),
        "metallic": float(((attributes[:, 3] > 0.5) == (truth[:, 3] > 0.5)).mean()),
        "roughness": float(np.abs(attributes[:, 4] - truth[:, 4]).mean()),
    }


def _distances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
