# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadratic energies of the dual vertices: accumulation and minimisation inside the voxel."""

from __future__ import annotations

import torch
from torch import Tensor

_AXIS_OF_EDGE = ((0, 1, 2), (1, 0, 2), (2, 0, 1))


class Quadrics:
    """One energy x^T A x - 2 b^T x per voxel, x in voxel-local units [0, 1]^3, in float64.

    The reference accumulates in absolute float32 coordinates and loses the minimum to rounding on fine grids; local
    coordinates keep it at full precision. Columns: A as xx, xy, xz, yy, yz, zz, then b.
    """

    def __init__(self, count: int, voxel_size: Tensor, device: torch.device) -> None:
        """``voxel_size`` float32 [3]: energies are measured in units of the largest one."""
        size = voxel_size.double().to(device)
        self.scale = size / size.max()
        self.sums = torch.zeros((count, 9), dtype=torch.float64, device=device)

    def add_planes(self, row: Tensor, normal: Tensor, through: Tensor) -> None:
        """Squared distance to planes: unit normals [P, 3] and a point of each plane [P, 3] in voxel-local units."""
        n = normal * self.scale
        b = n * (n * through).sum(1, keepdim=True)
        x, y, z = n.unbind(1)
        self.sums.index_add_(0, row, torch.cat([torch.stack([x * x, x * y, x * z, y * y, y * z, z * z], 1), b], 1))

    def add_lines(self, row: Tensor, direction: Tensor, through: Tensor, weight: float) -> None:
        """Weighted squared distance to lines: unit directions [P, 3] and a point of each line, voxel-local units."""
        s = self.scale
        across = torch.eye(3, dtype=torch.float64, device=row.device) - direction.unsqueeze(2) * direction.unsqueeze(1)
        matrix = weight * across * s.unsqueeze(1) * s
        b = (matrix @ through.unsqueeze(2)).squeeze(2)
        upper = matrix.flatten(1)[:, [0, 1, 2, 4, 5, 8]]
        self.sums.index_add_(0, row, torch.cat([upper, b], 1))

    def add_points(self, count: Tensor, total: Tensor, weight: float) -> None:
        """weight * count * |x - mean|^2 for every voxel; ``count`` [N], ``total`` [N, 3]: sum of local points."""
        square = self.scale**2 * weight
        self.sums[:, [0, 3, 5]] += count.unsqueeze(1) * square
        self.sums[:, 6:] += total * square

    def minimise(self) -> Tensor:
        """The minimum of each energy within the closed unit cube, float64 [N, 3]."""
        x = _solve3(self.sums)
        outside = (~((x >= 0) & (x <= 1)).all(1)).nonzero().squeeze(1)
        if len(outside):
            x[outside] = _constrained_minimum(self.sums[outside])
        return x


def _solve3(sums: Tensor) -> Tensor:
    """Solve A x = b by Cholesky; a pivot that vanishes (no regularisation, flat geometry) gives a zero component."""
    xx, xy, xz, yy, yz, zz, bx, by, bz = sums.unbind(1)
    tiny = 1e-12 * (xx + yy + zz) + 1e-300

    def inverse(pivot: Tensor) -> Tensor:
        return torch.where(pivot > tiny, 1 / pivot.clamp_min(1e-300), 0.0)

    i0 = inverse(xx)
    l10, l20 = xy * i0, xz * i0
    d1 = yy - l10 * xy
    i1 = inverse(d1)
    e = yz - l10 * xz
    l21 = e * i1
    i2 = inverse(zz - l20 * xz - l21 * e)
    y1 = by - l10 * bx
    z = (bz - l20 * bx - l21 * y1) * i2
    y = (y1 - e * z) * i1
    x = (bx - xy * y - xz * z) * i0
    return torch.stack([x, y, z], 1)


def _constrained_minimum(sums: Tensor) -> Tensor:
    """Best of the minima on 6 faces, 12 edges and 8 corners of the cube; earlier candidates win ties."""
    xx, xy, xz, yy, yz, zz = sums[:, :6].unbind(1)
    matrix = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).view(-1, 3, 3)
    b = sums[:, 6:]
    zero, one = torch.zeros_like(xx), torch.ones_like(xx)
    points, valid = [], []

    def candidate(axes: tuple[int, int, int], values: tuple[Tensor, Tensor, Tensor], accepted: Tensor) -> None:
        columns = [zero] * 3
        for axis, value in zip(axes, values):
            columns[axis] = value
        points.append(torch.stack(columns, 1))
        valid.append(accepted)

    for fixed, p, q in _AXIS_OF_EDGE:
        pp, pq, qq = matrix[:, p, p], matrix[:, p, q], matrix[:, q, q]
        determinant = pp * qq - pq * pq
        for side in (zero, one):
            rp = b[:, p] - matrix[:, p, fixed] * side
            rq = b[:, q] - matrix[:, q, fixed] * side
            vp, vq = (rp * qq - rq * pq) / determinant, (rq * pp - rp * pq) / determinant
            candidate((fixed, p, q), (side, vp, vq), (vp >= 0) & (vp <= 1) & (vq >= 0) & (vq <= 1))
    for free, p, q in _AXIS_OF_EDGE:
        for sp in (zero, one):
            for sq in (zero, one):
                v = (b[:, free] - matrix[:, free, p] * sp - matrix[:, free, q] * sq) / matrix[:, free, free]
                candidate((free, p, q), (v, sp, sq), (v >= 0) & (v <= 1))
    for sx in (zero, one):
        for sy in (zero, one):
            for sz in (zero, one):
                candidate((0, 1, 2), (sx, sy, sz), one.bool())

    x = torch.stack(points, 1)
    energy = ((x @ matrix) * x).sum(2) - 2 * (x * b.unsqueeze(1)).sum(2)
    energy = torch.where(torch.stack(valid, 1), energy, torch.inf)
    return x[torch.arange(len(x), device=x.device), energy.argmin(1)]
