# SPDX-License-Identifier: GPL-3.0-or-later
"""The times at which the flow is evaluated (equation of the rescaled schedule, spec/models.md 7.1)."""

from __future__ import annotations

import numpy as np


def time_sequence(steps: int, rescale_t: float) -> np.ndarray:
    """Return float64 [steps + 1] from 1 (noise) to 0 (sample): ``t = r u / (1 + (r - 1) u)``, u evenly spaced.

    Doubles and this order of operations matter: with r = 3 and 12 steps one time is exactly 0.6, the inclusive lower
    end of the released guidance interval, and any other rounding loses a guided step.
    """
    u = np.linspace(1.0, 0.0, steps + 1)
    return rescale_t * u / (1.0 + (rescale_t - 1.0) * u)
