# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills what no chart covers: nearest texel around the charts, the mean colour beyond.

Mip-mapping and bilinear filtering mix texels from outside a chart into its rim; copies of the rim make that invisible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Texels around each chart that repeat its rim: enough for four mip levels.
GUTTER = 16

# Rows searched together on the processor: temporaries of this size stay in its cache.
_ROWS = 128

# Further than any texel of the widest gutter; with the square of its width on top still an int32.
_NOWHERE = 1 << 30


def fill_gutter(images: Sequence[np.ndarray], covered: np.ndarray, width: int = GUTTER) -> None:
    """Fill the uncovered texels of contiguous ``images`` [S, S, C] (float or uint8) in place; ``covered`` bool [S, S].

    Texels within ``width`` (at most 120) of a covered one take the nearest covered texel's value (of equally near ones
    the upper, and in a row the left one), the others the mean of all covered texels, rounded. Images without covered
    texels stay as they are.
    """
    if covered.all() or not covered.any():
        return
    means = [image[covered].mean(axis=0, dtype=np.float64) for image in images]
    means = [np.rint(mean) if image.dtype.kind == "u" else mean for mean, image in zip(means, images)]
    mask, side = torch.from_numpy(covered), covered.shape[1]
    for start in range(0, len(covered), _ROWS):
        stop, above = min(start + _ROWS, len(covered)), max(start - width, 0)
        key = nearest_covered(mask[above : stop + width], width)[start - above : stop - above]
        place, source, beyond = (part.numpy() for part in _places(key, mask[start:stop], width))
        for image, mean in zip(images, means):
            texels = image.reshape(-1, image.shape[2])
            texels[place + start * side] = texels[source + start * side]
            texels[beyond + start * side] = mean


def filled_images(size: int, texel: Tensor, *values: Tensor, width: int = GUTTER) -> tuple[Tensor, ...]:
    """Images uint8 [S, S, C] of ``values`` [T, C] at the covered texels ``texel`` int64 [T], as ``fill_gutter`` has
    them. For graphics cards, where the whole image is searched at once."""
    covered = torch.zeros(size * size, dtype=torch.bool, device=texel.device)
    covered[texel] = True
    mask = covered.view(size, size)
    place, source, beyond = _places(nearest_covered(mask, width), mask, width)
    images = []
    for colours in values:
        image = colours.new_zeros((size * size, colours.shape[1]))
        image[texel] = colours
        if len(texel):
            image[place] = image[source]
            # By a tensor: torch multiplies by the reciprocal of a number, which rounds another way.
            mean = colours.sum(0).double() / texel.new_tensor([len(texel)])
            image[beyond] = mean.round().byte()
        images.append(image.view(size, size, -1))
    return tuple(images)


def nearest_covered(covered: Tensor, width: int) -> Tensor:
    """Which covered texel is nearest to each one within ``width`` rows and columns, int32 [H, W], of bool [H, W].

    A number that sorts by squared distance, then row, then column: squared distance * 2^16 + (rows down + width) * 2^8
    + columns right + width. First the nearest of each column, then the nearest of those: 66 passes for 16 texels.
    """
    rows, columns = covered.shape
    down = torch.full((rows, columns), 127, dtype=torch.int8, device=covered.device)
    for step in range(min(width, rows - 1), -1, -1):
        down[: rows - step].masked_fill_(covered[step:], step)
        down[step:].masked_fill_(covered[: rows - step], -step)
    offset = down.int()
    own = torch.where(down == 127, _NOWHERE, (offset * offset << 16) + (offset + width << 8))
    best = own + width
    for step in range(1, min(width, columns - 1) + 1):
        for right in (-step, step):
            here, there = (
                best[:, max(-right, 0) : columns - max(right, 0)],
                own[:, max(right, 0) : columns + min(right, 0)],
            )
            torch.minimum(here, there + ((right * right << 16) + right + width), out=here)
    return best


def _places(key: Tensor, covered: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The texels to fill and those that they copy, and the texels with none near enough; flat numbers int64 each."""
    near = key < (width**2 + 1 << 16)
    place = (near & ~covered).view(-1).nonzero().squeeze(1)
    code = key.reshape(-1)[place].long()
    source = place + ((code >> 8 & 255) - width) * key.shape[1] + (code & 255) - width
    return place, source, (~(near | covered)).view(-1).nonzero().squeeze(1)
