# SPDX-License-Identifier: GPL-3.0-or-later
"""Last stage of a small model: flow and decoder trained end to end for a single Euler step from noise.

At t = 1 the velocity network predicts eps - E[x0 | condition], so one step of the sampler returns its mean prediction
whatever the noise. A decoder that has only seen latents of its own encoder turns such a mean into torn surfaces;
trained on it, it gives the coherent surface the mean stands for. The shape decoder also sees cells that are too many
or missing, as a sampled structure has them, and learns to leave the superfluous ones empty.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..sparse.sites import Sites
from ..sparse.tensor import SparseTensor
from .autoencoders import AutoencoderStage, subdivision_targets
from .bank import AssetBank, Voxels
from .diagonals import diagonal_loss
from .flows import one_step
from .latents import LatentBank
from .presets import RESOLUTION

EXTRA_CELLS = 0.5
MISSING_CELLS = 0.12
"""Largest shares of neighbouring cells added to, and of occupied cells taken from, a training structure."""
SHAPE_BLUR = 0.3
GENERATED_SHARE = 0.5


class _Refinement(AutoencoderStage):
    flow: nn.Module
    decoder: nn.Module

    def __init__(
        self, latents: LatentBank, held_out: LatentBank, flow: nn.Module, decoder: nn.Module, batch: int, seed: int
    ) -> None:
        super().__init__(latents.bank, held_out.bank, batch, seed)
        self.latents, self.held_out_latents = latents, held_out
        self.flow, self.decoder = flow.train().requires_grad_(True), decoder.train().requires_grad_(True)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.latents.refresh_colours(self.generator, self.order)
        ids = self.latents.draw_tokens(self.batch, self.order)
        return self._loss(self.latents, ids, self.generator)

    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        sums: dict[str, float] = {}
        batches = self.validation_batches(60_000)
        for ids in batches:
            for name, value in self._loss(self.held_out_latents, ids, generator)[1].items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
        return {name: round(value, 4) for name, value in sums.items()}

    @abstractmethod
    def _loss(self, latents: LatentBank, ids: Tensor, g: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch of assets."""


