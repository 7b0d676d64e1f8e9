# SPDX-License-Identifier: GPL-3.0-or-later
"""``engine bench``: float32 against bfloat16 on this processor, network by network; one JSON object on stdout.

What ``weights/precision.py`` decides for a CPU is to be read off this table.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .models.registry import build_model
from .weights.precision import cpu_has_fast_bfloat16

REPEATS = 3
# Name in the table -> width, attention heads, blocks, side of a dense grid of tokens, conditioning tokens and channels.
# The released network is one block of its thirty: every block costs the same. Shape and texture flows are the same
# transformer as the structure flow, so a dense grid with as many tokens stands for them.
SIZES = {
    "starter, structure flow": (192, 3, 6, 4, 261, 192),
    "starter, shape flow": (192, 3, 6, 12, 261, 192),
    "released, one block": (1536, 12, 1, 12, 1029, 1024),
}


def _structure_flow(width: int, heads: int, blocks: int, cond_channels: int, side: int) -> torch.nn.Module:
    args = {
        "resolution": side,
        "in_channels": 8,
        "out_channels": 8,
        "model_channels": width,
        "num_heads": heads,
        "cond_channels": cond_channels,
        "num_blocks": blocks,
        "pe_mode": "rope",
        "share_mod": True,
        "qk_rms_norm": True,
        "qk_rms_norm_cross": True,
    }
    model = build_model("SparseStructureFlowModel", args).eval()
    # A fresh network ends in zeros; the comparison needs an output.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.02)
    return model


def best_seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The shortest of several runs after one to warm up."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@torch.inference_mode()
def compare_precisions(name: str) -> dict[str, Any]:
    """Seconds of one evaluation in float32 and in bfloat16, and how far the second one's output is off.

    ``relative_error`` is the root mean square difference over the root mean square of the float32 output.
    """
    width, heads, blocks, side, tokens, cond_channels = SIZES[name]
    torch.manual_seed(0)
    model = _structure_flow(width, heads, blocks, cond_channels, side)
    inputs = torch.randn(1, 8, side, side, side), torch.tensor([500.0]), torch.randn(1, tokens, cond_channels)
    outputs: dict[torch.dtype, Tensor] = {}
    seconds: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        model.convert_to(dtype)
        seconds[dtype] = best_seconds(lambda: model(*inputs))
        outputs[dtype] = model(*inputs).float()
    reference = outputs[torch.float32]
    error = (outputs[torch.bfloat16] - reference).square().mean().sqrt() / reference.square().mean().sqrt()
    return {
        "network": name,
        "tokens": side**3,
        "float32_s": seconds[torch.float32],
        "bfloat16_s": seconds[torch.bfloat16],
        "speedup": seconds[torch.float32] / seconds[torch.bfloat16],
        "relative_error": error.item(),
    }


def main(arguments: list[str]) -> int:
    """Measure and print; takes no arguments."""
    if arguments:
        print("usage: engine bench (no arguments)", file=sys.stderr)
        return 2
    facts = {
        "threads": torch.get_num_threads(),
        "hardware_bfloat16": cpu_has_fast_bfloat16(),
        "precision": [compare_precisions(name) for name in SIZES],
    }
    print(json.dumps(facts))
    return 0
