# SPDX-License-Identifier: GPL-3.0-or-later
"""Which number format a network's torso computes in, by device and by what it was made for."""

from __future__ import annotations

from typing import Any

import torch


def made_for(args: dict[str, Any]) -> torch.dtype:
    """The precision a checkpoint's arguments name: ``dtype`` of the flows, ``use_fp16`` of the autoencoders."""
    if args.get("use_fp16"):
        return torch.float16
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(args.get("dtype", ""), torch.float32)


def run_dtype(args: dict[str, Any], device: torch.device) -> torch.dtype:
    """The precision in which to run it: as made on CUDA; on a CPU only where that is faster and as good."""
    wanted = made_for(args)
    if device.type != "cpu" or wanted == torch.float32:
        return wanted
    return torch.bfloat16 if wanted == torch.bfloat16 and cpu_has_fast_bfloat16() else torch.float32


def cpu_has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AVX-512 BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
