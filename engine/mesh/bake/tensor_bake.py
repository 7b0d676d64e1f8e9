# SPDX-License-Identifier: GPL-3.0-or-later
"""What texels show, in torch, for graphics cards: see the functions named in each."""

from __future__ import annotations

import torch
from torch import Tensor

from ..lookup.nearest import interpolate
from ..surface.tensor_vectors import cross, dot, unit


def encode(
    face: Tensor, barycentric: Tensor, target: Tensor, normals: Tensor, tangents: Tensor, sign: Tensor
) -> Tensor:
    """``normal_map.TangentFrames.encode``."""
    n, t = blend(barycentric, normals[face]), blend(barycentric, tangents[face])
    b = sign[face][:, None] * cross(n, t)
    across = torch.stack([cross(b, n), cross(n, t), cross(t, b)], 1)
    determinant = dot(t, across[:, 0])
    local = unit(dot(across, target[:, None]) * torch.where(determinant < 0, -1.0, 1.0)[:, None])
    local[:, 2].clamp_min_(0.02)
    local = unit(local)
    local[determinant.abs() < 1e-9] = local.new_tensor([0.0, 0.0, 1.0])
    return to_bytes(0.5 * local + 0.5)


def to_bytes(values: Tensor) -> Tensor:
    """``bake.to_bytes``."""
    return (values.clamp(0.0, 1.0) * 255.0).round().byte()


def own_points(
    face: Tensor, weights: Tensor, faces: Tensor, vertices: Tensor, normals: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The points of a mesh at the given weights of faces [N] and, with ``normals`` of corners, the unit normals there.

    float64 [N, 3] each.
    """
    points = interpolate(weights, vertices, faces[face])
    return points, (torch.zeros_like(points) if normals is None else unit(blend(weights, normals[face])))


def shown_points(
    face: Tensor, weights: Tensor, facing: Tensor, faces: Tensor, vertices: Tensor, shading: Tensor
) -> tuple[Tensor, Tensor]:
    """The points of a surface at the given weights of faces [N], and the ``shading`` there, turned over where it looks
    away from ``facing`` [N, 3]; float64 [N, 3] each."""
    target = blend(weights, shading[face])
    return interpolate(weights, vertices, faces[face]), torch.where((dot(target, facing) < 0)[:, None], -target, target)


def blend(weights: Tensor, corners: Tensor) -> Tensor:
    """Sums of values [N, 3, C] of corners by weights float64 [N, 3]; float64 [N, C]."""
    product = weights[:, :, None] * corners.double()
    return product[:, 0] + product[:, 1] + product[:, 2]
