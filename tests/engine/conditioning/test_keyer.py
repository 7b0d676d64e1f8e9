# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain-background keyer keeps the whole subject, opens real holes and refuses what it cannot tell apart."""

import numpy as np
import pytest
from espalier.engine.conditioning.keyer import key_plain_background
from espalier.engine.errors import EspalierError
from PIL import Image

SIZE = 160
Y, X = np.mgrid[0:SIZE, 0:SIZE]


def disc(radius, cx=80, cy=80):
    return (X - cx) ** 2 + (Y - cy) ** 2 <= radius**2


def picture(backdrop, *layers, noise=0.0, seed=0):
    pixels = np.broadcast_to(np.asarray(backdrop, float), (SIZE, SIZE, 3)).copy()
    for mask, colour in layers:
        pixels[mask] = colour
    pixels += np.random.default_rng(seed).normal(0, noise, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def coverage(image):
    return np.asarray(key_plain_background(image).image)[..., 3] / 255


def overlap(found, truth):
    return (found & truth).sum() / (found | truth).sum()


GRADIENT = np.stack([150 + 0.3 * X + 0.2 * Y, 160 + 0.2 * Y, 170 + 0.1 * X], -1)
VIGNETTE = (235 - 0.006 * ((X - 80) ** 2 + (Y - 80) ** 2))[..., None] * np.ones(3)


@pytest.mark.parametrize("backdrop", [(255, 255, 255), (0, 0, 0), (60, 180, 75), GRADIENT, VIGNETTE])
@pytest.mark.parametrize("noise", [0, 3])
def test_subject_is_found_on_plain_backdrops(backdrop, noise):
    found = coverage(picture(backdrop, (disc(50), (200, 40, 30)), noise=noise))
    assert overlap(found > 0.5, disc(50)) > 0.95


def test_highlight_inside_the_subject_is_kept():
    found = coverage(picture((255, 255, 255), (disc(50), (200, 40, 30)), (disc(8, 65, 60), (255, 255, 255))))
    assert overlap(found > 0.5, disc(50)) > 0.97


@pytest.mark.parametrize("colour", [(200, 40, 30), (90, 90, 90), (15, 15, 15)])
def test_soft_shadow_is_no_part_of_the_subject(colour):
    shade = 1 - 0.35 * np.exp(-(((X - 88) / 60) ** 2) - ((Y - 125) / 24) ** 2)
    backdrop = 245 * shade[..., None] * np.ones(3)
    assert overlap(coverage(picture(backdrop, (disc(45), colour), noise=1)) > 0.5, disc(45)) > 0.9


def test_grey_subject_without_an_outline_is_not_eaten_by_the_flood():
    body = np.clip(250 - 2.5 * np.maximum(X - 40, 0), 60, 250)[..., None] * np.ones(3)
    pixels = np.where(disc(50)[..., None], body, 250).astype(np.uint8)
    dark = disc(50) & (body[..., 0] < 180)
    assert (coverage(Image.fromarray(pixels))[dark] > 0.5).mean() > 0.95


def test_hole_of_the_subject_is_opened():
    ring = disc(60) & ~disc(25)
    assert overlap(coverage(picture((255, 255, 255), (ring, (200, 40, 30)))) > 0.5, ring) > 0.95
    ring = disc(60) & ~disc(6)
    assert overlap(coverage(picture((60, 180, 75), (ring, (200, 40, 30)))) > 0.5, ring) > 0.95


def test_soft_edge_carries_no_backdrop_colour():
    sharp = picture((255, 255, 255), (disc(50), (200, 40, 30)))
    soft = Image.fromarray(np.asarray(sharp)).resize((SIZE * 2, SIZE * 2)).resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = np.asarray(key_plain_background(soft).image)
    edge = (pixels[..., 3] > 40) & (pixels[..., 3] < 250)
    assert edge.any()
    assert np.abs(pixels[edge][:, :3].astype(int) - (200, 40, 30)).max() < 40


def test_dust_is_dropped_and_separate_parts_are_kept():
    parts = disc(40, 50, 80) | disc(20, 130, 80)
    found = coverage(picture((255, 255, 255), (parts, (30, 60, 200)), (disc(1, 20, 20), (0, 0, 0)))) > 0.5
    assert overlap(found, parts) > 0.95
    assert not found[15:25, 15:25].any()


def test_subject_may_leave_the_picture_on_one_side():
    body = disc(60, 80, 130)
    assert overlap(coverage(picture((240, 240, 240), (body, (90, 70, 60)))) > 0.5, body) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_busy_background_is_refused_with_what_to_do(seed):
    noise = np.random.default_rng(seed).integers(0, 255, (10, 10, 3)).astype(np.uint8)
    busy = Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    with pytest.raises(EspalierError, match=r"not plain.*transparent background"):
        key_plain_background(busy)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (90, 120, 140)])
def test_picture_without_a_subject_is_refused(colour):
    with pytest.raises(EspalierError, match="No subject"):
        key_plain_background(picture(colour, noise=2))


def test_background_that_is_not_wholly_plain_is_noted():
    plain = picture((240, 240, 240), (disc(50), (90, 70, 60)))
    assert not any("border" in note for note in key_plain_background(plain).notes)
    leaving = picture((240, 240, 240), (disc(60, 80, 130), (90, 70, 60)))
    assert any("of the border is plain background" in note for note in key_plain_background(leaving).notes)
