# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a generated surface, done to a good one."""

from __future__ import annotations

import numpy as np

from ...engine.pipelines.asset import VoxelAsset


def whole(asset: VoxelAsset) -> VoxelAsset:
    """The asset as it is."""
    return asset


def torn(asset: VoxelAsset) -> VoxelAsset:
    """A voxel in twelve is missing, with its faces."""
    return _chosen(asset, np.random.default_rng(0).random(len(asset.coords)) > 1 / 12)


def doubled(asset: VoxelAsset) -> VoxelAsset:
    """A second, noisy layer two voxels below half of the surface, as a decoder that hedges its bets makes it."""
    resolution = asset.resolution
    coords = asset.coords.astype(np.int64)
    lower = coords - [0, 0, 2]
    key = (coords @ [resolution**2, resolution, 1], lower @ [resolution**2, resolution, 1])
    new = (np.sin(20 * coords[:, 0] / resolution) > 0) & (lower[:, 2] >= 0) & ~np.isin(key[1], key[0])
    noise = np.random.default_rng(1).uniform(-0.4, 0.4, (int(new.sum()), 3)).astype(np.float32)
    return VoxelAsset(
        resolution,
        np.concatenate([coords, lower[new]]).astype(np.int32),
        np.concatenate([asset.vertices, np.clip(asset.vertices[new] + noise, -0.5, 1.5)]),
        np.concatenate([asset.intersected, asset.intersected[new]]),
        None,
        np.concatenate([asset.attrs, asset.attrs[new]]),
    )


def worn(asset: VoxelAsset) -> VoxelAsset:
    """Clumps of voxels are missing, about one voxel in a hundred."""
    clump = (asset.coords // 2).astype(np.int64) @ [1, 4099, 4099**2]
    _, which = np.unique(clump, return_inverse=True)
    lost = np.random.default_rng(4).random(int(which.max()) + 1) < 0.01
    return _chosen(asset, ~lost[which.reshape(-1)])


def _chosen(asset: VoxelAsset, kept: np.ndarray) -> VoxelAsset:
    return VoxelAsset(
        asset.resolution, asset.coords[kept], asset.vertices[kept], asset.intersected[kept], None, asset.attrs[kept]
    )


DAMAGES = {"whole": whole, "torn": torn, "doubled": doubled}
