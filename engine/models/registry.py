# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a network from the name and arguments in a checkpoint's sidecar."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import EspalierError
from .config import config_from
from .dense_vae import (
    SparseStructureDecoder,
    SparseStructureDecoderConfig,
    SparseStructureEncoder,
    SparseStructureEncoderConfig,
)
from .dinov3 import DINOv3Config, DINOv3ViT
from .flow import SLatFlowModel, SparseStructureFlowModel
from .shape_vae import FlexiDualGridVaeDecoder, FlexiDualGridVaeEncoder
from .sparse_vae import (
    ShapeDecoderConfig,
    ShapeEncoderConfig,
    SparseUnetVaeDecoder,
    SparseUnetVaeEncoder,
    TextureDecoderConfig,
    TextureEncoderConfig,
)
from .transformer import FlowConfig

MODELS: dict[str, tuple[type[nn.Module], type]] = {
    "SparseStructureFlowModel": (SparseStructureFlowModel, FlowConfig),
    "SLatFlowModel": (SLatFlowModel, FlowConfig),
    "SparseStructureEncoder": (SparseStructureEncoder, SparseStructureEncoderConfig),
    "SparseStructureDecoder": (SparseStructureDecoder, SparseStructureDecoderConfig),
    "FlexiDualGridVaeEncoder": (FlexiDualGridVaeEncoder, ShapeEncoderConfig),
    "FlexiDualGridVaeDecoder": (FlexiDualGridVaeDecoder, ShapeDecoderConfig),
    "SparseUnetVaeEncoder": (SparseUnetVaeEncoder, TextureEncoderConfig),
    "SparseUnetVaeDecoder": (SparseUnetVaeDecoder, TextureDecoderConfig),
    "DINOv3ViT": (DINOv3ViT, DINOv3Config),
}


def build_model(name: str, args: dict[str, Any]) -> nn.Module:
    """Build a float32 model with fresh weights.

    Raises ``EspalierError("bad_config")`` on an unknown name or arguments that do not fit it.
    """
    if name not in MODELS:
        raise EspalierError("bad_config", f"This model set asks for a network that Espalier does not know: {name}.")
    model, config = MODELS[name]
    return model(config_from(config, args))
