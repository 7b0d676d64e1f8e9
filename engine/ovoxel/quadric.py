# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadratic energies of the dual vertices: accumulation and minimisation inside the voxel."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import take

_AXES = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
# Where A[p, q] stands among xx, xy, xz, yy, yz, zz.
_ENTRY = ((0, 1, 2), (1, 3, 4), (2, 4, 5))


class Quadrics:
    """One energy x^T A x - 2 b^T x for each of N voxels, x in voxel-local units [0, 1]^3, in float64.

    The reference accumulates in absolute float32 coordinates and loses the minimum to rounding on fine grids; local
    coordinates keep it at full precision. ``sums`` [9, N]: A as xx, xy, xz, yy, yz, zz, then b.
    """

    def __init__(self, coords: Tensor, voxel_size: Tensor) -> None:
        """``coords`` int64 [N, 3]; ``voxel_size`` float32 [3]: energies are in units of its largest component."""
        size = voxel_size.double()
        self.scale = size / size.max()
        self.origin = coords.T.double().contiguous()
        self.sums = torch.zeros((9, len(coords)), dtype=torch.float64)

    def planes(self, normals: Tensor, points: Tensor) -> Tensor:
        """Table [10, F] for ``add_planes``: unit normals [F, 3] and a point of each plane [F, 3] in voxel units."""
        x, y, z = n = (normals * self.scale).T
        return torch.stack([x * x, x * y, x * z, y * y, y * z, z * z, x, y, z, (n * points.T).sum(0)])

    def add_planes(self, row: Tensor, planes: Tensor, plane: Tensor) -> None:
        """Add to voxel ``row`` [P] the squared distance to plane ``plane`` [P] of the table."""
        for sums, values in zip(self.sums[:6], planes[:6]):
            sums.scatter_add_(0, row, take(values, plane))
        normal = [take(component, plane) for component in planes[6:9]]
        distance = take(planes[9], plane)
        for component, origin in zip(normal, self.origin):
            distance -= component * take(origin, row)
        for sums, component in zip(self.sums[6:], normal):
            sums.scatter_add_(0, row, component * distance)

    def add_lines(self, row: Tensor, directions: Tensor, points: Tensor, weight: float) -> None:
        """Add to voxel ``row`` [P] the weighted squared distance to lines (unit directions, points [P, 3])."""
        local = points - take(self.origin.T, row)
        along = directions.unsqueeze(2) * directions.unsqueeze(1)
        across = torch.eye(3, dtype=torch.float64) - along
        matrix = weight * across * self.scale.unsqueeze(1) * self.scale
        b = (matrix @ local.unsqueeze(2)).squeeze(2)
        self.sums.index_add_(1, row, torch.cat([matrix.flatten(1)[:, [0, 1, 2, 4, 5, 8]], b], 1).T)

    def add_points(self, row: Tensor, points: Tensor, weight: float) -> None:
        """Add weight * |x - point|^2 for points [3, P] in voxel units: up to a constant, that of their mean."""
        count = torch.bincount(row, minlength=self.sums.shape[1])
        for axis in range(3):
            square = float(self.scale[axis]) ** 2 * weight
            self.sums[_ENTRY[axis][axis]] += count * square
            self.sums[6 + axis].scatter_add_(0, row, (points[axis] - take(self.origin[axis], row)) * square)

    def minimise(self) -> Tensor:
        """The minimum of each energy within the closed unit cube, float64 [3, N]."""
        x = torch.stack(_solve3(*self.sums))
        outside = ((x < 0) | (x > 1)).any(0).nonzero().squeeze(1)
        if len(outside):
            x[:, outside] = _constrained_minimum(self.sums.index_select(1, outside))
        return x


def _solve3(
    xx: Tensor, xy: Tensor, xz: Tensor, yy: Tensor, yz: Tensor, zz: Tensor, bx: Tensor, by: Tensor, bz: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Solve A x = b by Cholesky; a pivot that vanishes (no regularisation, flat geometry) gives a zero component."""
    tiny = 1e-12 * (xx + yy + zz) + 1e-300

    def inverse(pivot: Tensor) -> Tensor:
        return (pivot > tiny) / torch.maximum(pivot, tiny)

    i0 = inverse(xx)
    l10, l20 = xy * i0, xz * i0
    i1 = inverse(yy - l10 * xy)
    e = yz - l10 * xz
    y1 = by - l10 * bx
    l21 = e * i1
    z = (bz - l20 * bx - l21 * y1) * inverse(zz - l20 * xz - l21 * e)
    y = (y1 - e * z) * i1
    return (bx - xy * y - xz * z) * i0, y, z


def _constrained_minimum(sums: Tensor) -> Tensor:
    """Best of the minima on 6 faces, 12 edges and 8 corners of the cube [3, M]; earlier candidates win ties.

    A candidate whose system is singular is NaN or infinite and fails its range test.
    """
    b = sums[6:]
    best = torch.zeros_like(b)
    lowest = torch.full_like(b[0], torch.inf)

    def entry(p: int, q: int) -> Tensor:
        return sums[_ENTRY[p][q]]

    def candidate(values: dict[int, Tensor | float]) -> None:
        x = [torch.as_tensor(values[axis], dtype=b.dtype) for axis in range(3)]
        gradient = [sum(entry(p, q) * x[q] for q in range(3)) - 2 * b[p] for p in range(3)]
        energy = sum(x[p] * gradient[p] for p in range(3))
        better = energy < lowest
        for value in x:
            if value.ndim:
                better &= (value >= 0) & (value <= 1)
        lowest.copy_(torch.where(better, energy, lowest))
        for axis in range(3):
            best[axis] = torch.where(better, x[axis], best[axis])

    for fixed, p, q in _AXES:
        determinant = entry(p, p) * entry(q, q) - entry(p, q) ** 2
        for side in (0.0, 1.0):
            rp, rq = b[p] - entry(p, fixed) * side, b[q] - entry(q, fixed) * side
            vp = (rp * entry(q, q) - rq * entry(p, q)) / determinant
            vq = (rq * entry(p, p) - rp * entry(p, q)) / determinant
            candidate({fixed: side, p: vp, q: vq})
    for free, p, q in _AXES:
        for sp in (0.0, 1.0):
            for sq in (0.0, 1.0):
                value = (b[free] - entry(free, p) * sp - entry(free, q) * sq) / entry(free, free)
                candidate({free: value, p: sp, q: sq})
    for corner in range(8):
        candidate({axis: float(corner >> (2 - axis) & 1) for axis in range(3)})
    return best
