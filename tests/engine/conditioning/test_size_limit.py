# SPDX-License-Identifier: GPL-3.0-or-later
"""Large pictures are scaled down to exactly the size that the reference takes."""

import pytest
from espalier.engine.conditioning.image import _limit_size
from PIL import Image


@pytest.mark.parametrize("long_side, expected", [(1024, 1024), (1122, 1023), (1138, 1023), (2048, 1024)])
def test_size_limit_truncates_as_the_reference_does(long_side, expected):
    assert max(_limit_size(Image.new("RGBA", (long_side, 300))).size) == expected
