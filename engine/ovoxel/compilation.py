# SPDX-License-Identifier: GPL-3.0-or-later
"""When the codec runs compiled loops or GPU kernels instead of torch."""

from __future__ import annotations

import functools
from types import ModuleType

import torch

from ..kernels import choice

# Below this the torch functions take less time than compiling would: about four seconds at the first use.
WORTHWHILE_VOXELS = 500_000
WORTHWHILE_FACES = 200_000


def kernels(device: torch.device, voxels: int, faces: int = 0) -> ModuleType | None:
    """The module ``compiled`` for a job with about so many voxels and faces; None where torch does as well.

    The result of the codec is the same either way, bit for bit.
    """
    worthwhile = voxels > WORTHWHILE_VOXELS or faces > WORTHWHILE_FACES
    return loops() if worthwhile and device.type == "cpu" and not on_gpu(device) else None


def on_gpu(device: torch.device) -> bool:
    """Whether the Triton kernels (``engine/kernels``) work on tensors of this device; their result is the same too."""
    return choice.serve(device)


@functools.cache
def loops() -> ModuleType | None:
    """The module ``compiled``, or None where it cannot be imported."""
    try:
        from . import compiled
    except ImportError:  # numba is missing, or does not know this version of numpy
        return None
    return compiled
