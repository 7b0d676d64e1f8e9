# SPDX-License-Identifier: GPL-3.0-or-later
"""The alpha mode follows from the share of texels, as the design's table says."""

import numpy as np
import pytest
from espalier.engine.mesh.bake.alpha import alpha_mode


def texels(*parts):
    return np.concatenate([np.zeros(0, np.float32), *(np.full(count, value, np.float32) for count, value in parts)])


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (texels((1000, 1.0)), "opaque"),
        (texels((990, 1.0), (10, 0.2)), "opaque"),
        (texels((989, 1.0), (11, 0.2)), "mask"),
        (texels((500, 1.0), (500, 0.0)), "mask"),
        (texels((955, 1.0), (45, 0.5)), "mask"),
        (texels((940, 1.0), (60, 0.5)), "blend"),
        (texels((1000, 0.4)), "blend"),
        (texels((1000, 0.05)), "mask"),
        (texels((1000, 0.93)), "opaque"),
        (texels(), "opaque"),
    ],
)
def test_alpha_mode(alpha, expected):
    assert alpha_mode(alpha) == expected
