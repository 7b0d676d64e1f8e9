# SPDX-License-Identifier: GPL-3.0-or-later
"""Data sets: labels of voxels, shards that continue, the ragged layout."""

import numpy as np
import pytest
import torch
from espalier.engine.starter.asset import make_asset, sample_surface
from espalier.engine.starter.dataset import build_dataset, make_dataset, read_dataset
from espalier.engine.starter.voxels import RESOLUTION, voxelise
from scipy.spatial import cKDTree


@pytest.mark.parametrize("seed", [3, 4, 7, 8, 10])
def test_voxel_labels_agree_with_the_surface(seed):
    asset = make_asset(seed)
    voxels = voxelise(asset)
    assert len(voxels.coords) == len(np.unique(voxels.coords, axis=0))
    positions = (voxels.coords + voxels.vertices / 255) / RESOLUTION - 0.5
    points, labels = sample_surface(asset, 8000, seed + 100)
    distance, nearest = cKDTree(positions).query(points)
    assert distance.max() < 2.0 / RESOLUTION
    assert distance.mean() < 0.6 / RESOLUTION
    assert (voxels.labels[nearest] == labels).mean() > 0.93
    assert set(voxels.labels.tolist()) <= set(sample_surface(asset, 40_000, seed)[1].tolist())


def test_shards_are_complete_continue_and_read_in_order(tmp_path):
    assert build_dataset(tmp_path, 700, 3, 2, workers=1, seconds=600) == 3
    shard = next(tmp_path.iterdir())
    written = shard.stat().st_mtime_ns
    assert build_dataset(tmp_path, 700, 3, 2, workers=2, seconds=600) == 3
    assert shard.stat().st_mtime_ns == written
    data, direct = read_dataset(tmp_path), make_dataset(range(700, 703), 2)
    for name in ("offsets", "coords", "vertices", "flags", "labels", "sample_offsets", "pixels", "codes", "cameras"):
        assert torch.equal(getattr(data, name), getattr(direct, name)), name
    assert data.views == 2
    assert data.seeds.tolist() == [700, 701, 702]
    assert data.offsets[-1] == len(data.coords)
    assert data.sample_offsets[-1] == len(data.pixels)
    assert len(data.sample_offsets) == 3 * 2 + 1


def test_an_empty_folder_is_not_a_data_set(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path)
