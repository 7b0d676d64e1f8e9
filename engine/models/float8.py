# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear layers whose products are of 8-bit floating point numbers (float8_e4m3fn), by choice only.

Each row of weights and of activations has a scale: ``x[m, k] = a[m] p[m, k]`` and ``W[n, k] = b[n] q[n, k]`` with p
and q in float8, so that ``y[m, n] = a[m] b[n] sum_k p[m, k] q[n, k]``, summed in float32. A scale is a power of two:
dividing by it rounds nothing, and numbers with a floating point lose no precision by it. No row depends on another.

``by_definition`` computes this in plain torch on any device, ``by_chip`` by the products of cards that have them.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from ..errors import EspalierError
from .quantised import QuantisedLinear

FORMAT = torch.float8_e4m3fn
MULTIPLE = 16
"""What the chips want both sides of a weight to be a multiple of; another layer stays as it is, on every device."""
SHORTEST_SUM = 32
"""They want sums of at least so many products, too."""
OLDEST = (8, 9)
"""The first compute capability with such products."""

_EXPONENT = 0x7F800000
_SMALLEST = 2.0**-112


class Float8Linear(QuantisedLinear):
    """A linear layer of float8 products: ``weight`` float8 [out, in], ``scale`` float32 [out, 1]."""

    @staticmethod
    def suits(linear: nn.Linear) -> bool:
        sizes = linear.in_features, linear.out_features
        return linear.in_features >= SHORTEST_SUM and not any(size % MULTIPLE for size in sizes)

    @staticmethod
    def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
        return in_float8(weight)

    def forward(self, x: Tensor) -> Tensor:
        product = by_definition if why_not(x.device) else by_chip
        values, scale = in_float8(x.reshape(-1, self.in_features))
        out = product(values, scale, self.weight, self.scale, self.bias)
        return out.to(x.dtype).view(*x.shape[:-1], self.out_features)


def in_float8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The float8 values [M, K] and scales float32 [M, 1] of rows [M, K].

    A row's largest value becomes 128 to 256 (the format ends at 448). Every value moves by at most 1/16 of itself, or
    by 2^-17 of the row's largest one where that is more.
    """
    rows = rows if rows.dtype == torch.bfloat16 else rows.float()
    largest = torch.linalg.vector_norm(rows, torch.inf, -1, keepdim=True).float().clamp_min(_SMALLEST)
    scale = (largest.view(torch.int32) & _EXPONENT).view(torch.float32) / 128
    return (rows / scale.to(rows.dtype)).to(FORMAT), scale


def by_definition(values: Tensor, scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None) -> Tensor:
    """Float32 [M, N] from values float8 [M, K] and weight float8 [N, K] with their scales float32 [M, 1] and [N, 1]."""
    out = (values.float() @ weight.float().t()) * scale * weight_scale.t()
    return out if bias is None else out + bias.float()


def by_chip(values: Tensor, scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None) -> Tensor:
    """The same by the chip's own float8 products, in bfloat16."""
    return torch._scaled_mm(
        values.contiguous(),
        weight.t(),
        scale_a=scale,
        scale_b=weight_scale.t(),
        bias=None if bias is None else bias.bfloat16(),
        out_dtype=torch.bfloat16,
        use_fast_accum=False,
    )


def require(device: torch.device) -> None:
    """Raise EspalierError("bad_settings") where ``device`` has no float8 products."""
    if reason := why_not(device):
        raise EspalierError("bad_settings", f"{reason}: switch it off.")


@functools.cache
def why_not(device: torch.device) -> str:
    """Why a device has no float8 products, a sentence without its full stop; "" where it has.

    The first call for a card tries them.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        return "FP8 needs an NVIDIA graphics card of the RTX 40 series, H100 or newer"
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST:
        return "This graphics card is too old for FP8, which came with the RTX 40 series and H100"
    try:
        # On the first of these chips torch before 2.12 starts them outside of the current stream, where they can hang.
        close = (capability > OLDEST or torch.__version__ >= (2, 12)) and _agrees(device)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # torch for Windows, for one, is built without these products
        close = False
    return "" if close else "FP8 does not work with this graphics card and this version of torch"


def _agrees(device: torch.device) -> bool:
    """Whether the chip's product of a small matrix is the defined one, but for rounding to bfloat16 and, beside sums of
    about 16, for the 14 bits that tensor cores keep of a sum of 128 products.
    """
    drawn = torch.Generator().manual_seed(0)
    rows, weights, bias = (torch.randn(*size, generator=drawn).to(device) for size in ((40, 256), (64, 256), (64,)))
    product = *in_float8(rows), *in_float8(weights), bias.bfloat16()
    exact = by_definition(*product)
    return bool(((by_chip(*product).float() - exact).abs() <= 0.01 * exact.abs() + 0.1).all())
