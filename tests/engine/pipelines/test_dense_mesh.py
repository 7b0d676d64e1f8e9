# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes far denser than the voxel grid: thinned before voxelising, and the voxels hardly change."""

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.pipelines import texturing
from espalier.tests.engine.mesh.shapes import sphere

R = 32


def test_a_thinned_mesh_leaves_nearly_the_same_voxels(monkeypatch):
    vertices, faces = sphere(rows=200, columns=400)
    vertices = vertices.astype(np.float32)
    whole = texturing.voxelise(vertices, faces, R)
    monkeypatch.setattr(texturing, "DENSE_FACES", len(faces) - 1)
    thin = texturing.voxelise(vertices, faces, R)
    known = {tuple(c): row for row, c in enumerate(whole.coords.tolist())}
    rows = [(known[tuple(c)], row) for row, c in enumerate(thin.coords.tolist()) if tuple(c) in known]
    assert len(rows) > 0.97 * max(len(whole.coords), len(thin.coords))
    a, b = np.array(rows).T
    moved = np.abs(whole.local.numpy()[a] - thin.local.numpy()[b]).max(axis=1)
    assert np.median(moved) < 0.05


def test_a_mesh_of_lines_is_refused_however_dense(monkeypatch):
    monkeypatch.setattr(texturing, "DENSE_FACES", 10)
    line = np.stack([np.linspace(-0.5, 0.5, 300), np.zeros(300), np.zeros(300)], 1).astype(np.float32)
    faces = np.stack([np.arange(298), np.arange(298) + 1, np.arange(298) + 2], 1).astype(np.int32)
    with pytest.raises(EspalierError, match="thin as a line"):
        texturing.voxelise(line, faces, 2)
