# SPDX-License-Identifier: GPL-3.0-or-later
"""Row by row work in chunks of constant size.

Peak memory is then bounded by the chunk, and because every chunk has the same shape, the last one padded with zero
rows, the bits of a row depend neither on how many rows there are nor on where the row stands.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# Never from free memory: the same input must always give the same bytes. On a CPU a chunk should stay near the cache,
# its padding cost little, and threads not meet too often; elsewhere a chunk of the widest matrix holds about this many
# elements.
_CPU_ROWS = 1024
_ELEMENTS = 1 << 27
_FEWEST_ROWS = 1024


def chunk_rows(columns: int, device: torch.device) -> int:
    """Rows of a chunk whose widest matrix has ``columns`` columns: a constant of the device's kind."""
    if device.type == "cpu":
        return _CPU_ROWS
    return max(1 << (_ELEMENTS // columns).bit_length() - 1, _FEWEST_ROWS)


def wants_gradient(*tensors: Tensor) -> bool:
    """Whether a result of these tensors is recorded for training, which keeps every intermediate value anyway."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def row_wise(function: Callable[..., Tensor], *inputs: Tensor, size: int, out: Tensor | None = None) -> Tensor:
    """Apply ``function`` of [size, ...] tensors, which treats every row alone, to tensors [N, ...] chunk by chunk.

    Writes to ``out`` [N, ...] where it is given, else to a new tensor; returns it.
    """
    count = inputs[0].shape[0]
    for start in range(0, max(count, 1), size):
        rows = slice(start, start + size)
        result = function(*(_padded(tensor[rows], size) for tensor in inputs))[: count - start]
        if out is None:
            out = result.new_empty(count, *result.shape[1:])
        out[rows] = result
    return out


def _padded(chunk: Tensor, size: int) -> Tensor:
    missing = size - chunk.shape[0]
    return F.pad(chunk, (0, 0) * (chunk.ndim - 1) + (0, missing)) if missing else chunk
