# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasteriser and shading: what a picture shows, how it is framed, what a new colouring changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from espalier.engine.conditioning.image import prepare_image
from espalier.engine.starter.asset import make_asset
from espalier.engine.starter.camera import draw_camera
from espalier.engine.starter.dataset import make_dataset
from espalier.engine.starter.materials import GLASS_SLOT, draw_materials
from espalier.engine.starter.preview import render_picture, view_camera
from espalier.engine.starter.raster import rasterise, smooth_normals
from espalier.engine.starter.shading import shade_views


@pytest.fixture(scope="module")
def data():
    return make_dataset(range(13), views=2)


def mask(picture):
    return np.asarray(picture)[..., 3] > 204


@pytest.mark.parametrize("seed", [0, 3, 6, 9])
def test_the_frame_is_the_crop_of_the_preparation(seed):
    asset = make_asset(seed)
    camera = draw_camera(np.random.default_rng(seed), asset.vertices)
    wide = replace(camera, half=camera.half * 1.6, centre_x=camera.centre_x + 0.05)
    prepared = prepare_image(render_picture(asset, wide, 1000, seed))
    size = prepared.mask.width
    pixel = size / 128
    direct = mask(render_picture(asset, camera, size, seed))
    cut = np.asarray(prepared.mask) > 204
    for axis in (0, 1):
        ours, theirs = np.flatnonzero(direct.any(axis)), np.flatnonzero(cut.any(axis))
        assert abs(ours[0] - theirs[0]) <= pixel and abs(ours[-1] - theirs[-1]) <= pixel
    # Half a training pixel of shift along the whole outline is allowed, not more.
    outline = np.abs(np.diff(cut.astype(int), axis=1)).sum() + np.abs(np.diff(cut.astype(int), axis=0)).sum()
    assert (direct ^ cut).sum() <= outline * pixel / 2


def test_pictures_are_centred_and_fill_the_frame():
    for seed in range(13):
        asset = make_asset(seed)
        shown = mask(render_picture(asset, None, 128, seed))
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        spans = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert max(spans) >= 125
        assert abs(rows[0] + rows[-1] - 127) <= 3 and abs(columns[0] + columns[-1] - 127) <= 3
        assert shown.mean() > 0.08


def test_the_front_view_sees_the_carrot_and_the_back_view_does_not():
    asset = make_asset(605, "snowman")

    def visible(yaw):
        samples = rasterise(asset, smooth_normals(asset), view_camera(asset, yaw, 5), 128)
        return set((samples.codes & 15).tolist())

    assert {2, 3} & visible(0)
    assert not {2, 3} & visible(180)


def test_a_yawed_camera_stands_counter_clockwise():
    """From yaw 90 degrees the camera is at +X and the mug's handle, on +X, points at it: it is not at the side."""
    asset = make_asset(0, "mug")
    samples = rasterise(asset, smooth_normals(asset), view_camera(asset, 0, 0), 128)
    handle = samples.pixels[(samples.codes & 15) // 2 == 1] % 128
    assert np.median(handle) > 100
    samples = rasterise(asset, smooth_normals(asset), view_camera(asset, 90, 0), 128)
    handle = samples.pixels[(samples.codes & 15) // 2 == 1] % 128
    assert abs(np.median(handle) - 64) < 6


def test_normals_are_unit_and_turned_to_the_viewer():
    asset = make_asset(5)
    samples = rasterise(asset, smooth_normals(asset), view_camera(asset, 20, 20), 128)
    normals = samples.normals.astype(float) / 127
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=0.02)
    assert (normals[:, 2] > -0.5).all() and (normals[:, 2] > 0).mean() > 0.97


def test_glass_shows_what_is_behind_it():
    asset = make_asset(605, "potion")
    camera = view_camera(asset, 0, 10)
    samples = rasterise(asset, smooth_normals(asset), camera, 128)
    behind = samples.codes >> 6 > 0
    assert behind.any() and not ((samples.codes[behind] & 15) // 2 == GLASS_SLOT).any()
    table = draw_materials(1, torch.Generator().manual_seed(0))[0]
    other = table.clone()
    other[:10, :3] = 1 - other[:10, :3]
    first, second = (np.asarray(render_picture(asset, camera, 128, 0, t)).astype(int) for t in (table, other))
    under = np.zeros(128 * 128, dtype=bool)
    under[samples.pixels[behind]] = True
    assert np.abs(first - second).sum(-1).reshape(-1)[under].mean() > 10


def test_recolouring_changes_colours_only(data):
    ids, views = torch.arange(13), torch.ones(13, dtype=torch.long)
    first, second = (draw_materials(13, torch.Generator().manual_seed(s)) for s in (0, 1))
    a, again, b = (shade_views(data, ids, views, t, torch.Generator().manual_seed(5)) for t in (first, first, second))
    assert a.shape == (13, 3, 128, 128) and a.min() >= 0 and a.max() <= 1
    assert torch.equal(a, again)
    assert torch.equal(a.sum(1) > 0, b.sum(1) > 0)
    assert (a - b).abs().mean() > 0.02


def test_colour_metal_and_roughness_can_be_told_from_the_picture(data):
    ids, views = torch.arange(13), torch.zeros(13, dtype=torch.long)
    table = torch.tensor([0.8, 0.3, 0.2, 0.0, 0.5, 1.0]).expand(13, 12, 6).clone()

    def shade(column, value):
        changed = table.clone()
        changed[..., column] = value
        return shade_views(data, ids, views, changed, torch.Generator().manual_seed(2))

    red = shade(0, 0.8)
    shown = red.sum(1) > 0.02
    mean = red.permute(0, 2, 3, 1)[shown].mean(0)
    assert mean[0] > mean[1] + 0.2 and mean[0] > mean[2] + 0.25
    assert (mean - torch.tensor([0.8, 0.3, 0.2])).abs().max() < 0.25
    for column, low, high in ((3, 0.0, 1.0), (4, 0.1, 0.9)):
        change = (shade(column, low) - shade(column, high)).abs().mean(1)[shown].mean()
        assert change > 0.02, column
