# SPDX-License-Identifier: GPL-3.0-or-later
"""Normals, tangents and texels that a graphics card computes are those of the processor, within 1e-5."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.kernels.host_arrays import home
from espalier.engine.mesh.bake.normal_map import TangentFrames, corner_tangents
from espalier.engine.mesh.bake.surface_normals import smooth_corner_normals
from espalier.engine.mesh.bake.texel_lookup import FullSurface, LeanMesh, TexelLookup
from espalier.engine.mesh.finish import FinishSettings, finish
from espalier.engine.mesh.lookup.nearest import SurfaceIndex, SurfacePoints
from espalier.engine.mesh.lookup.raster import UvRaster
from espalier.engine.mesh.surface.normals import corner_normals
from espalier.engine.mesh.surface.tensor_vectors import Groups, alike
from espalier.tests.engine.mesh.both_ways import there
from espalier.tests.engine.mesh.shapes import cube, merge, sphere, torus, voxel_asset

CLOSE = 1e-5


def surface():
    """A rough torus, half of it cut off along rims that coincide, a box, and faces without area."""
    vertices, faces = torus(40, 20)
    vertices = vertices + np.random.default_rng(0).normal(scale=0.004, size=vertices.shape)
    half = vertices[faces].mean(axis=1)[:, 0] > 0
    vertices, faces = merge((np.concatenate([vertices, vertices]), np.where(half[:, None], faces, faces + 800)), cube())
    return vertices, np.concatenate([faces, faces[:5, [0, 1, 1]]])


def layout(faces):
    """Every face its own corners, but for pairs that share an edge in UV; some charts are mirrored."""
    uv = np.random.default_rng(1).random((len(faces), 3, 2)).astype(np.float32)
    uv[1::2, 0] = uv[::2, 0][: len(uv[1::2])]
    uv[1::2, 2] = uv[::2, 2][: len(uv[1::2])]
    return uv


def texels(faces, count=500):
    rng = np.random.default_rng(2)
    weights = rng.random((count, 3))
    return rng.integers(0, len(faces), count), weights / weights.sum(axis=1, keepdims=True)


def both(compute):
    """What ``compute()`` returns on the processor and on the card."""
    with choice.plain_torch():
        expected = compute()
    return expected, compute()


def assert_close(compute, bound=CLOSE):
    expected, found = both(compute)
    for theirs, ours in zip(
        *((part if isinstance(part, tuple) else (part,)) for part in (expected, found)), strict=True
    ):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        assert np.abs(ours.astype(np.float64) - theirs).max() <= bound
    return found


def real(faces):
    return faces[(np.diff(np.sort(faces, axis=1), axis=1) > 0).all(axis=1)]


@pytest.mark.parametrize("with_uv", [False, True])
def test_shading_normals(with_uv, card):
    vertices, faces = surface()
    faces = real(faces)
    uv = layout(faces) if with_uv else None
    normals = assert_close(lambda: corner_normals(vertices, faces, uv=uv))
    assert np.abs(normals - corner_normals(vertices, faces, crease=1.0)).max() > 0.1


def test_low_passed_normals(card):
    pytest.importorskip("numba")
    vertices, faces = surface()
    smooth = assert_close(lambda: smooth_corner_normals(vertices.astype(np.float32), faces))
    assert np.abs(smooth - corner_normals(vertices, faces)).max() > 0.1


def test_tangents_and_normal_maps(card):
    vertices, faces = surface()
    faces = real(faces)
    uv, normals = layout(faces), corner_normals(vertices, faces)
    _, sign = assert_close(lambda: corner_tangents(vertices, faces, uv, normals))
    assert -1 in sign and 1 in sign
    face, weights = texels(faces)
    target = np.random.default_rng(3).normal(size=(len(face), 3))
    frames = TangentFrames(vertices, faces, uv, normals)
    expected, found = frames.encode(face, weights, target), home(frames.encode_on_card(*there(face, weights, target)))
    assert found.dtype == expected.dtype and np.ptp(expected) > 200
    assert np.abs(found.astype(int) - expected).max() <= 1 and (found != expected).mean() < 1e-3


@pytest.mark.parametrize("simplified, occlusion", [(True, True), (True, False), (False, True)])
def test_what_texels_show(simplified, occlusion, card):
    """Looked up from end to end on the card, in one visit a run of texels."""
    pytest.importorskip("numba")
    vertices, faces, material = voxel_asset(*merge(torus(40, 20), sphere(0.08, (0.0, 0.0, 0.1))), 48)
    uv, normals = layout(faces), corner_normals(vertices, faces)
    face, weights = texels(faces, 3000)
    raster = UvRaster(64, np.arange(len(face)), face, weights, np.ones(len(face), dtype=bool))
    lean = LeanMesh(vertices, faces, uv, normals)
    frames = TangentFrames(vertices, faces, uv, normals) if simplified else None
    sampled = (np.arange(397) % 3 == 0) & occlusion

    def full_surface():
        # Shifted by a voxel, some of the points lie where no material is.
        return FullSurface(vertices * 1.01, faces, vertices + 1 / 48) if simplified else None

    def look_up():
        full = full_surface()
        surface = full or lean
        lookup = TexelLookup(raster, lean, full, SurfaceIndex(surface.vertices, surface.faces), material, frames)
        shown = lookup.shown(slice(3, 400), sampled)
        return [value for value in (*vars(shown).values(), *lookup.own_points(slice(3, 400))) if value is not None]

    expected, found = both(look_up)
    assert len(found) == (10 if simplified else 9) and len(found[3]) == sampled.sum()
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        if theirs.dtype == np.uint8:
            assert ours.dtype == np.uint8 and np.abs(ours.astype(int) - theirs).max() <= 1
            assert (ours != theirs).mean() < 5e-3 and np.ptp(theirs) > 50
        else:
            assert np.abs(ours - theirs).max(initial=0.0) <= CLOSE
    if simplified:
        near = full_surface().shown_at(SurfacePoints(None, face, weights), normals[face, 0])[1]
        assert ((near * normals[face, 0]).sum(axis=1) > -1e-12).all()


def test_a_finished_asset_is_the_same(card):
    """All steps from the raw surface to the maps."""
    vertices, faces, material = voxel_asset(*merge(torus(40, 20), sphere(0.08, (0.0, 0.0, 0.1))), 48)
    settings = FinishSettings(target_faces=1200, texture_size=128, smoothing=2)
    expected, found = both(lambda: finish(vertices, faces, material, settings))
    assert np.array_equal(found.faces, expected.faces) and np.array_equal(found.uv, expected.uv)
    assert np.abs(found.vertices - expected.vertices).max() <= CLOSE
    assert np.abs(found.normals - expected.normals).max() <= CLOSE
    assert set(found.maps) == {"base_color", "orm", "normal"}
    for name, image in found.maps.items():
        assert np.abs(image.astype(int) - expected.maps[name]).max() <= 1, name
        assert (image != expected.maps[name]).mean() < 1e-3, name


def test_sums_are_added_in_order():
    """Tenths after a large number are rounded away one by one: no other order has the same sum."""
    values = torch.full((3000, 2), 0.1, dtype=torch.float64)
    values[0] = 1e14
    group = torch.zeros(3000, dtype=torch.int64)
    group[1500:1510] = 2
    sums = Groups(group, 3).sums(values)
    expected = [np.bincount(group, column, minlength=3) for column in values.numpy().T]
    assert np.array_equal(sums.numpy().T, expected)


def test_rows_are_alike_where_all_their_numbers_are_equal():
    columns = torch.tensor([0.0, -0.0, 1.0, 0.0]), torch.tensor([2, 2, 2, 3]), torch.tensor([5.0] * 4).double()
    number = alike(*columns)
    assert number[0] == number[1] and len(set(number.tolist())) == 3
