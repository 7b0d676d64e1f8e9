# SPDX-License-Identifier: GPL-3.0-or-later
"""The DINOv3 image encoder (spec/models.md section 5.2), with the names of the published files."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import attend
from .config import config_from, require
from .layers import final_norm


@dataclass(frozen=True)
class DINOv3Config:
    """The defaults are ViT-L/16."""

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_register_tokens: int = 4
    patch_size: int = 16
    image_size: int = 512
    rope_theta: float = 100.0
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        head_dim, rest = divmod(self.hidden_size, self.num_attention_heads)
        require(rest == 0 and head_dim % 4 == 0, "image encoder", "channels per head must be a multiple of 4")

    @classmethod
    def from_published(cls, config: dict[str, Any]) -> DINOv3Config:
        """Read the ``config.json`` that lies beside the published weights; other DINOv3 variants are refused."""
        expected = {"use_gated_mlp": False, "hidden_act": "gelu", "key_bias": False, "query_bias": True}
        for name, value in expected.items():
            require(config.get(name, value) == value, "image encoder", f"{name}={config.get(name)!r}")
        names = {field.name for field in fields(cls)}
        return config_from(cls, {name: value for name, value in config.items() if name in names})


class Embeddings(nn.Module):
    """Class token, register tokens, then the patches in row-major order."""

    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))  # in the files; masking is a training device
        self.register_tokens = nn.Parameter(torch.randn(1, config.num_register_tokens, width) * 0.02)
        self.patch_embeddings = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embeddings(image).flatten(2).transpose(1, 2)
        prefix = torch.cat([self.cls_token, self.register_tokens], 1).expand(len(image), -1, -1)
        return torch.cat([prefix, patches], 1)


def patch_rotations(
    rows: int, columns: int, head_dim: int, theta: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines [rows * columns, head_dim] of the patch centres, which span [-1, 1] at every size."""
    quarter = head_dim // 4
    frequencies = 1 / theta ** torch.arange(0, 1, 1 / quarter, dtype=torch.float32, device=device)
    y = 2 * (torch.arange(rows, dtype=torch.float32, device=device) + 0.5) / rows - 1
    x = 2 * (torch.arange(columns, dtype=torch.float32, device=device) + 0.5) / columns - 1
    centres = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).view(-1, 2)
    angles = (2 * math.pi * centres[:, :, None] * frequencies).flatten(1).tile(2)
    return angles.cos(), angles.sin()


def _rotate_patches(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the patch tokens of [B, tokens, heads, head_dim]; class and register tokens come first and stay."""
    prefix, patches = x.split([x.shape[1] - len(cosine), len(cosine)], 1)
    left, right = patches.chunk(2, -1)
    turned = patches * cosine.unsqueeze(1) + torch.cat([-right, left], -1) * sine.unsqueeze(1)
    return torch.cat([prefix, turned.to(x.dtype)], 1)


class Attention(nn.Module):
    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotations: tuple[Tensor, Tensor]) -> Tensor:
        layers = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)) for layer in layers)
        return self.o_proj(attend(_rotate_patches(q, *rotations), _rotate_patches(k, *rotations), v, None))


class FeedForward(nn.Module):
    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.gelu(self.up_proj(x)))


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.lambda1


class Layer(nn.Module):
    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.layer_scale1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = FeedForward(config)
        self.layer_scale2 = LayerScale(width)

    def forward(self, x: Tensor, rotations: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.layer_scale1(self.attention(self.norm1(x), rotations))
        return x + self.layer_scale2(self.mlp(self.norm2(x)))


class DINOv3ViT(nn.Module):
    """Image features for the flow models: the model's own last norm is replaced by one without affine."""

    def __init__(self, config: DINOv3Config) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layer = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)  # in the files, not applied here
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """ImageNet-normalised image [B, 3, H, W], sides multiples of the patch -> [B, 1 + registers + patches, D]."""
        patch = self.config.patch_size
        rows, columns = image.shape[2] // patch, image.shape[3] // patch
        head_dim = self.config.hidden_size // self.config.num_attention_heads
        rotations = patch_rotations(rows, columns, head_dim, self.config.rope_theta, image.device)
        x = self.embeddings(image)
        for layer in self.layer:
            x = layer(x, rotations)
        return final_norm(x)
