# SPDX-License-Identifier: GPL-3.0-or-later
"""The three flow-matching transformers, conditioned on a frozen image encoder.

Straight path from data (t = 0) to noise (t = 1), velocity target, the condition replaced by zeros for one item in ten
so that guidance has an unconditional branch.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ..sparse.tensor import SparseTensor
from .autoencoders import AutoencoderStage, build
from .latents import LatentBank
from .losses import flow_loss, interpolate

UNCONDITIONAL = 0.1
"""Share of items whose condition is dropped."""


class FlowStage(AutoencoderStage):
    """Base of the three stages: image tokens and latents from the bank, one noise level per item."""

    model: nn.Module
    model_name: str

    def __init__(self, latents: LatentBank, held_out: LatentBank, batch: int, seed: int) -> None:
        super().__init__(latents.bank, held_out.bank, batch, seed)
        self.latents, self.held_out_latents = latents, held_out
        self.model = build(self.model_name, self.device)

    def modules(self) -> dict[str, nn.Module]:
        return {self.model_name: self.model}

    def condition(self, latents: LatentBank, ids: Tensor, views: Tensor, generator: torch.Generator) -> Tensor:
        """Return the image tokens [B, M, D] of one view of every asset, some replaced by zeros."""
        keep = torch.rand(len(ids), generator=generator, device=self.device) >= UNCONDITIONAL
        return latents.tokens[ids.to(self.device), views].float() * keep[:, None, None]

    def noise_levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Return t [count], uniform in (0, 1)."""
        return torch.rand(count, generator=generator, device=self.device)

    @abstractmethod
    def _loss(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch of assets."""

    def draw(self) -> Tensor:
        """Return the asset numbers of the next batch."""
        return self.latents.draw_tokens(self.batch, self.order)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.latents.refresh_colours(self.generator, self.order)
        return self._loss(self.latents, self.draw(), self.generator), {}

    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        losses = [
            self._loss(self.held_out_latents, ids, generator).item()
            for _ in range(4)
            for ids in self.validation_batches(60_000)
        ]
        return {"loss": round(sum(losses) / len(losses), 4)}

    def _sparse_loss(self, x0: SparseTensor, cond: Tensor, other: SparseTensor | None, g: torch.Generator) -> Tensor:
        t = self.noise_levels(len(cond), g)
        rows = x0.coords[:, 0].long()
        eps = torch.randn(x0.feats.shape, generator=g, device=self.device)
        x_t, velocity = interpolate(x0.feats, eps, t[rows, None])
        with self.autocast():
            out = self.model(x0.replace(x_t), 1000 * t, cond, concat_cond=other)
        return flow_loss(out.feats, velocity)


class SparseStructureFlow(FlowStage):
    """Noise [B, 8, 4, 4, 4] to the sparse-structure latent; noise levels lean towards noise (logit-normal(1, 1))."""

    name = "sparse_structure_flow"
    model_name = "sparse_structure_flow_model"

    def noise_levels(self, count: int, generator: torch.Generator) -> Tensor:
        return (torch.randn(count, generator=generator, device=self.device) + 1).sigmoid()

    def draw(self) -> Tensor:
        return self.train_bank.draw(self.batch, self.order)

    def _loss(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        cond = self.condition(latents, ids, latents.bank.draw_views(len(ids), generator), generator)
        x0 = latents.structure[ids.to(self.device)]
        t = self.noise_levels(len(ids), generator)
        eps = torch.randn(x0.shape, generator=generator, device=self.device)
        x_t, velocity = interpolate(x0, eps, t[:, None, None, None, None])
        with self.autocast():
            out = self.model(x_t, 1000 * t, cond)
        return flow_loss(out, velocity)


class ShapeFlow(FlowStage):
    """Noise [N, 16] on the occupied cells to the normalised shape latent."""

    name = "shape_flow"
    model_name = "shape_slat_flow_model_64"

    def _loss(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        cond = self.condition(latents, ids, latents.bank.draw_views(len(ids), generator), generator)
        return self._sparse_loss(latents.shape(ids), cond, None, generator)


class TextureFlow(FlowStage):
    """Noise [N, 16] beside the shape latent to the normalised material latent.

    The shape latent is blurred by a little noise: at generation time it comes from another network, not the encoder.
    """

    name = "texture_flow"
    model_name = "tex_slat_flow_model_64"
    shape_noise = 0.15

    def _loss(self, latents: LatentBank, ids: Tensor, generator: torch.Generator) -> Tensor:
        views = latents.bank.draw_views(len(ids), generator)
        texture = latents.texture(ids, views)
        cond = self.condition(latents, ids, views, generator)
        shape = latents.shape(ids)
        blur = self.shape_noise * torch.randn(shape.feats.shape, generator=generator, device=self.device)
        return self._sparse_loss(texture, cond, shape.replace(shape.feats + blur), generator)


FLOWS = {stage.name: stage for stage in (SparseStructureFlow, ShapeFlow, TextureFlow)}
