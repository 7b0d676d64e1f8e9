# SPDX-License-Identifier: GPL-3.0-or-later
"""Texels know their face and their place in it; every texel a chart touches is covered."""

import numpy as np
import pytest
from espalier.engine.mesh.lookup import raster as rasteriser
from espalier.engine.mesh.lookup.raster import overlapping_texels, rasterise

SIZE = 64


def square(low, high):
    """Two triangles over [low, high]^2."""
    a, b, c, d = (low, low), (high, low), (high, high), (low, high)
    return np.array([[a, b, c], [a, c, d]])


def texel_centre(raster):
    return (raster.texel % SIZE + 0.5) / SIZE, 1 - (raster.texel // SIZE + 0.5) / SIZE


def test_barycentric_coordinates_lead_back_to_the_texel():
    uv = square(0.2, 0.83)
    raster = rasterise(uv, SIZE)
    spot = np.einsum("tc,tci->ti", raster.barycentric, uv[raster.face])
    u, v = texel_centre(raster)
    assert np.allclose(spot[raster.inside], np.stack([u, v], 1)[raster.inside], atol=1e-9)
    inside = (u > 0.2) & (u < 0.83) & (v > 0.2) & (v < 0.83)
    assert (raster.inside == inside).all()


def test_every_texel_that_a_triangle_touches_is_covered():
    rng = np.random.default_rng(5)
    for uv in rng.uniform(0.1, 0.9, (20, 1, 3, 2)):
        covered = rasterise(uv, SIZE).mask()
        weights = rng.dirichlet((1, 1, 1), 4000)
        points = weights @ uv[0]
        column, row = (points[:, 0] * SIZE).astype(int), ((1 - points[:, 1]) * SIZE).astype(int)
        assert covered[row, column].mean() > 0.999


def test_slivers_and_flat_faces_are_covered_too():
    sliver = np.array([[[0.1, 0.501], [0.9, 0.502], [0.5, 0.5015]]])
    assert rasterise(sliver, SIZE).mask().sum() >= 0.8 * SIZE - 2
    flat = np.array([[[0.2, 0.3], [0.2, 0.3], [0.2, 0.3]]])
    assert rasterise(flat, SIZE).mask().sum() >= 1


def test_the_result_does_not_depend_on_how_work_is_cut(monkeypatch):
    uv = np.random.default_rng(2).uniform(0, 1, (200, 3, 2))
    whole = rasterise(uv, SIZE)
    monkeypatch.setattr(rasteriser, "_CHUNK_PAIRS", 37)
    parts = rasterise(uv, SIZE)
    assert (whole.face == parts.face).all()
    assert (whole.barycentric == parts.barycentric).all()


def test_overlap_counts_faces_that_cover_each_other_but_not_neighbours():
    assert len(overlapping_texels(square(0.2, 0.8), SIZE)[0]) == 0
    texels, faces = overlapping_texels(np.concatenate([square(0.2, 0.6), square(0.4, 0.8)]), SIZE)
    assert len(texels) == pytest.approx((0.2 * SIZE) ** 2, rel=0.25)
    assert faces.min() >= 2


def test_compiled_loops_find_the_same_overlaps(monkeypatch):
    random = np.random.default_rng(4)
    middle = random.uniform(-0.1, 1.1, (60, 1, 2))
    uv = np.concatenate([middle + random.normal(scale=0.1, size=(60, 3, 2)), np.repeat(middle[:3], 3, axis=1)])
    compiled = overlapping_texels(uv, SIZE)
    monkeypatch.setattr(rasteriser, "load_loops", lambda module: None)
    plain = overlapping_texels(uv, SIZE)
    assert all(np.array_equal(one, other) for one, other in zip(compiled, plain, strict=True))
    assert len(plain[0]) > 100
