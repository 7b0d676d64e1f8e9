# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to compute with arrays that lie on the host: on the graphics card where its kernels serve and have room."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from . import choice

Result = TypeVar("Result")
Array = TypeVar("Array", np.ndarray, Tensor)
"""For what is written alike for arrays of the host and for tensors."""

WORTHWHILE = 100_000
"""Rows below which arrays are not worth the way to the card and back."""

MANY_FACES = 100_000
"""Faces from which unwrapping and packing are worth another layout than the processor's."""

NETWORKS_BYTES = 20 << 30
"""What the networks take of a card that holds them all."""


def on_best_device(function: Callable[[torch.device], Result]) -> Result:
    """``function`` of the current CUDA device where the kernels serve, else of the CPU.

    Also of the CPU where the card has too little memory left beside the networks; so the result must not depend on it.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        result = _unless_full(functools.partial(function, device)) if choice.serve(device) else None
        if result is not None:
            return result
    return function(torch.device("cpu"))


def card() -> torch.device | None:
    """The current CUDA device, where plain torch may compute on it with arrays of the host. It needs no Triton."""
    return _unless_full(_working_card) if torch.cuda.is_available() and not choice.switched_off() else None


@functools.cache
def _working_card() -> torch.device | None:
    """The current CUDA device if this torch computes on it: it has nothing for the oldest and for the newest cards.

    Raises torch.OutOfMemoryError on a full card, of which nothing is remembered then.
    """
    try:
        device = torch.device("cuda", torch.cuda.current_device())
        return device if torch.arange(3, device=device).flip(0).sort().values.tolist() == [0, 1, 2] else None
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever is wrong with card, driver or torch, the processor still computes
        return None


def on_large_card(function: Callable[[torch.device], Result], size: int) -> Result | None:
    """``function`` of the current CUDA device where so many bytes fit on it beside the networks, else None.

    For work that a card does in another way than the processor, with another result: whether they fit is judged by the
    size of the card, never by what is free. None also where other programs have filled the card, and where this torch
    does not compute on it.
    """
    device = card()
    if device is None or size + NETWORKS_BYTES > torch.cuda.get_device_properties(device).total_memory:
        return None
    return _unless_full(functools.partial(function, device))


def _unless_full(compute: Callable[[], Any]) -> Any:
    """What ``compute`` returns; None where the card has too little memory for it."""
    try:
        return compute()
    except torch.OutOfMemoryError:
        pass  # what the failure's frames hold is free only outside of the handler
    torch.cuda.empty_cache()
    return None


class Kept:
    """An array of the host that several calls of ``on_card`` take: the card keeps it from the first one on."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._tensor: Tensor | None = None

    def __len__(self) -> int:
        return len(self.array)

    def on(self, device: torch.device) -> Tensor:
        """The array as a tensor on ``device``."""
        if self._tensor is None or self._tensor.device != device:
            self._tensor = upload(self.array, device)
        return self._tensor


def on_card(function: Callable[..., Any], *arrays: np.ndarray | Kept) -> Any:
    """What ``function`` makes of ``arrays`` as tensors on the card, its tensors as host arrays again; or None.

    None where there is no card, where it has too little memory left, and where the first array has fewer rows than
    ``WORTHWHILE``: then the caller computes on the processor, so the result must be the same.
    """
    device = card()
    if device is None or len(arrays[0]) < WORTHWHILE:
        return None

    def computed() -> Any:
        return home(
            function(*(array.on(device) if isinstance(array, Kept) else upload(array, device) for array in arrays))
        )

    return _unless_full(computed)


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """``array`` as a tensor on ``device``."""
    return torch.from_numpy(np.require(array, requirements=("C", "W"))).to(device)


def home(result: Any) -> Any:
    """Tensors, also in a tuple, as host arrays; anything else as it is."""
    if isinstance(result, Tensor):
        return result.cpu().numpy()
    return tuple(map(home, result)) if isinstance(result, tuple) else result
