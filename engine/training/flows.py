# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow matching: the sparse-structure flow on a frozen image encoder, and the single step of the latents' flows.

Straight path from data (t = 0) to noise (t = 1), velocity target, the condition replaced by zeros for one item in ten
so that guidance has an unconditional branch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..sparse.sites import Sites
from ..sparse.tensor import SparseTensor
from .autoencoders import AutoencoderStage, build
from .latents import LatentBank
from .losses import flow_loss, interpolate

UNCONDITIONAL = 0.1
"""Share of items whose condition is dropped."""


class SparseStructureFlow(AutoencoderStage):
    """Noise [B, 8, 4, 4, 4] to the sparse-structure latent; noise levels lean towards noise (logit-normal(1, 1))."""

    name = "sparse_structure_flow"

    def __init__(self, latents: LatentBank, held_out: LatentBank, batch: int, seed: int) -> None:
        super().__init__(latents.bank, held_out.bank, batch, seed)
        self.latents, self.held_out_latents = latents, held_out
        self.model = build("sparse_structure_flow_model", self.device)

    def modules(self) -> dict[str, nn.Module]:
        return {"sparse_structure_flow_model": self.model}

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.latents.refresh_colours(self.generator, self.order)
        return self._loss(self.latents, self.train_bank.draw(self.batch, self.order), self.generator), {}

    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        batches = torch.arange(self.held_out.count).split(64) * 4
        losses = [self._loss(self.held_out_latents, ids, generator).item() for ids in batches]
        return {"loss": round(sum(losses) / len(losses), 4)}

    def _loss(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        cond = self._condition(latents, ids, generator)
        x0 = latents.structure[ids.to(self.device)]
        t = (torch.randn(len(ids), generator=generator, device=self.device) + 1).sigmoid()
        eps = torch.randn(x0.shape, generator=generator, device=self.device)
        x_t, velocity = interpolate(x0, eps, t[:, None, None, None, None])
        with self.autocast():
            out = self.model(x_t, 1000 * t, cond)
        return flow_loss(out, velocity)

    def _condition(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        """Return the image tokens [B, M, D] of one view of every asset, some replaced by zeros."""
        views = latents.bank.draw_views(len(ids), generator)
        keep = torch.rand(len(ids), generator=generator, device=self.device) >= UNCONDITIONAL
        return latents.tokens[ids.to(self.device), views].float() * keep[:, None, None]


def one_step(
    flow: nn.Module, sites: Sites, channels: int, cond: Tensor, other: SparseTensor | None, generator: torch.Generator
) -> Tensor:
    """Return the normalised latent [N, channels] that one Euler step from t = 1 to 0 gives on ``sites``."""
    eps = torch.randn(len(sites), channels, generator=generator, device=cond.device)
    t = torch.full((len(cond),), 1000.0, device=cond.device)
    return eps - flow(SparseTensor(eps, sites), t, cond, concat_cond=other).feats.float()
