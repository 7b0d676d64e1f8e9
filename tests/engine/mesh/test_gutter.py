# SPDX-License-Identifier: GPL-3.0-or-later
"""Texels around the charts repeat the nearest chart texel, those beyond take the mean colour."""

from unittest import mock

import numpy as np
import pytest
from espalier.engine.kernels import choice
from espalier.engine.mesh.bake import bake_surface, gutter
from espalier.engine.mesh.bake.bake_surface import BakedTexels, texture_maps
from espalier.engine.mesh.bake.gutter import fill_gutter
from espalier.engine.mesh.lookup.raster import UvRaster


def image_and_mask(size, share, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    covered = rng.random((size, size)) < share
    image = rng.integers(0, 256, (size, size, channels), dtype=np.uint8)
    image[~covered] = 0
    return image, covered


@pytest.mark.parametrize("rows", [7, 64])
@pytest.mark.parametrize("share", [0.002, 0.02, 0.5])
def test_uncovered_texels_take_the_upper_left_of_their_nearest_and_the_rest_the_mean(share, rows, monkeypatch):
    monkeypatch.setattr(gutter, "_ROWS", rows)
    width = 5
    image, covered = image_and_mask(40, share, seed=3)
    filled = image.copy()
    fill_gutter([filled], covered, width)
    assert (filled[covered] == image[covered]).all()
    places = np.argwhere(covered)
    mean = np.rint(image[covered].mean(axis=0))
    for texel in np.argwhere(~covered):
        gap = ((places - texel) ** 2).sum(axis=1)
        if gap.min() > width**2:
            assert (filled[tuple(texel)] == mean).all()
        else:
            # In the order of rows, then columns: the first of the nearest is the upper left one.
            assert (filled[tuple(texel)] == image[tuple(places[np.argmin(gap)])]).all()


@pytest.mark.parametrize("width", [90, 120])
def test_the_widest_gutters_are_round_too(width):
    image, covered = np.zeros((300, 300, 1), np.uint8), np.zeros((300, 300), bool)
    for place, value in ((0, 100), (299, 200)):
        image[place, place], covered[place, place] = value, True
    fill_gutter([image], covered, width)
    row, column = np.mgrid[:300, :300]
    # Further apart than twice the width: no texel is near both.
    near = [(row - at) ** 2 + (column - at) ** 2 <= width**2 for at in (0, 299)]
    assert (image[..., 0] == np.select(near, [100, 200], 150)).all()


def test_all_images_are_filled_from_the_same_texels():
    image, covered = image_and_mask(64, 0.01, channels=4)
    wide, narrow = image.copy(), image[..., :1].copy()
    fill_gutter([wide, narrow], covered)
    assert (wide[..., :1] == narrow).all()


def test_images_that_are_covered_fully_or_not_at_all_stay():
    image, _ = image_and_mask(16, 0.5)
    for covered in (np.ones((16, 16), bool), np.zeros((16, 16), bool)):
        filled = image.copy()
        fill_gutter([filled], covered)
        assert (filled == image).all()


def test_the_mean_is_rounded_and_not_cut_off():
    image = np.zeros((64, 64, 1), np.uint8)
    covered = np.zeros((64, 64), bool)
    covered[0, :3] = True
    image[0, :3, 0] = (10, 11, 11)
    fill_gutter([image], covered)
    assert image[63, 63, 0] == 11


def test_colours_may_be_floats():
    image = np.zeros((64, 64, 1), np.float32)
    covered = np.zeros((64, 64), bool)
    covered[0, :2] = True
    image[0, :2, 0] = (0.25, 0.5)
    fill_gutter([image], covered)
    assert image[63, 63, 0] == pytest.approx(0.375)
    assert image[5, 0, 0] == 0.25


@pytest.mark.parametrize("share", [0.002, 0.1, 1.0])
def test_the_card_fills_as_the_processor(share, card):
    image, covered = image_and_mask(70, share, seed=4)
    texels = image[covered], image[covered][:, :1]
    baked = BakedTexels(texels[0], texels[1], None, "opaque")
    none = np.zeros((0, 3))
    raster = UvRaster(70, np.flatnonzero(covered), np.zeros(covered.sum(), dtype=np.int64), none, none)
    with choice.plain_torch():
        expected = texture_maps(raster, baked)
    with mock.patch.object(bake_surface, "fill_gutter", side_effect=AssertionError):
        found = texture_maps(raster, baked)
    for name, map_ in expected.items():
        assert found[name].dtype == map_.dtype and np.array_equal(found[name], map_), name
