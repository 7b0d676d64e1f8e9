# SPDX-License-Identifier: GPL-3.0-or-later
"""Which face each texel shows, by nvdiffrast where a user has installed it (its licence allows research only).

It rasterises in single precision by rules of its own, so it only names faces: ``mesh.tensor_raster`` believes a name
where the texel's centre lies clearly in that face, computes the weights itself and looks itself at everything else. It
serves where Triton's kernels do not, and spares most of the pairs of faces and texels there.

Written from nvdiffrast's public documentation; never yet run with nvdiffrast itself.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

MOST_FACES = 2**24 - 1
"""Faces are numbered in float32."""

_STEP = 8
"""Images of its CUDA rasteriser had to be so many pixels wide, or a multiple of it, before version 0.3.2."""


def named_faces(corners: Tensor, size: int) -> Tensor | None:
    """The face at each texel's centre, int64 [size * size], -1 where there is none; of several the lowest.

    ``corners`` float64 [F, 3, 2]: (column, row) in texels. None where nvdiffrast is missing or refuses.
    """
    count = len(corners)
    if not 0 < count <= MOST_FACES or importlib.util.find_spec("nvdiffrast") is None:
        return None
    side = -(-size // _STEP) * _STEP
    position = torch.ones((count, 3, 4), dtype=torch.float32, device=corners.device)
    # Its first row is at the bottom of clip space: rows keep their order when y grows with them.
    position[..., :2] = corners * (2.0 / side) - 1.0
    # Lower faces are nearer.
    position[..., 2] = (torch.arange(count, device=corners.device, dtype=torch.float64) / count * 1.8 - 0.9)[:, None]
    triangles = torch.arange(3 * count, dtype=torch.int32, device=corners.device).view(-1, 3)
    try:
        library = importlib.import_module("nvdiffrast.torch")
        shown, _ = library.rasterize(
            _context(library, corners.device),
            position.view(1, -1, 4),
            triangles,
            resolution=[side, side],
            grad_db=False,
        )
    except torch.OutOfMemoryError:
        raise
    except (ImportError, RuntimeError):  # made for another torch; a size or a card that it does not serve
        return None
    return shown[0, :size, :size, 3].long().reshape(-1) - 1


@functools.cache
def _context(library: Any, device: torch.device) -> Any:
    return library.RasterizeCudaContext(device=device)
