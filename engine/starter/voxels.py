# SPDX-License-Identifier: GPL-3.0-or-later
"""An asset as O-Voxels with a label per voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..ovoxel import mesh_to_dual_grid
from .asset import Asset, sample_surface

RESOLUTION = 64
LABEL_SAMPLES = 40_000


@dataclass(frozen=True)
class LabelledVoxels:
    """O-Voxels in lexicographic order: ``coords`` uint8 [N, 3]; ``vertices`` uint8 [N, 3], local dual vertex times 255;
    ``flags`` uint8 [N], bit k set where the surface crosses the voxel's edge along axis k; ``labels`` uint8 [N]."""

    coords: np.ndarray
    vertices: np.ndarray
    flags: np.ndarray
    labels: np.ndarray


def voxelise(asset: Asset, resolution: int = RESOLUTION) -> LabelledVoxels:
    """Convert an asset to O-Voxels; each takes the label of the surface nearest to its dual vertex."""
    grid = mesh_to_dual_grid(
        torch.from_numpy(asset.vertices),
        torch.from_numpy(asset.faces).long(),
        resolution,
        face_weight=1.0,
        boundary_weight=0.2,
        regularization_weight=1e-2,
    )
    coords = grid.coords.numpy()
    local = grid.local.numpy()
    points, labels = sample_surface(asset, LABEL_SAMPLES, asset.seed)
    _, nearest = cKDTree(points, balanced_tree=False, compact_nodes=False).query((coords + local) / resolution - 0.5)
    return LabelledVoxels(
        coords.astype(np.uint8),
        np.rint(local.clip(0, 1) * 255).astype(np.uint8),
        (grid.intersected.numpy() @ np.array([1, 2, 4])).astype(np.uint8),
        labels[nearest],
    )
