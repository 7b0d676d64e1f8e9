# SPDX-License-Identifier: GPL-3.0-or-later
"""Children of voxels moved into channels and back (spec/models.md section 3.5).

``slot`` int64 [N] is parent row * 8 + child index of each fine row.
"""

from __future__ import annotations

from torch import Tensor

from . import choice


def children_to_channels(feats: Tensor, slot: Tensor, parents: int) -> Tensor:
    """Features [N, C] of children side by side: [parents, 8C], child k at channels kC.., zeros where it is absent."""
    if choice.serve_tensors(feats):
        from . import resampling_triton

        return resampling_triton.children_to_channels(feats, slot, parents)
    return plain_children_to_channels(feats, slot, parents)


def channels_to_children(blocks: Tensor, slot: Tensor) -> Tensor:
    """Channel block k of each parent for its child k: [parents, 8C] -> [N, C]."""
    if choice.serve_tensors(blocks):
        from . import resampling_triton

        return resampling_triton.channels_to_children(blocks, slot)
    return plain_channels_to_children(blocks, slot)


def plain_children_to_channels(feats: Tensor, slot: Tensor, parents: int) -> Tensor:
    """``children_to_channels`` in plain torch."""
    return feats.new_zeros(parents * 8, feats.shape[1]).index_copy(0, slot, feats).view(parents, -1)


def plain_channels_to_children(blocks: Tensor, slot: Tensor) -> Tensor:
    """``channels_to_children`` in plain torch."""
    return blocks.reshape(len(blocks) * 8, -1).index_select(0, slot)
