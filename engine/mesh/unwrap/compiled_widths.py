# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loop of ``widths``: the same bits as the function named in it. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def ranges(uv: np.ndarray, chart: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``widths.ranges``."""
    low, high = np.full((len(cos), 2), np.inf), np.full((len(cos), 2), -np.inf)
    for face in range(len(uv)):
        c = chart[face]
        for corner in range(3):
            x, y = uv[face, corner, 0], uv[face, corner, 1]
            along, across = x * cos[c] + y * sin[c], y * cos[c] - x * sin[c]
            low[c, 0], high[c, 0] = min(low[c, 0], along), max(high[c, 0], along)
            low[c, 1], high[c, 1] = min(low[c, 1], across), max(high[c, 1], across)
    return low, high
