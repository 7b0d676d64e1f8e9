# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder's files in either published layout, settled into the original one.

The original layout is ``config.json`` with the names of engine/models/dinov3.py (spec/models.md 5.2). The timm package
publishes the same network under its own names: queries, keys and values in one matrix; no mask token, which only
training used; and no biases of queries and values where they are zero, as those of the published ViT-L/16 are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import EspalierError
from ..models.dinov3 import DINOv3Config
from .checkpoint import read_json
from .registry import CONFIG, WEIGHTS
from .safetensors_file import SafetensorsFile

TRAINING_DATA = "lvd1689m"
_TIMM_OUTSIDE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.patch_embeddings.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.bias": "patch_embed.proj.bias",
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
}
_TIMM_LAYER = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "attention.o_proj.weight": "attn.proj.weight",
    "attention.o_proj.bias": "attn.proj.bias",
    "layer_scale1.lambda1": "gamma_1",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "mlp.up_proj.weight": "mlp.fc1.weight",
    "mlp.up_proj.bias": "mlp.fc1.bias",
    "mlp.down_proj.weight": "mlp.fc2.weight",
    "mlp.down_proj.bias": "mlp.fc2.bias",
    "layer_scale2.lambda1": "gamma_2",
}
_TIMM_BIASES = {"attention.q_proj.bias": "attn.q_bias", "attention.v_proj.bias": "attn.v_bias"}


def settle(folder: Path, encoder: Mapping[str, Any]) -> None:
    """Bring the encoder in ``folder`` into the original layout: names of the weights, and a config.json.

    Raises EspalierError("bad_weights" or "bad_config") with the file's name for what is no such encoder.
    """
    config, weights = folder / CONFIG, folder / WEIGHTS
    if "reg_token" in SafetensorsFile(weights):
        if config.exists():
            _require_architecture(config)
        converted = weights.with_suffix(".new")
        # No tensor may outlive this line: a mapped file cannot be replaced on Windows.
        save_file(from_timm(SafetensorsFile(weights)), converted)
        converted.replace(weights)
        config.unlink(missing_ok=True)
    if not config.exists():
        config.write_text(json.dumps({"model_type": "dinov3_vit", **encoder}, indent=1), encoding="utf-8")


def from_timm(file: SafetensorsFile) -> dict[str, Tensor]:
    """The tensors of a file in timm's layout under their original names. Raises EspalierError("bad_weights")."""
    layers = 1 + max((int(name.split(".")[1]) for name in file.entries if _is_layer(name)), default=-1)
    used: set[str] = set()

    def read(name: str) -> Tensor:
        if name not in file:
            raise file.problem("is no image encoder in timm's layout.", f"missing: {name}")
        used.add(name)
        return file.read(name)

    tensors = {ours: read(theirs) for ours, theirs in _TIMM_OUTSIDE.items()}
    width = tensors["norm.weight"].numel()
    tensors["embeddings.mask_token"] = torch.zeros(1, 1, width)
    for index in range(layers):
        ours, theirs = f"layer.{index}.", f"blocks.{index}."
        tensors |= {ours + name: read(theirs + source) for name, source in _TIMM_LAYER.items()}
        fused = read(theirs + "attn.qkv.weight")
        if fused.ndim != 2 or fused.shape[0] != 3 * width:
            raise file.problem("has the wrong size for its network.", f"{theirs}attn.qkv.weight: {tuple(fused.shape)}")
        for name, rows in zip("qkv", fused.chunk(3), strict=True):
            tensors[f"{ours}attention.{name}_proj.weight"] = rows.clone()
        for name, source in _TIMM_BIASES.items():
            there = theirs + source in file
            tensors[ours + name] = read(theirs + source) if there else torch.zeros(width, dtype=fused.dtype)
    foreign = sorted(file.entries.keys() - used)
    if foreign:
        raise file.problem("belongs to another network.", f"not expected: {', '.join(foreign[:3])}")
    return tensors


def check_config(folder: Path, encoder: Mapping[str, Any]) -> None:
    """Raise EspalierError("bad_config") unless config.json describes the encoder that is expected."""
    path = folder / CONFIG
    found = DINOv3Config.from_published(read_json(path))
    wanted = DINOv3Config.from_published(dict(encoder))
    names = [field.name for field in fields(DINOv3Config) if field.name != "image_size"]  # which fits any size
    wrong = [name for name in names if getattr(found, name) != getattr(wanted, name)]
    if wrong:
        hint = ", ".join(f"{name} is {getattr(found, name)} instead of {getattr(wanted, name)}" for name in wrong)
        raise EspalierError(
            "bad_config", f"The model's file “{path.name}” describes another image encoder than ViT-L/16.", hint
        )


def _require_architecture(path: Path) -> None:
    """timm's config.json names the architecture and what it was trained on: other sizes and data have other names."""
    config = read_json(path)
    name, details = config.get("architecture"), config.get("pretrained_cfg")
    data = details.get("tag", TRAINING_DATA) if isinstance(details, dict) else TRAINING_DATA
    if not isinstance(name, str) or not name.startswith("vit_large_patch16_dinov3") or data != TRAINING_DATA:
        raise EspalierError(
            "bad_config",
            f"The model's file “{path.name}” names another network than DINOv3 ViT-L/16. Choose another source.",
            f"architecture: {name!r}, trained on {data!r}",
        )


def _is_layer(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "blocks" and len(parts) > 2 and parts[1].isdecimal() and len(parts[1]) < 4
