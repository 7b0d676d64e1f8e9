# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit a mesh into the unit box."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import EspalierError

# Keeps the surface off the outermost grid planes, which no voxel owns.
_FILL = 0.99999


def normalise_mesh(vertices: Tensor) -> tuple[Tensor, Tensor, float]:
    """Move and scale vertices [V, 3] so that their bounding box is centred and its longest side is 0.99999.

    Returns (normalised [V, 3] in [-0.5, 0.5]^3, centre [3], scale) with normalised = (vertices - centre) * scale, in
    float64 for float64 vertices, else float32. Raises EspalierError("bad_input") for a mesh that is empty, not finite
    or a single point.
    """
    vertices = torch.as_tensor(vertices)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) == 0:
        raise EspalierError("bad_input", "The mesh has no vertices. Choose an object with a surface.")
    if not vertices.is_floating_point():
        vertices = vertices.float()
    if not torch.isfinite(vertices).all():
        raise EspalierError(
            "bad_input", "The mesh has vertices at infinite or undefined positions. Remove them and try again."
        )
    low, high = vertices.amin(0), vertices.amax(0)
    extent = float((high - low).max())
    if extent <= 0:
        raise EspalierError("bad_input", "The mesh has no extent: all its vertices are at one point.")
    centre, scale = (low + high) / 2, _FILL / extent
    return ((vertices - centre) * scale).clamp(-0.5, 0.5), centre, scale
