# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills what no chart covers: nearest texel around the charts, the mean colour beyond.

Mip-mapping and bilinear filtering mix texels from outside a chart into its rim; copies of the rim make that invisible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

# Texels around each chart that repeat its rim: enough for four mip levels.
GUTTER = 16

# Rows searched together: a constant, so that memory is bounded and results are the same.
_ROWS = 1024


def fill_gutter(images: Sequence[np.ndarray], covered: np.ndarray, width: int = GUTTER) -> None:
    """Fill the uncovered texels of ``images`` [S, S, C] (float or uint8) in place; ``covered`` bool [S, S].

    Texels within ``width`` of a covered one take the nearest covered texel's value, the others the mean of all covered
    texels, rounded. Images without covered texels stay as they are.
    """
    if covered.all() or not covered.any():
        return
    means = [image[covered].mean(axis=0, dtype=np.float64) for image in images]
    means = [np.rint(mean) if image.dtype.kind == "u" else mean for mean, image in zip(means, images)]
    for start in range(0, len(covered), _ROWS):
        stop = min(start + _ROWS, len(covered))
        above = max(start - width, 0)
        row, column, source_row, source_column, beyond = _sources(
            covered[above : stop + width], slice(start - above, stop - above), width
        )
        for image, mean in zip(images, means):
            image[row + above, column] = image[source_row + above, source_column]
            image[start:stop][beyond] = mean


def _sources(
    covered: np.ndarray, rows: slice, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the nearest covered texel of the uncovered ones in ``rows`` that have one within ``width``.

    Returns the row and column of both, int [N] each, and which texels of ``rows`` are further from any, bool.
    """
    distance, nearest = distance_transform_edt(~covered, return_indices=True)
    distance = distance[rows]
    row, column = np.nonzero((distance > 0) & (distance <= width))
    source = nearest[:, rows][:, row, column]
    return row + rows.start, column, source[0], source[1], distance > width
