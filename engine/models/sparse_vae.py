# SPDX-License-Identifier: GPL-3.0-or-later
"""The sparse compression autoencoder (spec/models.md section 3.8): materials directly, shape through ``shape_vae``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..sparse import SparseTensor, chunk_rows, row_wise, wants_gradient
from .config import require
from .layers import Torso, final_norm, xavier_linears_, zero_
from .sparse_blocks import (
    Shortcut,
    SparseConvNeXtBlock3d,
    SparseResBlockC2S3d,
    SparseResBlockDownsample3d,
    SparseResBlockS2C3d,
    SparseResBlockUpsample3d,
    tie_children_,
)

BLOCKS = {"SparseConvNeXtBlock3d"}
DOWN_BLOCKS = {"SparseResBlockS2C3d", "SparseResBlockDownsample3d"}
UP_BLOCKS = {"SparseResBlockC2S3d", "SparseResBlockUpsample3d"}


def _check_levels(config: ShapeEncoderConfig | ShapeDecoderConfig, change: tuple[str, ...], known: set[str]) -> None:
    levels = len(config.model_channels)
    same = levels == len(config.num_blocks) == len(config.block_type or config.num_blocks)
    require(levels > 0, "autoencoder", "no levels")
    require(same and len(change) in (0, levels - 1), "autoencoder", "lists of different lengths")
    require(set(config.block_type) <= BLOCKS and set(change) <= known, "autoencoder", "unknown block type")
    require(config.shortcut in ("consecutive", "strided"), "autoencoder", f"shortcut={config.shortcut!r}")


@dataclass(frozen=True)
class ShapeEncoderConfig:
    """Arguments of an encoder, finest level first. Empty block lists mean the released block types.

    ``block_args`` holds memory switches of training that do not change results; ``use_fp16`` says that the weights were
    made for a float16 torso (models are built in float32); ``shortcut`` is ours.
    """

    model_channels: tuple[int, ...]
    latent_channels: int
    num_blocks: tuple[int, ...]
    block_type: tuple[str, ...] = ()
    down_block_type: tuple[str, ...] = ()
    block_args: tuple[Mapping[str, bool], ...] = ()
    use_fp16: bool = False
    shortcut: Shortcut = "consecutive"

    def __post_init__(self) -> None:
        _check_levels(self, self.down_block_type, DOWN_BLOCKS)


@dataclass(frozen=True)
class TextureEncoderConfig(ShapeEncoderConfig):
    in_channels: int = 6


@dataclass(frozen=True)
class ShapeDecoderConfig:
    """Arguments of a decoder, coarsest level first; see ``ShapeEncoderConfig``. ``resolution`` is informative."""

    model_channels: tuple[int, ...]
    latent_channels: int
    num_blocks: tuple[int, ...]
    block_type: tuple[str, ...] = ()
    up_block_type: tuple[str, ...] = ()
    block_args: tuple[Mapping[str, bool], ...] = ()
    use_fp16: bool = False
    shortcut: Shortcut = "consecutive"
    resolution: int = 256
    voxel_margin: float = 0.5

    def __post_init__(self) -> None:
        _check_levels(self, self.up_block_type, UP_BLOCKS)


@dataclass(frozen=True)
class TextureDecoderConfig(ShapeDecoderConfig):
    out_channels: int = 6
    pred_subdiv: bool = False


class SparseEncoder(Torso):
    """Voxel features -> latent at 1 / 2^(levels - 1) of the resolution, remembering the voxels of every level."""

    def __init__(self, config: ShapeEncoderConfig, in_channels: int) -> None:
        super().__init__()
        self.config = config
        widths = config.model_channels
        self.input_layer = nn.Linear(in_channels, widths[0])
        self.to_latent = nn.Linear(widths[-1], 2 * config.latent_channels)
        self.blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            blocks: list[nn.Module] = [SparseConvNeXtBlock3d(width) for _ in range(config.num_blocks[level])]
            if level < len(widths) - 1:
                pooled = config.down_block_type and config.down_block_type[level] == "SparseResBlockDownsample3d"
                blocks.append(
                    SparseResBlockDownsample3d(width, widths[level + 1])
                    if pooled
                    else SparseResBlockS2C3d(width, widths[level + 1], config.shortcut)
                )
            self.blocks.append(nn.ModuleList(blocks))
        initialise(self)

    def forward(
        self, x: SparseTensor, sample_posterior: bool = False, return_raw: bool = False
    ) -> SparseTensor | tuple[SparseTensor, Tensor, Tensor]:
        """Return the latent (mean unless ``sample_posterior``), with mean and log-variance [N, C] if ``return_raw``."""
        h = x.replace(_by_chunks(lambda feats: self.input_layer(feats).to(self.dtype), x.feats, self.input_layer))
        for level in self.blocks:
            for block in level:
                h = block(h)
        mean, logvar = self.to_latent(final_norm(h.feats)).chunk(2, 1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean) if sample_posterior else mean
        return (h.replace(z), mean, logvar) if return_raw else h.replace(z)


class SparseDecoder(Torso):
    """Latent -> voxel features, choosing the children of every level."""

    def __init__(self, config: ShapeDecoderConfig, out_channels: int, pred_subdiv: bool) -> None:
        super().__init__()
        self.config = config
        widths = config.model_channels
        self.output_layer = nn.Linear(widths[-1], out_channels)
        self.from_latent = nn.Linear(config.latent_channels, widths[0])
        self.blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            blocks: list[nn.Module] = [SparseConvNeXtBlock3d(width) for _ in range(config.num_blocks[level])]
            if level < len(widths) - 1:
                copied = config.up_block_type and config.up_block_type[level] == "SparseResBlockUpsample3d"
                blocks.append(
                    SparseResBlockUpsample3d(width, widths[level + 1], pred_subdiv)
                    if copied
                    else SparseResBlockC2S3d(width, widths[level + 1], pred_subdiv, config.shortcut)
                )
            self.blocks.append(nn.ModuleList(blocks))
        initialise(self)

    @property
    def levels(self) -> int:
        """Number of doublings of the resolution."""
        return len(self.blocks) - 1

    def grow(
        self, z: SparseTensor, times: int, guide_subs: list[SparseTensor] | None = None
    ) -> tuple[SparseTensor, list[SparseTensor]]:
        """Run the first ``times`` levels, each with its up block; return the finer features and the logits of each."""
        h = z.replace(self.from_latent(z.feats).to(self.dtype))
        logits = []
        for index, level in enumerate(list(self.blocks)[:times]):
            for block in list(level)[:-1]:
                h = block(h)
            h, level_logits = level[-1](h, None if guide_subs is None else guide_subs[index].feats)
            logits += [] if level_logits is None else [level_logits]
        return h, logits

    def raw(
        self, z: SparseTensor, guide_subs: list[SparseTensor] | None = None
    ) -> tuple[SparseTensor, list[SparseTensor]]:
        """Output features on the finest voxels, float32, and the subdivision logits [N, 8] on the input of each level.

        A latent that still remembers its encoder's voxels is decoded onto exactly those, in their order; ``z.fresh()``
        is not.
        Raises ``EspalierError("empty_shape")`` when no voxel is left.
        """
        h, logits = self.grow(z, self.levels, guide_subs)
        for block in self.blocks[-1]:
            h = block(h)
        out = _by_chunks(lambda feats: self.output_layer(final_norm(feats)), h.feats, self.output_layer)
        return h.replace(out), logits


class SparseUnetVaeEncoder(SparseEncoder):
    """Materials (base colour, metallic, roughness, alpha in [-1, 1]) -> latent."""

    def __init__(self, config: TextureEncoderConfig) -> None:
        super().__init__(config, config.in_channels)


class SparseUnetVaeDecoder(SparseDecoder):
    """Latent -> materials in [-1, 1] (not clamped), on the voxels that the shape decoder chose."""

    config: TextureDecoderConfig

    def __init__(self, config: TextureDecoderConfig) -> None:
        super().__init__(config, config.out_channels, config.pred_subdiv)

    def forward(self, z: SparseTensor, guide_subs: list[SparseTensor] | None = None) -> SparseTensor:
        """``guide_subs``: the shape decoder's subdivision logits; not needed when z remembers its encoder's voxels.

        Raises ``ValueError`` when neither says which voxels to make, or when guides are given to a predicting decoder.
        """
        if guide_subs is not None and self.config.pred_subdiv:
            raise ValueError("a decoder that predicts its subdivision cannot be guided")
        return self.raw(z, guide_subs)[0]


def _by_chunks(function: Callable[[Tensor], Tensor], feats: Tensor, layer: nn.Linear) -> Tensor:
    """An end layer on the finest voxels, in chunks as long as those of the convolutions of its level."""
    if wants_gradient(feats, layer.weight):
        return function(feats)
    width = max(layer.in_features, layer.out_features)
    return row_wise(function, feats, size=chunk_rows(27 * width, feats.device))


def initialise(model: SparseEncoder | SparseDecoder) -> None:
    """Xavier linears; the last linear of each ConvNeXt block zero, so that every residual block is its shortcut."""
    xavier_linears_(model)
    for module in model.modules():
        if isinstance(module, SparseConvNeXtBlock3d):
            zero_(module.mlp[2])


def init_child_tied(model: SparseEncoder | SparseDecoder) -> None:
    """Start a strided autoencoder so that attributes pass from input to output untrained (spec/starter.md section 3b).

    Encoder: orthogonal input layer and latent mean. Decoder: one child's weights for all children of every up block,
    and an orthogonal latent projection for one child repeated for all. Nothing stays tied afterwards.
    """
    with torch.no_grad():
        if isinstance(model, SparseEncoder):
            nn.init.orthogonal_(model.input_layer.weight)
            nn.init.orthogonal_(model.to_latent.weight[: model.config.latent_channels])
            return
        child = model.from_latent.weight[: model.from_latent.out_features // 8]
        nn.init.orthogonal_(child)
        model.from_latent.weight.copy_(child.repeat(8, 1))
        for block in model.modules():
            if isinstance(block, SparseResBlockC2S3d):
                tie_children_(block)
