# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a network takes beside its weights, estimated before anything runs.

Counted are the values that exist at the same time where a network is at its widest: formulas over its configuration and
the number of its tokens or voxels. That number is not known before the structure has been sampled; it is assumed that
objects are surfaces (spec/models.md section 9): a grid of side g has 7.5 g^2 occupied cells, which lies in the upper
part of the published ranges (512: 3000 to 8000, 1024: 10,000 to 30,000), and every doubling of the resolution has four
times as many voxels. Dense objects take more.
"""

from __future__ import annotations

import torch

from ..models.bound_flow import is_short
from ..models.dense_vae import SparseStructureDecoder
from ..models.dinov3 import DINOv3ViT
from ..models.float8 import Float8Linear
from ..models.sparse_vae import SparseDecoder, SparseEncoder
from ..models.transformer import FlowTransformer
from ..sparse import chunk_rows

CELLS_PER_AREA = 7.5
CHILDREN = 4
FLOAT, INDEX = 4, 8
TAPS = 27
BYTES_OF_SITE = TAPS * 4 + 3 * INDEX
"""A voxel's row of the neighbour map, and its place below its parent."""


def cells_of(grid: int, most: int | None = None) -> int:
    """Occupied cells of a surface on a grid of that side, at most ``most``."""
    cells = min(int(CELLS_PER_AREA * grid**2), grid**3)
    return cells if most is None else min(cells, most)


def image_tokens(encoder: DINOv3ViT, size: int) -> int:
    """Tokens of a square picture of that size: patches, registers and the class token."""
    return (size // encoder.config.patch_size) ** 2 + encoder.config.num_register_tokens + 1


def of_image_encoder(encoder: DINOv3ViT, tokens: int) -> int:
    """Float32: the feed-forward layer's hidden values twice, six times the width, over all tokens."""
    config = encoder.config
    return tokens * FLOAT * (6 * config.hidden_size + 2 * config.intermediate_size)


def of_flow(flow: FlowTransformer, tokens: int, cond_tokens: int, device: torch.device) -> int:
    """Keys and values of the picture for all blocks, kept through the stage, the phases, and one block over all tokens.

    A block is widest either in attention (queries, keys and values, turned in float32) or in its hidden layer. A short
    sample takes both sides of guidance at once, and its steps without guidance are recorded beside that, in memory of
    their own. The unconditional side alone keeps one vector a block: next to nothing. Float8 products have a scaled
    copy of the hidden values and one of 8 bits in the place of their output.
    """
    config, half = flow.config, flow.dtype.itemsize
    keys_values = config.num_blocks * cond_tokens * 2 * config.model_channels * half
    hidden = int(config.model_channels * config.mlp_ratio)
    attention = config.model_channels * (7 * half + 4 * FLOAT)
    feed_forward = config.model_channels * 3 * half + 2 * hidden * half
    if any(isinstance(layer, Float8Linear) for layer in flow.modules()):
        feed_forward += hidden
    sides = 3 if is_short(tokens, device) else 1
    return keys_values + tokens * (flow.head_dim * FLOAT + sides * max(attention, feed_forward))


def of_structure_decoder(decoder: SparseStructureDecoder, side: int) -> int:
    """The widest level of dense volumes: input and output of a convolution, and its norm in float32."""
    half, widths = decoder.dtype.itemsize, decoder.config.channels
    volumes = [(side << level) ** 3 * max(width, 8 * after) for level, (width, after) in enumerate(_pairs(widths))]
    return max(volumes) * (3 * half + 3 * FLOAT)


def of_sparse_decoder(decoder: SparseDecoder, tokens: int, device: torch.device) -> int:
    """The widest level of the decoder.

    An up block holds its input, the children's features and their padded copy, into whose original the output is
    written, and the neighbour map twice while it is built. A block holds input, padded copy and output.
    """
    half, widths = decoder.dtype.itemsize, decoder.config.model_channels
    levels, voxels = [], tokens
    for width, after in _pairs(widths):
        block = voxels * (3 * width * half + 2 * TAPS * 4)
        children = voxels * CHILDREN if after else 0
        first = voxels * (width + 8 * after) * half + children * (after * half + 3 * INDEX)
        second = voxels * width * half + children * (2 * after * half + width // 8 * half + 2 * TAPS * 4 + 3 * INDEX)
        levels.append(max(block, first, second))
        voxels = children or voxels
    output = voxels * (widths[-1] * half + 16 * FLOAT)
    return max(*levels, output) + _chunk(decoder, max(widths), device)


def of_sparse_encoder(encoder: SparseEncoder, tokens: int, device: torch.device) -> int:
    """The widest level of the encoder, for that many tokens of its latent.

    The neighbour maps of all levels stay for the decoder.
    """
    half, widths = encoder.dtype.itemsize, encoder.config.model_channels
    levels, maps, voxels = [], 0, tokens * CHILDREN ** (len(widths) - 1)
    for width, after in _pairs(widths):
        block = voxels * (3 * width * half + TAPS * 4)
        children = 8 * width * voxels // CHILDREN * half
        levels.append(max(block, voxels * width * half + children + 3 * voxels // CHILDREN * after * half))
        maps += voxels * BYTES_OF_SITE
        voxels //= CHILDREN
    return max(levels) + maps + _chunk(encoder, max(widths), device)


def _chunk(model: SparseEncoder | SparseDecoder, width: int, device: torch.device) -> int:
    """One chunk of gathered neighbours and of a hidden layer, at the network's widest level."""
    return chunk_rows(TAPS * width, device) * (TAPS + 9) * width * model.dtype.itemsize


def _pairs(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """Width of each level and of the next one, 0 after the last."""
    return list(zip(widths, (*widths[1:], 0), strict=True))
