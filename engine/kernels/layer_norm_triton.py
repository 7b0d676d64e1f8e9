# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer norm, with what follows it, in one pass over the rows."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_ELEMENTS = 2048
"""Of a tile, as whole rows; a longer row is a tile of its own."""

_WIDEST = 8192


def serves(x: Tensor) -> bool:
    """Whether the kernel takes rows of this length and dtype."""
    return x.shape[-1] <= _WIDEST and x.dtype in (torch.float16, torch.bfloat16, torch.float32)


@triton.jit(do_not_specialize=["count", "tokens"])
def _layer_norm(
    x,
    weight,
    bias,
    scale,
    shift,
    out,
    count,
    tokens,
    scale_step,
    shift_step,
    eps,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, BLOCK)
    inside = channel < WIDTH
    exists = (row < count)[:, None] & inside[None, :]
    place = row[:, None] * WIDTH + channel[None, :]
    value = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
    mean = tl.sum(value, 1) / WIDTH
    centred = tl.where(inside[None, :], value - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / WIDTH
    value = centred * (1.0 / tl.sqrt_rn(variance + eps))[:, None]
    if weight is not None:
        value *= tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    if bias is not None:
        value += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    dtype: tl.constexpr = out.dtype.element_ty
    if scale is not None:
        sample = (row // tokens)[:, None]
        factor = 1.0 + tl.load(scale + sample * scale_step + channel[None, :], mask=exists, other=0.0).to(tl.float32)
        value = value.to(dtype).to(tl.float32) * factor.to(dtype).to(tl.float32)
        value = value.to(dtype).to(tl.float32)
        value += tl.load(shift + sample * shift_step + channel[None, :], mask=exists, other=0.0).to(tl.float32)
    tl.store(out + place, value.to(dtype), mask=exists)


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """``layer_norm.layer_norm`` by the kernel."""
    return _launch(x, weight, bias, None, None, eps)


def modulated_layer_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """``layer_norm.modulated_layer_norm`` by the kernel."""
    return _launch(x, None, None, scale, shift, eps)


def _launch(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
) -> Tensor:
    x, width = x.contiguous(), x.shape[-1]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(width)
    rows = max(_ELEMENTS // block, 1)
    count = x.numel() // width
    if count:
        _layer_norm[(triton.cdiv(count, rows),)](
            *(x, weight, bias, scale, shift, out, count, x.shape[-2]),
            *(0 if tensor is None or len(tensor) == 1 else tensor.stride(0) for tensor in (scale, shift)),
            eps,
            WIDTH=width,
            ROWS=rows,
            BLOCK=block,
            num_warps=4 if block <= _ELEMENTS else 8,
        )
    return out
