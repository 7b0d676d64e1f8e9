# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills what no chart covers: nearest texel around the charts, the mean colour beyond.

Mip-mapping and bilinear filtering mix texels from outside a chart into its rim; copies of the rim make that invisible.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

# Texels around each chart that repeat its rim: enough for four mip levels.
GUTTER = 16


def fill_gutter(image: np.ndarray, covered: np.ndarray, width: int = GUTTER) -> np.ndarray:
    """Return ``image`` [S, S, C] (float or uint8) with its uncovered texels filled; ``covered`` bool [S, S].

    Texels within ``width`` of a covered one take the nearest covered texel's value, the others the mean of all covered
    texels. An image without covered texels stays as it is.
    """
    if covered.all() or not covered.any():
        return image
    nearest = nearest_covered(covered, width)
    filled = image.reshape(-1, image.shape[-1]).copy()
    mean = filled[covered.reshape(-1)].mean(axis=0, dtype=np.float64)
    if np.issubdtype(image.dtype, np.integer):
        mean = np.rint(mean)
    around = nearest >= 0
    filled[around] = filled[nearest[around]]
    filled[~around] = mean.astype(image.dtype)
    return filled.reshape(image.shape)


def nearest_covered(covered: np.ndarray, width: int) -> np.ndarray:
    """Return for each texel the flat index of the nearest covered one, -1 where that is further than ``width``."""
    distance, index = distance_transform_edt(~covered, return_indices=True)
    nearest = index[0].astype(np.int64) * covered.shape[1] + index[1]
    return np.where(distance <= width, nearest, -1).reshape(-1)
