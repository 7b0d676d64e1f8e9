# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles loops for the processor and keeps them for later processes, until anything they are made from changes."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

CONSTANTS = (bool, int, float, str, tuple, np.generic)


def compiled(function: Callable) -> Callable:
    """Compile at the first call, and keep the result for later processes where there is a folder for it.

    For one thread and without fast-math, so that the same input gives the same bits everywhere; other threads (of a
    pool, the heartbeat) run on meanwhile.
    """
    loop = njit(error_model="numpy", nogil=True)(function)
    with contextlib.suppress(RuntimeError):  # no folder for it
        loop._cache = _Kept(function)
    return loop


class _Kept(FunctionCache):
    """What numba keeps of a loop. By itself it would look at the loop's own file alone: a constant or another loop that
    comes from elsewhere is compiled in, too, and an update may change just that.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        borrowed: dict[Callable, str] = {}
        _collect(self._py_func, borrowed)
        return *super()._index_key(sig, codegen), hashlib.sha256("".join(borrowed.values()).encode()).hexdigest()


def _collect(function: Callable, found: dict[Callable, str]) -> None:
    """Add the source of a loop, of those it calls, and the constants that all of them name."""
    names = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    constants = {name: value for name, value in names.items() if isinstance(value, CONSTANTS)}
    found[function] = f"{inspect.getsource(function)}{constants}"
    for value in names.values():
        if isinstance(value, Dispatcher) and value.py_func not in found:
            _collect(value.py_func, found)
