# SPDX-License-Identifier: GPL-3.0-or-later
"""A small convolution by the kernels and by plain torch on the same device."""

from __future__ import annotations

import torch

from . import convolution, convolution_triton
from .voxel_index import SortedIndex
from .voxel_index_triton import HashIndex

_SIZE, _CHANNELS = 12, 64
# Of sums of some 600 float32 products, one after the other: up to 6e-6. A tap too many or too few changes 4e-2.
_SUMS = 1e-4


def difference(device: torch.device) -> str:
    """What the kernels compute otherwise than torch on a third of the voxels of a small grid; "" where they agree.

    Keys, neighbour map and float16 convolution as in the released autoencoders.
    """
    random = torch.Generator().manual_seed(0)
    keys = (torch.rand(_SIZE**3, generator=random) < 1 / 3).nonzero().squeeze(1).to(device)
    steps = [plane + line + cell for plane in _around(_SIZE**2) for line in _around(_SIZE) for cell in _around(1)]
    neighbours = SortedIndex(keys).neighbours(steps)
    if not torch.equal(HashIndex(keys).neighbours(steps), neighbours):
        return "another neighbour map"
    dtype = next(kind for kind in (torch.float16, torch.float32) if convolution_triton.serves(kind, 27, device))
    feats, weight, bias = (
        (torch.randn(shape, generator=random) / scale).to(device, dtype)
        for shape, scale in (
            ((len(keys), _CHANNELS), 1),
            ((_CHANNELS, 27, _CHANNELS), (9 * _CHANNELS) ** 0.5),
            ((_CHANNELS,), 1),
        )
    )
    expected = convolution.convolve(feats.double(), weight.double(), bias.double(), neighbours)
    found = convolution_triton.convolve(feats, weight, bias, neighbours, convolution_triton.tiles_of(neighbours))
    worst = (found.double() - expected).abs().max().item()
    # One rounding of values below 8, and float32 sums.
    return "" if worst <= 8 * torch.finfo(dtype).eps + _SUMS else f"a convolution that is {worst:.1e} apart"


def _around(step: int) -> tuple[int, int, int]:
    return (-step, 0, step)
