# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to compute with arrays that lie on the host: on the graphics card where its kernels serve and have room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from . import choice

Result = TypeVar("Result")


def on_best_device(function: Callable[[torch.device], Result]) -> Result:
    """``function`` of the current CUDA device where the kernels serve, else of the CPU.

    Also of the CPU where the card has too little memory left beside the networks; so the result must not depend on it.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        if choice.serve(device):
            try:
                return function(device)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
    return function(torch.device("cpu"))
