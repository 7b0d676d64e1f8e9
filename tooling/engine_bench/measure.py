# SPDX-License-Identifier: GPL-3.0-or-later
"""Time, memory and arithmetic of one call on the device at hand.

On a GPU the time is that of the device, from one idle moment to the next. On a CPU it is the processor time of one
thread, which other programs on the machine disturb least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from ...engine.machine import PeakMemory
from ...engine.models import attention, attention_kernels
from ...engine.models.sparse_blocks import SparseConvNeXtBlock3d
from ...engine.sparse import SparseConv3d

FEWEST, MOST, ENOUGH_SECONDS, LONG_SECONDS = 3, 20, 2.0, 60.0
"""Repetitions: as many as take enough seconds, not fewer than the first number unless that takes long."""

CEILING_SIDE = {"cuda": 8192, "cpu": 1024}


def measured(call: Callable[[], Any], device: torch.device, warm: bool = False) -> dict[str, Any]:
    """Seconds of the repetitions and their number ``count``, and bytes at the peak: of the device, or of this process.

    ``warm``: the call needs no others before it.
    """
    if device.type == "cuda" and not warm:
        # The first call lets libraries set themselves up, the second one records kernels where they are recorded.
        call()
        call()
    _idle(device)
    peak = PeakMemory()
    seconds: list[float] = []
    while (len(seconds) < FEWEST and sum(seconds) < LONG_SECONDS) or (
        sum(seconds) < ENOUGH_SECONDS and len(seconds) < MOST
    ):
        begin = _now(device)
        call()
        _idle(device)
        seconds.append(_now(device) - begin)
    top = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak.read()["host"]
    about = {"least": min(seconds), "most": max(seconds), "count": len(seconds), "peak": top}
    return {"median": statistics.median(seconds), **about}


def measured_and_counted(call: Callable[[], Any], device: torch.device) -> dict[str, Any]:
    """The same after one more call, in which the arithmetic is counted: also ``flops`` and ``bytes``."""
    with counted() as arithmetic:
        call()
    return {**measured(call, device), **vars(arithmetic)}


def planned(call: Callable[[], Any], network: nn.Module, activations: int, device: torch.device) -> dict[str, Any]:
    """What the memory plan counts on for a call: ``planned`` bytes, weights included, and whether the call succeeds
    ``within`` them, when torch may take no more. Only on a GPU; empty on a CPU.

    ``call`` is to be what a stage does from its beginning: what is recorded or kept already would not count.
    """
    if device.type != "cuda":
        return {}
    size = sum(tensor.nbytes for tensor in network.state_dict().values()) + activations
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(size / total, 1.0), device)
    try:
        call()
        torch.cuda.synchronize(device)
        within = True
    except torch.cuda.OutOfMemoryError:
        within = False
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    return {"planned": size, "within": within}


def _now(device: torch.device) -> float:
    return time.perf_counter() if device.type == "cuda" else time.process_time()


def _idle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of large matrix products of that precision, as fast as they go here and now."""
    side = CEILING_SIDE[device.type]
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / measured(lambda: one @ other, device)["least"]


@dataclass
class Arithmetic:
    """FLOPs of the products that a call consists of (two for each multiplication), and the bytes of their operands
    and results, each moved once: the least that any way of computing them moves."""

    flops: int = 0
    bytes: int = 0

    def product(self, flops: int, *tensors: Tensor | None) -> None:
        self.flops += flops
        self.bytes += sum(tensor.nbytes for tensor in tensors if tensor is not None)


@contextmanager
def counted() -> Iterator[Arithmetic]:
    """Count the linear layers, convolutions and attentions that run inside.

    A sparse convolution counts the neighbours that exist. Its block's hidden layers, which run in padded chunks, count
    the rows that exist.
    """
    arithmetic, inside = Arithmetic(), 0

    def enter(module: nn.Module, _inputs: tuple) -> None:
        nonlocal inside
        inside += isinstance(module, SparseConvNeXtBlock3d)

    def leave(module: nn.Module, inputs: tuple, out: Any) -> None:
        nonlocal inside
        if isinstance(module, SparseConvNeXtBlock3d):
            inside -= 1
            hidden, rows = module.mlp[0], len(inputs[0])
            arithmetic.product(4 * rows * hidden.weight.numel(), hidden.weight, module.mlp[2].weight)
        elif isinstance(module, SparseConv3d):
            x = inputs[0]
            present = int((x.sites.neighbours(module.kernel_size, module.dilation) < len(x)).sum())
            weight = module.weight
            arithmetic.product(2 * present * weight.shape[0] * weight.shape[-1], x.feats, weight, out.feats)
        elif isinstance(module, nn.Linear) and not inside:
            x = inputs[0]
            arithmetic.product(2 * x[..., 0].numel() * module.weight.numel(), x, module.weight, out)
        elif isinstance(module, nn.Conv2d | nn.Conv3d):
            positions = out.numel() // out.shape[1]
            arithmetic.product(2 * positions * module.weight.numel(), inputs[0], module.weight, out)

    def noting(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        out = attention_kernels.by_torch(q, k, v, mask)
        arithmetic.product(4 * q.numel() * k.shape[1], q, k, v, out)
        return out

    before = nn.modules.module.register_module_forward_pre_hook(enter)
    after = register_module_forward_hook(leave)
    own = attention.by_torch, attention.kernel_for
    attention.by_torch, attention.kernel_for = noting, lambda q, mask: noting
    try:
        yield arithmetic
    finally:
        attention.by_torch, attention.kernel_for = own
        before.remove()
        after.remove()
