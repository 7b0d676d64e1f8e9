# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of the finishing: who is told of compiling, all cores at work, and what there is without numba."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

PORTION = 1 << 16
"""Rows that one thread works through at a time: a constant, so that results are the same for any number of threads."""


@functools.cache
def load_loops(module: str) -> ModuleType | None:
    """The module ``compiled_...`` of this package, or None where it cannot be imported."""
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError:  # numba is missing, or does not know this version of numpy
        return None


@contextlib.contextmanager
def announcing(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` whenever a loop begins to be compiled inside, which takes up to seconds."""
    try:
        from numba.core import event
    except ImportError:
        yield
        return

    class Listener(event.Listener):
        depth = 0

        def on_start(self, event: Any) -> None:
            # A loop that calls others is compiled around these.
            if self.depth == 0:
                tell()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1

    with event.install_listener("numba:compile", Listener()):
        yield


def in_portions(function: Callable[[slice], None], count: int, portion: int = PORTION) -> None:
    """Call ``function`` of runs of ``portion`` out of ``count`` rows on all cores; it writes its own rows alone."""
    portions = [slice(start, start + portion) for start in range(0, count, portion)]
    if len(portions) < 2:
        list(map(function, portions))
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        list(threads.map(function, portions))


def by_rows(
    function: Callable[..., tuple[np.ndarray, ...]], *arrays: np.ndarray, portion: int = PORTION
) -> tuple[np.ndarray, ...]:
    """``function(*arrays)``, runs of ``portion`` rows at a time on all cores; it must take each row by itself."""
    rows = max(len(arrays[0]), 1)
    found: list[tuple[np.ndarray, ...]] = [()] * -(-rows // portion)

    def compute(part: slice) -> None:
        found[part.start // portion] = function(*(array[part] for array in arrays))

    in_portions(compute, rows, portion)
    return tuple(map(np.concatenate, zip(*found, strict=True)))