class ShapeRefinement(_Refinement):
    """Image tokens and imperfect cells to O-Voxels."""

    name = "shape_refinement"

    def modules(self) -> dict[str, nn.Module]:
        return {"shape_slat_flow_model_64": self.flow, "shape_slat_decoder": self.decoder}

    def _loss(self, latents: LatentBank, ids: Tensor, g: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        bank = latents.bank
        voxels = bank.voxels(ids)
        sites, rows = imperfect_sites(bank, ids, voxels, g)
        cond = latents.tokens[ids.to(self.device), bank.draw_views(len(ids), g)].float()
        mean, std = latents.shape_moments
        with self.autocast():
            x0 = one_step(self.flow, sites, len(mean), cond, None, g)
            h, subdivision = self.decoder.raw(SparseTensor(x0 * std + mean, sites))
        out, vertices, flags = h.feats.float(), voxels.vertices[rows], voxels.flags[rows]
        vertex = F.mse_loss(2 * out[:, :3].sigmoid() - 0.5, vertices)
        flag = F.binary_cross_entropy_with_logits(out[:, 3:6], flags.float())
        targets = subdivision_targets(SparseTensor(x0, sites))
        children = [
            F.binary_cross_entropy_with_logits(s.feats.float(), t.float())
            for s, t in zip(subdivision, targets, strict=True)
        ]
        split = diagonal_loss(out[:, 6], vertices, flags, h.sites)
        values = {"vertex": vertex, "flag": flag, "split": split}
        values |= {f"subdivision_{level}": value for level, value in enumerate(children)}
        return flag + 6 * vertex + 2 * sum(children) + 0.2 * split, values


class TextureRefinement(_Refinement):
    """Image tokens and a shape latent to voxel materials.

    Half of the batches stand on imperfect cells with the latent that ``shape_flow`` reads from the image, as generation
    gives them; the other half on true cells with the blurred true latent, as texturing a mesh does.
    """

    name = "texture_refinement"

    def __init__(
        self,
        latents: LatentBank,
        held_out: LatentBank,
        flow: nn.Module,
        decoder: nn.Module,
        batch: int,
        seed: int,
        shape_flow: nn.Module,
    ) -> None:
        super().__init__(latents, held_out, flow, decoder, batch, seed)
        self.shape_flow = shape_flow

    def modules(self) -> dict[str, nn.Module]:
        return {"tex_slat_flow_model_64": self.flow, "tex_slat_decoder": self.decoder}

    def _loss(self, latents: LatentBank, ids: Tensor, g: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        bank = latents.bank
        voxels, views = bank.voxels(ids), bank.draw_views(len(ids), g)
        attributes = bank.attributes(voxels, latents.materials[views % latents.colourings, ids.to(self.device)])
        cond = latents.tokens[ids.to(self.device), views].float()
        mean, std = latents.texture_mean, latents.texture_std
        with self.autocast():
            if torch.rand((), generator=g, device=self.device) < GENERATED_SHARE:
                sites, rows = imperfect_sites(bank, ids, voxels, g)
                attributes = attributes[rows]
                with torch.no_grad():
                    shape = one_step(self.shape_flow, sites, len(latents.shape_moments[0]), cond, None, g)
            else:
                sites = Sites(voxels.coords).coarsen().coarsen()
                shape = latents.shape(ids).feats
                shape = shape + SHAPE_BLUR * torch.randn(shape.shape, generator=g, device=self.device)
            x0 = one_step(self.flow, sites, len(mean), cond, SparseTensor(shape, sites), g)
            out = self.decoder(SparseTensor(x0 * std + mean, sites)).feats.float()
        error = out - (2 * attributes - 1)
        parts = error.detach().abs().mean(0) / 2
        values = {"rgb": parts[:3].mean(), "metallic": parts[3], "roughness": parts[4]}
        return 2 * error.abs().mean() + error.square().mean(), values


def imperfect_sites(bank: AssetBank, ids: Tensor, voxels: Voxels, generator: torch.Generator) -> tuple[Sites, Tensor]:
    """Return disturbed latent cells whose memory holds the true voxels below them, and the rows of those voxels.

    Cells beside occupied ones are added and occupied ones left out, each asset with its own share; an added cell has no
    children. The rows say which of ``voxels`` remain, in the order of the finest sites.
    """
    solid = bank.occupancy(ids)
    near = F.max_pool3d(solid, 3, 1, 1) - solid
    share = torch.rand(len(ids), 2, 1, 1, 1, generator=generator, device=bank.device)
    draw = torch.rand(solid.shape, generator=generator, device=bank.device)[:, 0]
    added = (near[:, 0] > 0) & (draw < EXTRA_CELLS * share[:, 0])
    kept = (solid[:, 0] > 0) & (draw >= MISSING_CELLS * share[:, 1])
    sites = Sites((added | kept).nonzero().int())
    fine = _grid(voxels.coords, RESOLUTION, len(ids))
    middle = _grid(torch.cat([voxels.coords[:, :1], voxels.coords[:, 1:] // 2], 1), RESOLUTION // 2, len(ids))
    sites.finer = sites.subdivide(_children(sites.coords, middle >= 0))
    sites.finer.fine.finer = sites.finer.fine.subdivide(_children(sites.finer.fine.coords, fine >= 0))
    b, x, y, z = sites.finer.fine.finer.fine.coords.long().unbind(1)
    return sites, fine[b, x, y, z]


def _grid(coords: Tensor, side: int, count: int) -> Tensor:
    """Return a dense table [count, side, side, side] of row numbers, -1 where there is no row."""
    table = torch.full((count, side, side, side), -1, dtype=torch.int64, device=coords.device)
    b, x, y, z = coords.long().unbind(1)
    table[b, x, y, z] = torch.arange(len(coords), device=coords.device)
    return table


def _children(coords: Tensor, occupied: Tensor) -> Tensor:
    """Return which of the eight children of every row are occupied, bool [N, 8]; child = x + 2y + 4z."""
    b, x, y, z = coords.long().unbind(1)
    parts = [occupied[b, 2 * x + (k & 1), 2 * y + (k >> 1 & 1), 2 * z + (k >> 2 & 1)] for k in range(8)]
    return torch.stack(parts, 1)
