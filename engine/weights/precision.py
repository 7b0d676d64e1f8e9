# SPDX-License-Identifier: GPL-3.0-or-later
"""In which number format a network's torso is kept and computes, by device and by what its weights were made for.

On CUDA a network runs as it was made. On a CPU the choice is between float32 and bfloat16; float16 is never a choice
there (see the last column). Measured on one core of an AMD Zen 5 (AVX-512 BF16, no AMX) with torch 2.13, processor time
of one call; the error is that of a whole forward against float32, as a share of its norm:

    ==============================================  =======  ========  ======  =======
    network                                         float32  bfloat16  error   float16
    ==============================================  =======  ========  ======  =======
    linear layer 1536 -> 6144 (released flows)       128 ms     30 ms  0.4 %    444 ms
    linear layer 1024 -> 4096                        135 ms     33 ms  0.4 %    515 ms
    shape flow of the starter, 1040 tokens           171 ms    118 ms  0.6 %
    structure flow of the starter, 64 tokens         9.1 ms    6.5 ms  0.7 %
    shape decoder of the starter, 16 000 voxels      146 ms     56 ms
    ==============================================  =======  ========  ======  =======

So flows, where the time is, take bfloat16 where the processor multiplies it in hardware. Decoders stay in float32: they
run once, and their outputs are compared with zero (which voxels exist, which edges the surface crosses).

Weights made in half precision stay in it wherever they run; a torso that computes in float32 widens them one layer at a
time. For the linear layer 1536 -> 8192 that adds 9 % to the time of 1024 tokens and 3 % to that of 4096.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

Precision = Literal["auto", "float32", "int8", "fp8"]
"""As ``auto``, but ``int8``: the weights of the flows' linear layers are kept at 8 bits (``models.quantised``);
``fp8``: these layers multiply 8-bit floating point numbers (``models.float8``): any device can, few are fast at it."""

FLOWS = ("SparseStructureFlowModel", "SLatFlowModel")


def made_for(args: dict[str, Any]) -> torch.dtype:
    """The precision a checkpoint's arguments name: ``dtype`` of the flows, ``use_fp16`` of the autoencoders."""
    if args.get("use_fp16"):
        return torch.float16
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(str(args.get("dtype")), torch.float32)


def run_dtype(name: str, args: dict[str, Any], device: torch.device, precision: Precision) -> torch.dtype:
    """The precision in which to run the torso of the network ``name``; ``precision`` "float32" overrules everything."""
    if precision == "float32":
        return torch.float32
    if device.type != "cpu":
        return made_for(args)
    fast = name in FLOWS and made_for(args) != torch.float16 and cpu_has_fast_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def stored_dtype(name: str, args: dict[str, Any], device: torch.device, precision: Precision) -> torch.dtype:
    """The precision in which the weights of that torso are kept: half where they were made so, else as they run.

    Weights made in half precision lose nothing by being kept so; a layer that computes in float32 widens its own.
    """
    made = made_for(args)
    return run_dtype(name, args, device, precision) if made == torch.float32 else made


def accumulate_in_float32() -> None:
    """Let no CUDA product of half-precision numbers add its parts up in half precision, which erases thin parts.

    Nor round the factors of float32 convolutions (TF32), as torch does if left alone: the ends of networks are float32
    for a reason, among them which cells exist.

    The attention kernels of torch accumulate in float32, and its way without a kernel does after this. cuDNN's kernel
    is left out: it plans anew for every length of a sequence, for 0.4 s (spec/users.md section 2).
    """
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cudnn.allow_tf32 = False


def cpu_has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AVX-512 BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
