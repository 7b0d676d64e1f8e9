# SPDX-License-Identifier: GPL-3.0-or-later
"""Submanifold sparse convolution (spec/models.md section 3.2).

By a Triton kernel where those serve and no gradient is wanted; else the neighbours are gathered for one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..kernels import choice
from ..kernels.convolution import gather, product, with_zero_row
from .chunks import chunk_rows, row_wise, wants_gradient
from .sites import Triple
from .tensor import SparseTensor

if TYPE_CHECKING:
    from ..kernels.convolution_triton import RowTiles

RowWise = Callable[..., Tensor]

# Elements of the gathered matrix at a time in training, where the chunks' weight gradients are summed: fewer and larger
# chunks than without gradients. On a CPU skipping absent neighbours tap by tap is slower up to about 256 channels.
_CHUNK_ELEMENTS = {"cpu": 1 << 19, "cuda": 1 << 27}


def _chunks(rows: int, width: int, device: torch.device) -> list[slice]:
    size = max(_CHUNK_ELEMENTS.get(device.type, 1 << 27) // width, 1024)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


class _SubmanifoldConvolution(torch.autograd.Function):
    """out[i] = bias + sum_v W[:, v] in[map[i, v]], with weight [Co, V, Ci] and map [N, V]."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, feats: Tensor, weight: Tensor, bias: Tensor | None, neighbours: Tensor
    ) -> Tensor:
        ctx.save_for_backward(feats, weight, neighbours)
        ctx.has_bias = bias is not None
        matrix = weight.flatten(1).t()
        padded = with_zero_row(feats)
        out = feats.new_empty(feats.shape[0], weight.shape[0])
        for rows in _chunks(feats.shape[0], matrix.shape[0], feats.device):
            columns = gather(padded, neighbours[rows])
            if bias is None:
                torch.mm(columns, matrix, out=out[rows])
            else:
                torch.addmm(bias, columns, matrix, out=out[rows])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Both gradients from one gather: voxel j sees i under tap v exactly when i sees j under tap V-1-v.

        Input gradient [i] = sum_v W[:, V-1-v]^T grad[map[i, v]];
        weight gradient [:, V-1-v] = sum_i grad[map[i, v]] in[i]^T.
        """
        feats, weight, neighbours = ctx.saved_tensors
        grad = grad.contiguous()
        out_channels, taps, in_channels = weight.shape
        need_input, need_weight = ctx.needs_input_grad[:2]
        mirrored = weight.flip(1).permute(1, 0, 2).reshape(taps * out_channels, in_channels)
        padded = with_zero_row(grad)
        grad_feats = torch.empty_like(feats) if need_input else None
        accumulator = torch.promote_types(weight.dtype, torch.float32)
        grad_weight = torch.zeros(in_channels, taps * out_channels, dtype=accumulator, device=weight.device)
        for rows in _chunks(feats.shape[0], mirrored.shape[0], feats.device):
            columns = gather(padded, neighbours[rows])
            if need_input:
                torch.mm(columns, mirrored, out=grad_feats[rows])
            if need_weight:
                grad_weight += feats[rows].t() @ columns
        grad_weight = grad_weight.view(in_channels, taps, out_channels).flip(1).permute(2, 1, 0).to(weight.dtype)
        grad_bias = grad.sum(0, dtype=accumulator).to(weight.dtype) if ctx.has_bias else None
        return grad_feats, grad_weight if need_weight else None, grad_bias, None


class SparseConv3d(nn.Module):
    """Submanifold convolution: output voxels are the input voxels. Weight (Co, kx, ky, kz, Ci), not flipped, odd."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Triple,
        dilation: int | Triple = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size: Triple = (kernel_size,) * 3 if isinstance(kernel_size, int) else tuple(kernel_size)
        self.dilation: Triple = (dilation,) * 3 if isinstance(dilation, int) else tuple(dilation)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"submanifold kernels are odd, not {self.kernel_size}")
        self.weight = nn.Parameter(torch.empty(out_channels, *self.kernel_size, in_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The usual convolution initialisation: uniform within 1 / sqrt(fan in)."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(
        self,
        x: SparseTensor,
        before: RowWise | None = None,
        after: RowWise | None = None,
        skip: Tensor | None = None,
        reuse: bool = False,
    ) -> SparseTensor:
        """``after(convolution(before(x)), skip)``, with functions that treat every row [Ci], [Co], [Cs] alone.

        ``after`` returns rows [Co]. Where no gradient is wanted all of it runs in chunks of constant size, so that
        nothing but input, the convolution's own input and output is as long as the tensor. ``reuse`` lets it write the
        output over the features of ``x``.
        """
        weight, bias, dtype = self.weight, self.bias, x.dtype
        device = x.device.type
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        weight, bias = weight.flatten(1, 3).to(dtype), None if bias is None else bias.to(dtype)
        neighbours = x.sites.neighbours(self.kernel_size, self.dilation)
        if wants_gradient(x.feats, weight):
            feats = x.feats if before is None else before(x.feats)
            out = _SubmanifoldConvolution.apply(feats.to(dtype), weight, bias, neighbours)
            return x.replace(out if after is None else after(out, skip))
        if choice.serve(x.device):
            from ..kernels.convolution_triton import serves

            if serves(dtype, neighbours.shape[1], x.device):
                tiles = x.sites.row_tiles(self.kernel_size, self.dilation)
                return x.replace(_by_kernel(x.feats, weight, bias, neighbours, tiles, before, after, skip, reuse))
        return x.replace(_in_chunks(x.feats, weight, bias, neighbours, before, after, skip, dtype, reuse))


def _in_chunks(
    feats: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    neighbours: Tensor,
    before: RowWise | None,
    after: RowWise | None,
    skip: Tensor | None,
    dtype: torch.dtype,
    reuse: bool,
) -> Tensor:
    matrix = weight.flatten(1).t()
    size = chunk_rows(matrix.shape[0], feats.device)
    padded = feats.new_empty(len(feats) + 1, feats.shape[1], dtype=dtype)
    padded[-1] = 0
    if before is None:
        padded[:-1] = feats
    else:
        row_wise(before, feats, size=size, out=padded[:-1])

    def convolve(neighbours: Tensor, *skip: Tensor) -> Tensor:
        h = product(gather(padded, neighbours), matrix, bias)
        return h if after is None else after(h, *skip)

    inputs = (neighbours,) if skip is None else (neighbours, skip)
    same = reuse and (len(weight), dtype) == (feats.shape[1], feats.dtype)
    return row_wise(convolve, *inputs, size=size, out=feats if same else None)


def _by_kernel(
    feats: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    neighbours: Tensor,
    tiles: RowTiles,
    before: RowWise | None,
    after: RowWise | None,
    skip: Tensor | None,
    reuse: bool,
) -> Tensor:
    from ..kernels.convolution_triton import convolve

    dtype = weight.dtype
    size = chunk_rows(weight[0].numel(), feats.device)
    given = feats if before is None else row_wise(before, feats, size=size)
    given = given.to(dtype).contiguous()
    same = reuse and given is not feats and (len(weight), dtype) == (feats.shape[1], feats.dtype)
    out = convolve(given, weight, bias, neighbours, tiles, feats if same and feats.is_contiguous() else None)
    del given
    inputs = (out,) if skip is None else (out, skip)
    return out if after is None else row_wise(after, *inputs, size=size, out=out)
