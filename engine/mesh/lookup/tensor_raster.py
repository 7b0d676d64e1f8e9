# SPDX-License-Identifier: GPL-3.0-or-later
"""``raster.rasterise`` in torch, for graphics cards on which Triton's kernels do not serve: rounding for rounding.

Faces contend for a texel by integer minima alone (a distance that is not negative sorts as its bits do), which no order
of execution can change.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..surface.tensor_reductions import in_boxes
from ..surface.tensor_topology import ends_of
from ..surface.tensor_vectors import alike

NOBODY = 2**31 - 1

CLEAR = 1e-3
"""The least weight from which on a centre lies clearly in a face, and in no neighbour of it."""

_PAIRS_AT_ONCE = 1 << 24


def rim_faces(uv: Tensor, corners: Tensor) -> Tensor:
    """The faces, ascending, that touch the border of their chart (``raster._touches_rim``) or are flat in texels."""
    corner = alike(*uv.reshape(-1, 2).float().unbind(1))
    tail, head = ends_of(corner.view(-1, 3))
    low, high = torch.minimum(tail, head), torch.maximum(tail, head)
    _, edge, count = torch.unique(low * len(corner) + high, return_inverse=True, return_counts=True)
    single = count[edge] == 1
    on_rim = torch.zeros(len(corner), dtype=torch.bool, device=uv.device)
    on_rim[low[single]] = on_rim[high[single]] = True
    return (on_rim[corner].view(-1, 3).any(1) | (_Planes(corners).area == 0)).nonzero().squeeze(1)


def rasterise(
    corners: Tensor, rim: Tensor, size: int, reach: float, named: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Covered texels int64 [T] ascending, their faces int64 [T], barycentric float64 [T, 3] and inside bool [T].

    ``corners`` float64 [F, 3, 2]: (column, row) in texels of an image of side ``size``; ``rim`` int64 [R]: the faces,
    ascending, that texels within ``reach`` of them belong to where no face holds their centre. ``named`` int64 [size *
    size]: the lowest face at each centre, or -1, by a rasteriser that is right but for centres near edges: it is
    believed where the centre lies clearly in the face; faces with no other texels near need not be looked at.
    """
    planes = _Planes(corners)
    owner = torch.full((size * size,), NOBODY, dtype=torch.int64, device=corners.device)
    faces = torch.arange(len(corners), device=corners.device)
    if named is not None:
        at = (named >= 0).nonzero().squeeze(1)
        at = at[planes.least_weight(named[at], at % size, at // size) > CLEAR]
        owner[at] = named[at]
        faces = faces[_open_texels(owner, corners, size) > 0]
    for index, column, row in _pairs(corners[faces], size, 0.0):
        face = faces[index]
        hit = planes.least_weight(face, column, row) >= 0
        owner.scatter_reduce_(0, (row * size + column)[hit], face[hit], "amin")
    nearest = _nearest_on_rim(corners, rim, owner, size, reach)
    texel = (torch.minimum(owner, nearest) < NOBODY).nonzero().squeeze(1)
    inside = owner[texel] < NOBODY
    face = torch.where(inside, owner[texel], nearest[texel])
    column, row = texel % size, texel // size
    edge_b, edge_c, _ = _edge_weights(corners[face], column, row)
    plane_b, plane_c = planes.weights(face, column, row)
    weight_b, weight_c = torch.where(inside, plane_b, edge_b), torch.where(inside, plane_c, edge_c)
    return texel, face, torch.stack([1.0 - (weight_b + weight_c), weight_b, weight_c], 1), inside


def _nearest_on_rim(corners: Tensor, rim: Tensor, owner: Tensor, size: int, reach: float) -> Tensor:
    """The nearest of the faces ``rim`` within ``reach`` of each texel that has no ``owner``, the lower of two."""
    texels, faces, bits = [], [], []
    for index, column, row in _pairs(corners[rim], size, reach):
        texel = row * size + column
        free = owner[texel] == NOBODY
        texel, face = texel[free], rim[index[free]]
        gap = _edge_weights(corners[face], column[free], row[free])[2]
        near = gap <= reach**2
        texels.append(texel[near])
        faces.append(face[near])
        bits.append(gap[near].view(torch.int64))
    nearest = torch.full_like(owner, NOBODY)
    if texels:
        texel, face, distance = torch.cat(texels), torch.cat(faces), torch.cat(bits)
        least = torch.full_like(owner, torch.iinfo(torch.int64).max).scatter_reduce_(0, texel, distance, "amin")
        mine = least[texel] == distance
        nearest.scatter_reduce_(0, texel[mine], face[mine], "amin")
    return nearest


class _Planes:
    """The barycentric weights of b and c as linear functions of texel coordinates; ``area`` 0 marks flat faces."""

    def __init__(self, corners: Tensor) -> None:
        a = corners[:, 0]
        bx, by = (corners[:, 1] - a).unbind(1)
        cx, cy = (corners[:, 2] - a).unbind(1)
        area = bx * cy - by * cx
        self.area = torch.where(area.abs() > 1e-9, area, 0.0)
        safe = torch.where(self.area == 0, 1.0, area)
        self._slopes = cy / safe, -cx / safe, -by / safe, bx / safe
        self._x, self._y = (a - 0.5).unbind(1)

    def weights(self, face: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Weights [N] of corners b and c at the centres of texels."""
        x, y = column - self._x[face], row - self._y[face]
        b_x, b_y, c_x, c_y = (slope[face] for slope in self._slopes)
        return b_x * x + b_y * y, c_x * x + c_y * y

    def least_weight(self, face: Tensor, column: Tensor, row: Tensor) -> Tensor:
        """The smallest of the three weights [N], -1 of flat faces."""
        b, c = self.weights(face, column, row)
        least = torch.minimum(torch.minimum(b, c), 1.0 - b - c)
        return torch.where(self.area[face] == 0, -1.0, least)


def _edge_weights(triangle: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of b and c at the point on the edges of triangles [N, 3, 2] nearest to a texel's centre, and its squared
    distance, [N] each."""
    px, py = column + 0.5, row + 0.5
    nearest = torch.full_like(triangle[:, 0, 0], torch.inf)
    weight_b, weight_c, none = (torch.zeros_like(nearest) for _ in range(3))
    for start in range(3):
        (x, y), (to_x, to_y) = triangle[:, start].unbind(1), triangle[:, (start + 1) % 3].unbind(1)
        along_x, along_y = to_x - x, to_y - y
        length = along_x * along_x + along_y * along_y
        t = ((px - x) * along_x + (py - y) * along_y) / torch.where(length > 0, length, 1.0)
        t = t.clamp(0.0, 1.0)
        dx, dy = px - x - t * along_x, py - y - t * along_y
        gap = dx * dx + dy * dy
        closer = gap < nearest
        nearest = torch.where(closer, gap, nearest)
        weight_b = torch.where(closer, (t, 1.0 - t, none)[start], weight_b)
        weight_c = torch.where(closer, (none, t, 1.0 - t)[start], weight_c)
    return weight_b, weight_c, nearest


def _boxes(corners: Tensor, size: int, reach: float) -> tuple[Tensor, Tensor]:
    """First and one past the last (column, row), int64 [F, 2], of texels with centres within ``reach`` of faces."""
    low = (corners.amin(1) - 0.5 - reach).ceil().clamp(0, size).long()
    high = ((corners.amax(1) - 0.5 + reach).floor() + 1).clamp(0, size).long()
    return low, torch.maximum(low, high)


def _pairs(corners: Tensor, size: int, reach: float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Face, column and row, int64 each, of the texels in the boxes of faces, some millions at a time."""
    low, high = _boxes(corners, size, reach)
    return in_boxes(low, high - low, _PAIRS_AT_ONCE)


def _open_texels(owner: Tensor, corners: Tensor, size: int) -> Tensor:
    """How many texels without an owner lie in the box of each face, int64 [F]."""
    sums = torch.zeros((size + 1, size + 1), dtype=torch.int64, device=owner.device)
    sums[1:, 1:] = (owner == NOBODY).view(size, size).cumsum(0).cumsum(1)
    (left, top), (right, bottom) = (side.unbind(1) for side in _boxes(corners, size, 0.0))
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
