# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides from the data whether an asset is opaque, cut out or translucent."""

from __future__ import annotations

import numpy as np

OPAQUE_SHARE = 0.01
OPAQUE_LIMIT = 0.9
MASK_SHARE = 0.95
MASK_LOW = 0.1
MASK_HIGH = 0.9


def alpha_mode(alpha: np.ndarray) -> str:
    """Return "opaque", "mask" or "blend" for the alpha of covered texels, float [T] in 0..1.

    Transparency is real when more than 1 % of the texels are below 0.9; then it is a mask when at least 95 % are under
    0.1 or over 0.9, and a blend otherwise.
    """
    if len(alpha) == 0 or (alpha < OPAQUE_LIMIT).mean() <= OPAQUE_SHARE:
        return "opaque"
    decided = ((alpha < MASK_LOW) | (alpha > MASK_HIGH)).mean()
    return "mask" if decided >= MASK_SHARE else "blend"
