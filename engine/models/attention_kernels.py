# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that compute softmax attention, and which of them serves a device.

All take queries [B, L, heads, head_dim], keys and values [B, M, heads, head_dim] and return [B, L, heads, head_dim];
all accumulate in float32. Kernels that add up in float16 are never used: they erase thin parts.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def by_torch(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """torch's scaled-dot-product attention; ``mask`` bool [B, M] says which keys exist, None means all."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    key_mask = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, key_mask).transpose(1, 2)


def by_torch_in_float32(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """``by_torch`` computed in float32, for cards on which torch has no kernel for a half precision."""
    return by_torch(q.float(), k.float(), v.float(), mask).to(q.dtype)


FLASH = {"flash-attn 3": "flash_attn_interface", "flash-attn 2": "flash_attn"}
"""Kernels that may be installed beside torch, for half precision without a mask: name and module."""


@functools.cache
def by_flash_attn(name: str) -> Kernel | None:
    """That kernel of ``FLASH``; None where it is not installed, or was built for another torch."""
    try:
        attend = importlib.import_module(FLASH[name]).flash_attn_func
    except (ImportError, OSError):
        return None

    def kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        out = attend(q, k, v)
        return out[0] if isinstance(out, tuple) else out  # earlier builds also return the log-sum of the softmax

    return kernel


FASTER_THAN_TORCH: dict[tuple[int, int], tuple[str, ...]] = {(9, 0): ("flash-attn 3",)}
"""By compute capability, kernels that beat torch's own, the fastest first.

On the H200 flash-attn 3 takes 5.6 s where flash-attn 2 takes 7.7 s for a shape stage (spec/users.md section 2). torch's
own kernel is flash-attn 2, so that appears nowhere until ``build.py bench engine`` finds a chip where it is faster.
"""


def kernel_for(q: Tensor, mask: Tensor | None) -> Kernel:
    """The kernel for these queries: a matter of device, precision and whether there is a mask, never of time."""
    if q.device.type == "cuda" and q.dtype == torch.bfloat16 and _is_before_ampere(q.device):
        return by_torch_in_float32
    if q.device.type != "cuda" or mask is not None or q.dtype not in (torch.float16, torch.bfloat16):
        return by_torch
    name = fastest(q.device)
    return (by_flash_attn(name) if name else None) or by_torch


@functools.cache
def _is_before_ampere(device: torch.device) -> bool:
    """Cards before compute capability 8.0, for which torch's kernels take no bfloat16. It would hold all scores of
    attention in memory there: 14 GB for 17 000 tokens."""
    return torch.cuda.get_device_capability(device) < (8, 0)


@functools.cache
def fastest(device: torch.device) -> str:
    """Name of the kernel beside torch's that serves a CUDA device in half precision; "" where torch's does."""
    names = FASTER_THAN_TORCH.get(torch.cuda.get_device_capability(device), ())
    return next((name for name in names if by_flash_attn(name) is not None), "")
