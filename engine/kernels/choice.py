# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Triton's kernels compute on a device, or plain torch."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import subprocess
from collections.abc import Iterator

import torch
from torch import Tensor

from . import architecture

_NO_COMPILER = (
    "Triton starts its kernels with the help of gcc and Python's header files: plain torch computes, which is slower, "
    "until both are installed (on Debian and Ubuntu the packages gcc and python3-dev)."
)
_switched_off = False


def serve(device: torch.device) -> bool:
    """Whether kernels take tensors on ``device``: a CUDA device on which they passed their check.

    On a CPU only where Triton's interpreter is asked for (TRITON_INTERPRET=1), in tests.
    """
    if _switched_off:
        return False
    if device.type == "cpu":
        return os.environ.get("TRITON_INTERPRET") == "1"
    return device.type == "cuda" and not why_not(device)


@functools.cache
def why_not(device: torch.device) -> str:
    """Why plain torch computes on a CUDA device instead of the kernels, in a sentence; "" where the kernels do.

    The first call for a device compares the convolution with plain torch there: about 10 ms, once its kernels are
    compiled (a second or two on the first start ever).
    """
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed: plain torch computes, which is slower."
    if architecture.of(device) == 0:
        return "This graphics card is older than what Triton compiles for: plain torch computes, which is slower."
    try:
        from .self_check import difference
    except ImportError as error:
        return f"Triton cannot be loaded ({error}): plain torch computes, which is slower."
    try:
        wrong = difference(device)
    except Exception as error:  # a driver too old for this Triton, a full disk: whatever it is, torch still computes
        if isinstance(error, subprocess.CalledProcessError) or "C compiler" in str(error):
            return _NO_COMPILER
        wrong = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"The Triton kernels fail on this device ({wrong}): plain torch computes, which is slower." if wrong else ""


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Inside this no kernel serves, and arrays of the host stay there: for measurements of both beside each other."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def switched_off() -> bool:
    """Whether ``plain_torch`` is in force."""
    return _switched_off


def serve_tensors(*tensors: Tensor | None) -> bool:
    """Whether kernels take these tensors, the first of which is there: they serve its device and need no gradient."""
    given = [tensor for tensor in tensors if tensor is not None]
    recorded = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    return not recorded and serve(given[0].device)
