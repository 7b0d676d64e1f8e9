# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of the finishing: how they are compiled, and what there is where numba is missing."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType


def compiled(function: Callable) -> Callable:
    """Compile at the first call, and keep the result for later processes where there is a folder for it.

    For one thread and without fast-math, so that the same input gives the same bits everywhere; other threads (the
    heartbeat) run on meanwhile. Raises ImportError where numba is missing.
    """
    from numba import njit

    try:
        return njit(error_model="numpy", nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(error_model="numpy", nogil=True)(function)


@functools.cache
def load_loops(module: str) -> ModuleType | None:
    """The module ``compiled_...`` of this package, or None where it cannot be imported."""
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError:  # numba is missing, or does not know this version of numpy
        return None
