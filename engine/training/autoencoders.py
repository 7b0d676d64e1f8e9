# SPDX-License-Identifier: GPL-3.0-or-later
"""The three autoencoders: sparse structure, shape and material, with teacher-forced subdivision in the sparse ones."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..models.registry import build_model
from ..models.shape_vae import shape_features
from ..models.sparse_vae import init_child_tied
from ..sparse.tensor import SparseTensor
from .bank import AssetBank
from .diagonals import diagonal_loss
from .losses import dice_loss, kl_divergence, sample_posterior, voxel_iou
from .presets import LATENT_CHANNELS, NETWORKS

INITIAL_LOGVAR = -5.0
"""Start at sigma = 0.08: unit posterior noise over a small mean delays the finest subdivision by hundreds of steps."""


def build(name: str, device: torch.device) -> nn.Module:
    """Build one of ``presets.NETWORKS`` with fresh weights."""
    return build_model(*NETWORKS[name]).to(device)


def trained(name: str, folder: Path, device: torch.device) -> nn.Module:
    """Build a network of the preset and load the averaged weights a stage left in ``folder``."""
    module = build(name, device)
    module.load_state_dict(load_file(folder / f"{name}.safetensors", device=str(device)))
    return module.eval().requires_grad_(False)


class AutoencoderStage:
    """What the three stages share: a bank, a generator, automatic bfloat16 and a fixed validation subset."""

    name: str

    def __init__(self, train: AssetBank, held_out: AssetBank, batch: int, seed: int) -> None:
        self.train_bank, self.held_out, self.batch = train, held_out, batch
        self.device = train.device
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.order = torch.Generator().manual_seed(seed)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Matrix products in bfloat16, reductions in float32.

        On a CPU attention is spelled out: at these lengths the fused kernel's bfloat16 backward is slower.
        """
        plain = sdpa_kernel([SDPBackend.MATH]) if self.device.type == "cpu" else nullcontext()
        with plain, torch.autocast(self.device.type, dtype=torch.bfloat16):
            yield

    def finish(self, folder: Path) -> None:
        """Leave in ``folder`` what later stages need beside the weights; nothing by default."""

    def validation_batches(self, voxels: int) -> list[Tensor]:
        """Split the held-out assets into index batches of about ``voxels`` voxels."""
        return self.held_out.split(torch.arange(self.held_out.count), voxels)


class SparseStructureVAE(AutoencoderStage):
    """Occupancy [B, 1, 16, 16, 16] to a latent [B, 8, 4, 4, 4] and back."""

    name = "sparse_structure_vae"

    def __init__(self, train: AssetBank, held_out: AssetBank, batch: int, seed: int) -> None:
        super().__init__(train, held_out, batch, seed)
        self.encoder = build("sparse_structure_encoder", self.device)
        self.decoder = build("sparse_structure_decoder", self.device)

    def modules(self) -> dict[str, nn.Module]:
        return {"sparse_structure_encoder": self.encoder, "sparse_structure_decoder": self.decoder}

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        ids = self.train_bank.draw(self.batch, self.order)
        x = self.train_bank.occupancy(ids)
        with self.autocast():
            _, mean, logvar = self.encoder(x, return_raw=True)
            logits = self.decoder(sample_posterior(mean, logvar, self.generator)).float()
        bce = F.binary_cross_entropy_with_logits(logits, x)
        dice, kl = dice_loss(logits, x), kl_divergence(mean, logvar)
        iou = voxel_iou(logits.detach() > 0, x > 0.5)
        return bce + dice + 1e-4 * kl, {"bce": bce, "dice": dice, "kl": kl, "iou": iou}

    def validate(self) -> dict[str, float]:
        x = self.held_out.occupancy(torch.arange(self.held_out.count))
        logits = self.decoder(self.encoder(x))
        return {"iou": round(voxel_iou(logits > 0, x > 0.5).item(), 4)}

    def finish(self, folder: Path) -> None:
        """Give the latent unit deviation per channel: the flow works on it without a normalisation."""
        encoder = trained("sparse_structure_encoder", folder, self.device)
        decoder = trained("sparse_structure_decoder", folder, self.device)
        with torch.no_grad():
            parts = torch.arange(min(self.train_bank.count, 2048)).split(256)
            latents = torch.cat([encoder(self.train_bank.occupancy(ids)) for ids in parts])
        fold_scale(encoder, decoder, latents.std(dim=(0, 2, 3, 4)))
        for name, module in (("sparse_structure_encoder", encoder), ("sparse_structure_decoder", decoder)):
            save_file(module.state_dict(), folder / f"{name}.safetensors")


