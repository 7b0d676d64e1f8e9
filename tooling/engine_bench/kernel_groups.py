# SPDX-License-Identifier: GPL-3.0-or-later
"""The Triton kernels of the networks, one by one: each can be left to plain torch while the others serve."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import SimpleNamespace
from unittest.mock import patch

from ...engine.kernels import head_norm, layer_norm, resampling, voxel_index
from ...engine.sparse import convolution

FLOW_KERNELS = {"modulated LayerNorm": layer_norm, "RMS norm and rotary phases": head_norm}
DECODER_KERNELS = {
    "sparse convolution": convolution,
    "neighbours by hash": voxel_index,
    "channels to space": resampling,
    "LayerNorm": layer_norm,
}
"""The module that asks ``choice`` whether the kernel serves, by what the tables call the kernel."""

_NONE = SimpleNamespace(serve=lambda device: False, serve_tensors=lambda *tensors: False)


def without(module: object) -> AbstractContextManager:
    """Inside this the functions of that module are computed by plain torch."""
    return patch.object(module, "choice", _NONE)
