# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel materials read by the compiled loop are those that the codec's plain function reads."""

import numpy as np
import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.mesh.bake import bake
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.ovoxel import sample_sparse


def voxels(resolution, count, seed=0):
    rng = np.random.default_rng(seed)
    cells = rng.choice(resolution**3, count, replace=False)
    coords = np.stack(np.unravel_index(cells, (resolution,) * 3), 1).astype(np.int32)
    return MaterialVoxels(resolution, coords, rng.random((count, 6)).astype(np.float32))


@pytest.mark.parametrize("resolution, count", [(4, 64), (13, 700), (24, 900), (40, 8000)])
def test_the_compiled_loop_reads_what_the_plain_function_reads(resolution, count):
    """Inside the grid, on its border and beyond; between voxels that all, in part or not at all exist."""
    pytest.importorskip("numba")
    material = voxels(resolution, count)
    rng = np.random.default_rng(1)
    points = np.concatenate(
        [rng.uniform(-0.6, 0.6, (5000, 3)), material.coords[:500] / resolution - 0.5, rng.choice([-0.5, 0.5], (8, 3))]
    ).astype(np.float32)
    values = torch.from_numpy(np.concatenate([material.attrs, np.ones((count, 1), np.float32)], axis=1))
    expected = sample_sparse(torch.from_numpy(material.coords), values, torch.from_numpy(points), resolution).numpy()
    there = expected[:, 6] > 0.5
    assert there.any() and (count == resolution**3 or not there.all())
    assert np.allclose(material.sample(points)[there], expected[there, :6], atol=2e-6)


def test_without_numba_the_same_is_read(monkeypatch):
    points = np.random.default_rng(2).uniform(-0.5, 0.5, (3000, 3))
    found = voxels(24, 900).sample(points)
    monkeypatch.setattr(bake, "load_loops", lambda module: None)
    assert np.allclose(voxels(24, 900).sample(points), found, atol=2e-6)


@pytest.mark.parametrize("wrong", [-1, 8])
def test_voxels_outside_their_grid_are_refused(wrong):
    coords = np.array([[0, 0, 0], [1, wrong, 2]], dtype=np.int32)
    with pytest.raises(EspalierError, match="outside its grid"):
        MaterialVoxels(8, coords, np.zeros((2, 6), dtype=np.float32)).sample(np.zeros((3, 3)))


def test_voxels_are_laid_out_once_for_all_positions_and_searched_only_where_none_is_around(monkeypatch):
    monkeypatch.setattr(bake, "load_loops", lambda module: None)
    made, searched = [], []
    for name, calls in (("SparseValues", made), ("cKDTree", searched)):
        plain = getattr(bake, name)
        monkeypatch.setattr(bake, name, lambda *given, plain=plain, calls=calls: calls.append(1) or plain(*given))
    material = voxels(6, 216)
    inside = np.random.default_rng(3).uniform(-0.5, 0.5, (100, 3))
    material.sample(inside), material.sample(inside)
    assert len(made) == 1 and not searched
    assert np.isfinite(material.sample(inside * 3)).all() and len(made) == 1 and len(searched) == 1
