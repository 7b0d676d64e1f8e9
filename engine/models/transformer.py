# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion transformer behind all flow models (spec/models.md section 2), on tokens [B, L, C]."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .attention import Attended, CrossAttention, SelfAttention
from .config import DTYPES, require
from .layers import LayerNorm32, Linear, Torso, final_norm


@dataclass(frozen=True)
class FlowConfig:
    """Arguments of a flow model. ``dtype`` is what the weights were made for; models are built in float32.

    ``pe_mode`` is ``rope`` as released; ``rope+ape`` (ours, for small models) also adds a learned projection of the
    phases to the tokens, so that absolute position need not be found through attention.
    """

    resolution: int
    in_channels: int
    out_channels: int
    model_channels: int
    cond_channels: int
    num_blocks: int
    num_heads: int
    mlp_ratio: float = 4.0
    pe_mode: str = "rope"
    share_mod: bool = True
    initialization: str = "scaled"
    qk_rms_norm: bool = True
    qk_rms_norm_cross: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        require(self.pe_mode in ("rope", "rope+ape"), "flow model", f"pe_mode={self.pe_mode!r}")
        require(self.share_mod, "flow model", "share_mod=false")
        require(self.initialization == "scaled", "flow model", f"initialization={self.initialization!r}")
        require(self.model_channels % (2 * self.num_heads) == 0, "flow model", "odd channels per head")
        require(self.dtype in DTYPES, "flow model", f"dtype={self.dtype!r}")


@dataclass(frozen=True)
class Condition:
    """What every block's cross-attention takes from the condition, computed once for all steps of a sampler."""

    blocks: list[Attended]

    def beside(self, nothing: Condition) -> Condition:
        """For both sides of guidance at once: one sample with this condition, and the same sample with ``nothing``."""
        pairs = zip(self.blocks, nothing.blocks, strict=True)
        return Condition([replace(attended, nothing=without.nothing) for attended, without in pairs])


class TimestepEmbedder(nn.Module):
    """Cosine then sine features of t (already times 1000), then a two-layer network. Float32."""

    FREQUENCIES = 128

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * self.FREQUENCIES, channels), nn.SiLU(), nn.Linear(channels, channels))
        steps = torch.arange(self.FREQUENCIES, dtype=torch.float32, device="cpu")  # also while sketched on "meta"
        frequencies = torch.exp(-math.log(10000) * steps / self.FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t.float()[:, None] * self.frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1))


class FeedForward(nn.Module):
    """Linear, GELU (tanh form), Linear."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        hidden = int(channels * ratio)
        self.mlp = nn.Sequential(Linear(channels, hidden), nn.GELU(approximate="tanh"), Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class TransformerBlock(nn.Module):
    """Modulated self-attention, cross-attention, modulated feed-forward."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        channels, heads = config.model_channels, config.num_heads
        self.norm1 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.norm2 = LayerNorm32(channels, eps=1e-6)
        self.norm3 = LayerNorm32(channels, eps=1e-6, elementwise_affine=False)
        self.self_attn = SelfAttention(channels, heads, config.qk_rms_norm)
        self.cross_attn = CrossAttention(channels, config.cond_channels, heads, config.qk_rms_norm_cross)
        self.mlp = FeedForward(channels, config.mlp_ratio)
        self.modulation = nn.Parameter(torch.randn(6 * channels) / math.sqrt(channels))

    def forward(
        self,
        x: Tensor,
        shared_modulation: Tensor,
        phases: Tensor,
        token_mask: Tensor | None,
        attended: Attended,
    ) -> Tensor:
        """x [B, L, C], shared_modulation [B or 1, 6C]. Twice the batch comes out where cross-attention adds a half."""
        modulation = (self.modulation + shared_modulation).to(shared_modulation.dtype).unsqueeze(1)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation.chunk(6, -1)
        h = self.norm1.modulated(x, scale_msa, shift_msa)
        x = x + self.self_attn(h, phases, token_mask) * gate_msa
        x = x + self.cross_attn(self.norm2(x), attended)
        h = self.norm3.modulated(x, scale_mlp, shift_mlp)
        return x + self.mlp(h) * gate_mlp


class FlowTransformer(Torso):
    """Maps noisy tokens, a time and condition tokens to velocities; the two flow models arrange the tokens."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.model_channels
        self.t_embedder = TimestepEmbedder(channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 6 * channels))
        self.input_layer = nn.Linear(config.in_channels, channels)
        self.blocks = nn.ModuleList([TransformerBlock(config) for _ in range(config.num_blocks)])
        self.out_layer = nn.Linear(channels, config.out_channels)
        if config.pe_mode == "rope+ape":
            self.position_layer = nn.Linear(self.head_dim, channels)
        self.reset_parameters()

    @property
    def head_dim(self) -> int:
        return self.config.model_channels // self.config.num_heads

    def reset_parameters(self) -> None:
        """The released "scaled" initialisation (spec/models.md section 2.6): a fresh model returns exactly zero."""
        channels = self.config.model_channels
        branches = [(block.self_attn.to_out, block.cross_attn.to_out, block.mlp.mlp[2]) for block in self.blocks]
        std = {layer: 1 / math.sqrt(5 * len(self.blocks) * channels) for layers in branches for layer in layers}
        std[self.input_layer] = 1 / math.sqrt(self.config.in_channels)
        if self.config.pe_mode == "rope+ape":
            std[self.position_layer] = 1 / math.sqrt(self.head_dim)
        std |= {self.t_embedder.mlp[0]: 0.02, self.t_embedder.mlp[2]: 0.02}
        std |= {self.adaLN_modulation[1]: 0.0, self.out_layer: 0.0}
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=std.get(module, math.sqrt(2 / (5 * channels))))
                nn.init.zeros_(module.bias)

    def condition(self, cond: Tensor | list[Tensor] | Condition) -> Condition:
        """Prepare condition tokens [B, M, D], or a list of [M_b, D] of different lengths, for all blocks."""
        if isinstance(cond, Condition):
            return cond
        mask = None
        if isinstance(cond, list):
            lengths = torch.tensor([len(tokens) for tokens in cond])
            cond = nn.utils.rnn.pad_sequence(cond, batch_first=True)
            if len(set(lengths.tolist())) > 1:
                mask = (torch.arange(cond.shape[1]) < lengths[:, None]).to(cond.device)
        cond = cond.to(self.dtype)
        return Condition([block.cross_attn.attended(cond, mask) for block in self.blocks])

    def no_condition(self) -> Condition:
        """What ``condition`` gives for tokens that are all zero, without computing with them."""
        return Condition([Attended(nothing=block.cross_attn.nothing(self.dtype)) for block in self.blocks])

    def velocities(
        self, x: Tensor, t: Tensor, cond: Tensor | list[Tensor] | Condition, phases: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Velocities [B, L, out] of x [B, L, in], float32; t [B] times 1000, phases and mask as ``SelfAttention``.

        With a condition made by ``Condition.beside``, B is 1 and the velocities [2, L, out] are with and without it.
        """
        condition = self.condition(cond)
        modulation = self.adaLN_modulation(self.t_embedder(t)).to(self.dtype)
        h = self.input_layer(x)
        if self.config.pe_mode == "rope+ape":
            h = h + self.position_layer(torch.view_as_real(phases).flatten(-2))
        h = h.to(self.dtype)
        for block, attended in zip(self.blocks, condition.blocks, strict=True):
            h = block(h, modulation, phases, mask, attended)
        return self.out_layer(final_norm(h)).to(x.dtype)
