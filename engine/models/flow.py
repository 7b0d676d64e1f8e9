# SPDX-License-Identifier: GPL-3.0-or-later
"""The two flow models: on a dense grid (sparse structure) and on active voxels (structured latents)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sparse import Sites, SparseTensor
from .attention import rotary_phases
from .config import require
from .transformer import Condition, FlowConfig, FlowTransformer

LARGEST_DENSE_GRID = 64
"""Attention over 64^3 cells is out of reach; larger grids are damaged descriptions."""


class SparseStructureFlowModel(FlowTransformer):
    """Velocity of a dense latent volume."""

    def __init__(self, config: FlowConfig) -> None:
        require(config.resolution <= LARGEST_DENSE_GRID, "structure flow model", f"resolution={config.resolution}")
        super().__init__(config)
        axis = torch.arange(config.resolution, device="cpu")  # also when the rest is only sketched on "meta"
        grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(-1, 3)
        self.register_buffer("rope_phases", rotary_phases(grid, self.head_dim), persistent=False)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor | list[Tensor] | Condition) -> Tensor:
        """x [B, C, R, R, R] float32, t [B] times 1000, cond [B, M, D] -> velocity [B, C', R, R, R]."""
        return self.arranged(self.velocities(self.tokens(x), t, cond, self.phases(x), None), x)

    def tokens(self, x: Tensor) -> Tensor:
        """Cells [B, R^3, C] of the volume x [B, C, R, R, R], the last axis fastest."""
        return x.flatten(2).transpose(1, 2)

    def phases(self, x: Tensor) -> Tensor:
        """Rotary phases [1, R^3, head_dim / 2] of those cells."""
        return self.rope_phases.unsqueeze(0)

    def arranged(self, velocities: Tensor, x: Tensor) -> Tensor:
        """Velocities [B, R^3, C] as a volume like x."""
        return velocities.transpose(1, 2).unflatten(2, x.shape[2:])


class SLatFlowModel(FlowTransformer):
    """Velocity of a structured latent: features on active voxels of an R^3 grid."""

    def forward(
        self,
        x: SparseTensor,
        t: Tensor,
        cond: Tensor | list[Tensor] | Condition,
        concat_cond: SparseTensor | None = None,
    ) -> SparseTensor:
        """x [N, C] float32, t [B] times 1000, cond [B, M, D] or a list of [M_b, D] -> velocity on the same voxels.

        ``concat_cond`` (the normalised shape latent of the texture model) is appended to the channels of x.
        """
        feats = x.feats if concat_cond is None else torch.cat([x.feats, concat_cond.feats], -1)
        if x.batch_size == 1:
            return self.arranged(self.velocities(feats[None], t, cond, self.phases(x), None), x)
        slots, mask = padded_slots(x.sites)
        tokens = feats.new_zeros(mask.numel(), feats.shape[1]).index_copy(0, slots, feats).unflatten(0, mask.shape)
        coords = x.coords.new_zeros(mask.numel(), 3).index_copy(0, slots, x.coords[:, 1:]).unflatten(0, mask.shape)
        some_absent = len(set(x.sites.lengths)) > 1
        phases = rotary_phases(coords, self.head_dim)
        out = self.velocities(tokens, t, cond, phases, mask if some_absent else None)
        return x.replace(out.flatten(0, 1).index_select(0, slots))

    def tokens(self, x: SparseTensor) -> Tensor:
        """Voxels [1, N, C] of one sample."""
        return x.feats[None]

    def phases(self, x: SparseTensor) -> Tensor:
        """Rotary phases [1, N, head_dim / 2] of those voxels."""
        return rotary_phases(x.coords[:, 1:], self.head_dim)[None]

    def arranged(self, velocities: Tensor, x: SparseTensor) -> SparseTensor:
        """Velocities [1, N, C] on the voxels of x."""
        return x.replace(velocities[0])


def padded_slots(sites: Sites) -> tuple[Tensor, Tensor]:
    """Lay the rows of each batch element out in one row of a [B, longest] table.

    Returns the slot of each row in the flattened table (int64 [N]) and which slots are filled (bool [B, longest]).
    """
    longest = max(sites.lengths)
    lengths = torch.tensor(sites.lengths, device=sites.coords.device)
    mask = torch.arange(longest, device=lengths.device) < lengths[:, None]
    return mask.flatten().nonzero().squeeze(1), mask
