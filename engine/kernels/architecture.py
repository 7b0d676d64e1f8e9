# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the chips that the kernels are compiled and tested for a device counts as.

Tile sizes are looked up by it in tables beside each kernel: nothing is tuned at run time, and timings change no result.
"""

from __future__ import annotations

from typing import TypeVar

import torch

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities, 10 * major + minor: Turing, Ampere (A100, GeForce 30), Ada, Hopper, Blackwell (B200, 50)."""

Entry = TypeVar("Entry")


def of(device: torch.device) -> int:
    """The newest entry of ``ARCHITECTURES`` that the CUDA device ``device`` is no older than; 0 when it is older.

    80 for any other device: there the interpreter runs the kernels, in tests only.
    """
    if device.type != "cuda":
        return 80
    major, minor = torch.cuda.get_device_capability(device)
    return max((chip for chip in ARCHITECTURES if chip <= 10 * major + minor), default=0)


def newest(table: dict[int, Entry], device: torch.device) -> Entry:
    """The entry of a table {capability: entry} for ``device``: that of the newest chip that is not newer than it."""
    chip = of(device)
    return table[max(known for known in table if known <= chip)]
