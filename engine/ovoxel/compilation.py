# SPDX-License-Identifier: GPL-3.0-or-later
"""When the codec runs compiled loops instead of torch."""

from __future__ import annotations

import functools
from types import ModuleType

# Below this the torch functions take less time than compiling would: about four seconds at the first use.
WORTHWHILE_VOXELS = 500_000
WORTHWHILE_FACES = 200_000


def kernels(voxels: int, faces: int = 0) -> ModuleType | None:
    """The module ``compiled`` for a job with about so many voxels and faces; None where torch does as well.

    The result of the codec is the same either way, bit for bit.
    """
    return loops() if voxels > WORTHWHILE_VOXELS or faces > WORTHWHILE_FACES else None


@functools.cache
def loops() -> ModuleType | None:
    """The module ``compiled``, or None where it cannot be imported."""
    try:
        from . import compiled
    except ImportError:  # numba is missing, or does not know this version of numpy
        return None
    return compiled
