# SPDX-License-Identifier: GPL-3.0-or-later
"""RMS norm of each head, and its rotation, in one pass over queries or keys as they lie in the projection's output."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_ELEMENTS = 2048
_WIDEST = 1024


def serves(x: Tensor) -> bool:
    """Whether the kernel takes heads of this length and dtype."""
    size = x.shape[-1]
    return size % 2 == 0 and size <= _WIDEST and x.dtype in (torch.float16, torch.bfloat16, torch.float32)


@triton.jit(do_not_specialize=["count", "tokens"])
def _head_norm(
    x,
    gamma,
    phases,
    out,
    count,
    tokens,
    sample_step,
    token_step,
    head_step,
    phase_step,
    root,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    head = tl.program_id(1)
    channel = tl.arange(0, BLOCK)
    inside = channel < SIZE
    exists = (token < count)[:, None] & inside[None, :]
    sample, position = token // tokens, token % tokens
    start = sample * sample_step + position * token_step + head * head_step
    value = tl.load(x + start[:, None] + channel[None, :], mask=exists, other=0.0).to(tl.float32)
    length = tl.maximum(tl.sqrt_rn(tl.sum(value * value, 1)), 1e-12)
    factor = tl.load(gamma + head * SIZE + channel, mask=inside, other=0.0).to(tl.float32)
    value = tl.div_rn(value, length[:, None] + tl.zeros_like(value)) * factor[None, :] * root
    dtype: tl.constexpr = out.dtype.element_ty
    if phases is not None:
        turn = sample * phase_step + position * SIZE
        turn = tl.load(phases + turn[:, None] + channel[None, :], mask=exists, other=0.0)
        cos, sin = tl.split(turn.reshape(TOKENS, BLOCK // 2, 2))
        real, imaginary = tl.split(value.to(dtype).to(tl.float32).reshape(TOKENS, BLOCK // 2, 2))
        turned = tl.join(real * cos - imaginary * sin, real * sin + imaginary * cos)
        value = turned.reshape(TOKENS, BLOCK)
    place = (token * HEADS + head)[:, None] * SIZE + channel[None, :]
    tl.store(out + place, value.to(dtype), mask=exists)


def head_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """``head_norm.head_norm`` by the kernel; the result is contiguous."""
    return _launch(x, gamma, None)


def head_norm_rotate(x: Tensor, gamma: Tensor, phases: Tensor) -> Tensor:
    """``head_norm.head_norm_rotate`` by the kernel; the result is contiguous."""
    return _launch(x, gamma, torch.view_as_real(phases).contiguous())


def _launch(x: Tensor, gamma: Tensor, phases: Tensor | None) -> Tensor:
    if x.stride(-1) != 1:
        x = x.contiguous()
    samples, tokens, heads, size = x.shape
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    block = triton.next_power_of_2(size)
    together = max(_ELEMENTS // block, 1)
    count = samples * tokens
    if count:
        _head_norm[(triton.cdiv(count, together), heads)](
            *(x, gamma.contiguous(), phases, out, count, tokens, *x.stride()[:3]),
            0 if phases is None or len(phases) == 1 else phases.stride(0),
            math.sqrt(size),
            HEADS=heads,
            SIZE=size,
            TOKENS=together,
            BLOCK=block,
        )
    return out
