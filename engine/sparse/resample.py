# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange between resolution and channels, pooling and nearest upsampling (spec/models.md section 3.5)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ..kernels.resampling import channels_to_children, children_to_channels
from .sites import Subdivision
from .tensor import SparseTensor


def space_to_channel(x: SparseTensor) -> SparseTensor:
    """Gather the eight children of each coarse voxel: [N, C] -> [N', 8C], child k at channels kC.., zeros where absent.

    Coarse rows are sorted by (batch, x, y, z) and remember the fine sites.
    """
    coarse = x.sites.coarsen()
    return SparseTensor(children_to_channels(x.feats, coarse.finer.slot, len(coarse)), coarse)


def subdivision_of(x: SparseTensor, mask: Tensor | None) -> Subdivision:
    """The children of ``x``: the remembered ones where there are any, else those of ``mask`` bool [N, 8]."""
    if x.sites.finer is not None:
        return x.sites.finer
    if mask is None:
        raise ValueError("a tensor that remembers no finer sites needs a subdivision mask")
    return x.sites.subdivide(mask)


def channel_to_space(x: SparseTensor, subdivision: Subdivision) -> SparseTensor:
    """Hand channel block k of each coarse voxel to its child k: [N', 8C] -> [N, C]."""
    return SparseTensor(channels_to_children(x.feats, subdivision.slot), subdivision.fine)


def copy_to_children(x: SparseTensor, subdivision: Subdivision) -> SparseTensor:
    """Nearest upsampling: every child takes the features of its parent."""
    return SparseTensor(x.feats.index_select(0, subdivision.parent), subdivision.fine)


def pool_children(x: SparseTensor, mode: Literal["mean", "max"]) -> SparseTensor:
    """Mean or maximum over the existing children of each coarse voxel: [N, C] -> [N', C]."""
    table = space_to_channel(x)
    children = table.feats.unflatten(1, (8, -1))
    exists = table.child_mask().unsqueeze(2)
    if mode == "mean":
        return table.replace(children.sum(1) / exists.sum(1))
    return table.replace(children.masked_fill(~exists, float("-inf")).amax(1))