def fold_scale(encoder: nn.Module, decoder: nn.Module, scale: Tensor) -> None:
    """Divide the latent by ``scale`` [C] per channel, in the weights.

    Exact: the encoder's last and the decoder's first layer are convolutions, and scaling commutes with zero padding.
    """
    with torch.no_grad():
        last, channels = encoder.out_layer[2], len(scale)
        last.weight[:channels] /= scale.view(-1, 1, 1, 1, 1)
        last.bias[:channels] /= scale
        decoder.input_layer.weight *= scale.view(1, -1, 1, 1, 1)


class _SparseAutoencoder(AutoencoderStage):
    encoder: nn.Module
    decoder: nn.Module
    encoder_name: str

    @abstractmethod
    def encoder_input(self, ids: Tensor) -> SparseTensor:
        """Return the encoder's input of a batch."""

    def finish(self, folder: Path) -> None:
        """Write mean and deviation per latent channel, which the flows and the pipeline normalise with."""
        encoder = trained(self.encoder_name, folder, self.device)
        ids = torch.arange(min(self.train_bank.count, 1024))
        with torch.no_grad():
            batches = self.train_bank.split(ids, 60_000)
            feats = torch.cat([encoder(self.encoder_input(batch)).feats.float() for batch in batches])
        content = {"mean": feats.mean(0).cpu().tolist(), "std": feats.std(0).cpu().tolist()}
        (folder / "normalization.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    def start_quiet(self) -> None:
        """Begin with little posterior noise."""
        with torch.no_grad():
            self.encoder.to_latent.bias[LATENT_CHANNELS:] = INITIAL_LOGVAR

    def encode(self, x: SparseTensor) -> tuple[SparseTensor, Tensor, Tensor]:
        """Return the sampled latent, still carrying the fine coordinates for teacher forcing, and its moments."""
        z, mean, logvar = self.encoder(x, return_raw=True)
        return z.replace(sample_posterior(mean, logvar, self.generator)), mean, logvar


def subdivision_targets(z: SparseTensor) -> list[Tensor]:
    """Return which children exist at every level [N, 8], coarse to fine, from what the encoder remembered."""
    targets, sites = [], z.sites
    while sites.finer is not None:
        targets.append(sites.finer.mask(len(sites)))
        sites = sites.finer.fine
    return targets


class ShapeVAE(_SparseAutoencoder):
    """O-Voxels (dual vertex, three flags) to a structured latent and back, with the subdivision of every level."""

    name = "shape_vae"
    encoder_name = "shape_slat_encoder"

    def __init__(self, train: AssetBank, held_out: AssetBank, batch: int, seed: int) -> None:
        super().__init__(train, held_out, batch, seed)
        self.encoder = build("shape_slat_encoder", self.device)
        self.decoder = build("shape_slat_decoder", self.device)
        self.start_quiet()

    def modules(self) -> dict[str, nn.Module]:
        return {"shape_slat_encoder": self.encoder, "shape_slat_decoder": self.decoder}

    def encoder_input(self, ids: Tensor) -> SparseTensor:
        voxels = self.train_bank.voxels(ids)
        return SparseTensor(shape_features(voxels.vertices, voxels.flags), voxels.coords)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        voxels = self.train_bank.voxels(self.train_bank.draw_voxels(self.batch, self.order))
        x = SparseTensor(shape_features(voxels.vertices, voxels.flags), voxels.coords)
        with self.autocast():
            z, mean, logvar = self.encode(x)
            h, subdivision = self.decoder.raw(z)
        out = h.feats.float()
        vertex = F.mse_loss(2 * out[:, :3].sigmoid() - 0.5, voxels.vertices)
        flag = F.binary_cross_entropy_with_logits(out[:, 3:6], voxels.flags.float())
        targets = subdivision_targets(z)
        children = [
            F.binary_cross_entropy_with_logits(s.feats.float(), t.float())
            for s, t in zip(subdivision, targets, strict=True)
        ]
        kl = kl_divergence(mean, logvar)
        split = diagonal_loss(out[:, 6], voxels.vertices, voxels.flags, h.sites)
        weight = 4.0 if progress < 0.4 else 10.0
        loss = flag + weight * vertex + sum(children) + 0.2 * split + 1e-6 * kl
        values = {"vertex": vertex, "flag": flag, "split": split, "kl": kl}
        return loss, values | {f"subdivision_{i}": c for i, c in enumerate(children)}

    def validate(self) -> dict[str, float]:
        sums = torch.zeros(5, dtype=torch.float64)
        for ids in self.validation_batches(60_000):
            voxels = self.held_out.voxels(ids)
            z = self.encoder(SparseTensor(shape_features(voxels.vertices, voxels.flags), voxels.coords))
            forced, _ = self.decoder.raw(z)
            free, _ = self.decoder.raw(z.fresh())
            out = forced.feats
            vertex = (2 * out[:, :3].sigmoid() - 0.5 - voxels.vertices).square().mean()
            flag = ((out[:, 3:6] > 0) == voxels.flags).float().mean()
            truth, found = _keys(voxels.coords), _keys(free.coords)
            shared = torch.isin(truth, found).sum()
            iou = shared / (len(truth) + len(found) - shared)
            sums += torch.tensor([1.0, vertex, flag, iou, len(truth)], dtype=torch.float64)
        vertex, flag, iou = (sums[1:4] / sums[0]).tolist()
        return {"vertex_mse": round(vertex, 5), "flag_accuracy": round(flag, 4), "free_iou": round(iou, 4)}


class TextureVAE(_SparseAutoencoder):
    """Voxel materials (six attributes) to a structured latent and back on the given structure."""

    name = "texture_vae"
    encoder_name = "tex_slat_encoder"

    def __init__(self, train: AssetBank, held_out: AssetBank, batch: int, seed: int) -> None:
        super().__init__(train, held_out, batch, seed)
        self.encoder = build("tex_slat_encoder", self.device)
        self.decoder = build("tex_slat_decoder", self.device)
        init_child_tied(self.encoder)
        init_child_tied(self.decoder)
        self.start_quiet()

    def modules(self) -> dict[str, nn.Module]:
        return {"tex_slat_encoder": self.encoder, "tex_slat_decoder": self.decoder}

    def encoder_input(self, ids: Tensor) -> SparseTensor:
        voxels = self.train_bank.voxels(ids)
        materials = self.train_bank.draw_materials(len(ids), self.generator)
        return SparseTensor(self.train_bank.attributes(voxels, materials) * 2 - 1, voxels.coords)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        bank = self.train_bank
        ids = bank.draw_voxels(self.batch, self.order)
        voxels = bank.voxels(ids)
        attributes = bank.attributes(voxels, bank.draw_materials(len(ids), self.generator))
        attributes = bank.recolour_half(voxels, attributes, self.generator) * 2 - 1
        with self.autocast():
            z, mean, logvar = self.encode(SparseTensor(attributes, voxels.coords))
            out = self.decoder(z).feats.float()
        error = out - attributes
        absolute, square, kl = error.abs().mean(), error.square().mean(), kl_divergence(mean, logvar)
        rgb = error[:, :3].detach().abs().mean() / 2
        chroma = (error[:, 1] - error[:, 2]).detach().abs().mean() / 2
        return absolute + square + 1e-6 * kl, {"l1": absolute, "kl": kl, "rgb": rgb, "green_blue": chroma}

    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        total, count = torch.zeros(6, device=self.device, dtype=torch.float64), 0
        for ids in self.validation_batches(60_000):
            voxels = self.held_out.voxels(ids)
            attributes = self.held_out.attributes(voxels, self.held_out.draw_materials(len(ids), generator))
            z = self.encoder(SparseTensor(attributes * 2 - 1, voxels.coords))
            total += (self.decoder(z).feats * 0.5 + 0.5 - attributes).abs().sum(0).double()
            count += len(attributes)
        mean = (total / count).tolist()
        return {
            "rgb": round(sum(mean[:3]) / 3, 4),
            "metallic": round(mean[3], 4),
            "roughness": round(mean[4], 4),
            "alpha": round(mean[5], 4),
        }


def _keys(coords: Tensor) -> Tensor:
    b, x, y, z = coords.long().unbind(1)
    return ((b * 1024 + x) * 1024 + y) * 1024 + z
