# SPDX-License-Identifier: GPL-3.0-or-later
"""Image preparation gives the reference's pixels (case 09)."""

import numpy as np
import pytest
from espalier.engine.conditioning.image import prepare_image
from espalier.engine.conditioning.keyer import Matte
from PIL import Image


def recorded_matte(image):
    """The stand-in for the background remover that the case was recorded with."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    out = image.convert("RGB")
    out.putalpha(Image.fromarray(np.where(np.abs(pixels - 255).sum(2) > 60, 255, 0).astype(np.uint8)))
    return Matte(out, ())


def test_prepared_pixels_equal_the_reference(golden):
    case = golden("09_preprocess_image")
    for entry in case.case["entries"]:
        source, expected = (Image.open(case.folder / f"{entry['key']}.{end}.png") for end in ("in", "out"))
        prepared = prepare_image(source, matte=recorded_matte)
        assert prepared.image.mode == "RGB"
        assert list(prepared.image.size) == entry["out"] == list(prepared.mask.size), entry["key"]
        difference = np.abs(np.asarray(prepared.image).astype(int) - np.asarray(expected).astype(int)).max()
        assert difference <= (1 if max(source.size) > 1024 else 0), entry["key"]


@pytest.mark.parametrize("long_side, expected", [(1024, 1024), (1122, 1023), (1138, 1023), (2048, 1024)])
def test_size_limit_truncates_as_the_reference_does(long_side, expected):
    from espalier.engine.conditioning.image import _limit_size

    assert max(_limit_size(Image.new("RGBA", (long_side, 300))).size) == expected
