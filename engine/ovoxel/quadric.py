# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadratic energies of the dual vertices: accumulation and minimisation inside the voxel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .compilation import on_gpu
from .grid import take

_AXES = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
# On a CPU few enough to stay near the cache; each voxel alone, so that results are the same.
_VOXELS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 21}
# Where A[p, q] stands among xx, xy, xz, yy, yz, zz.
_ENTRY = ((0, 1, 2), (1, 3, 4), (2, 4, 5))


class Quadrics:
    """One energy x^T A x - 2 b^T x for each of N voxels, x in voxel-local units [0, 1]^3, in float64.

    The reference accumulates in absolute float32 coordinates and loses the minimum to rounding on fine grids; local
    coordinates keep it at full precision. ``sums`` [9, N]: A as xx, xy, xz, yy, yz, zz, then b. ``count`` [N]: the
    number of crossing points, whose part in A is added at the end.
    """

    def __init__(self, coords: Tensor, voxel_size: Tensor, regularization: float, interleaved: bool) -> None:
        """``coords`` int64 [N, 3]; ``voxel_size`` float32 [3]: energies are in units of its largest component.

        ``regularization`` weighs the squared distance to each crossing point, up to a constant that to their mean.
        ``interleaved`` keeps the nine sums of a voxel together in memory, as the compiled loops want them.
        """
        size = voxel_size.double()
        self.scale = size / size.max()
        self.squares = self.scale**2 * regularization
        self.origin = coords.T.double().contiguous()
        layout = (len(coords), 9) if interleaved else (9, len(coords))
        sums = torch.zeros(layout, dtype=torch.float64, device=coords.device)
        self.sums = sums.T if interleaved else sums
        self.count = torch.zeros(len(coords), dtype=torch.float64, device=coords.device)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """What compiled loops add to: the interleaved sums [N, 9] and counts [N]."""
        return self.sums.T.numpy(), self.count.numpy()

    def planes(self, normals: Tensor, points: Tensor) -> Tensor:
        """Table [10, F] for the sums: unit normals [F, 3] and a point of each plane [F, 3] in voxel units."""
        x, y, z = (normals * self.scale).T
        px, py, pz = points.T
        return torch.stack([x * x, x * y, x * z, y * y, y * z, z * z, x, y, z, x * px + y * py + z * pz])

    def add_planes(self, row: Tensor, planes: Tensor, plane: Tensor, points: Tensor | None = None) -> None:
        """Add to voxel ``row`` [P] the squared distance to plane ``plane`` [P] of the table.

        ``points`` [3, P] in voxel units: where the surface crosses an edge of that voxel.
        """
        for sums, values in zip(self.sums[:6], planes[:6]):
            sums.scatter_add_(0, row, take(values, plane))
        normal = [take(component, plane) for component in planes[6:9]]
        distance = take(planes[9], plane)
        for component, origin in zip(normal, self.origin):
            distance -= component * take(origin, row)
        for axis, (sums, component) in enumerate(zip(self.sums[6:], normal)):
            value = component * distance
            if points is not None:
                value += (points[axis] - take(self.origin[axis], row)) * self.squares[axis]
            sums.scatter_add_(0, row, value)
        if points is not None:
            self.count.scatter_add_(0, row, torch.ones_like(distance))

    def add_planes_on_gpu(self, rows: Tensor, planes: Tensor, source: Tensor, crossed: Tensor, points: Tensor) -> None:
        """As ``add_planes`` for many parts one after the other, sums in their order. ``rows`` [P].

        ``source`` int64 [P]: which of ``crossed`` int64 [H] (planes) and ``points`` [3, H], or -1 - plane without one.
        """
        from ..kernels.quadric_sums_triton import add_planes

        add_planes(self.sums, self.count, self.origin, self.squares, planes, rows, source, crossed, points)

    def add_lines(self, row: Tensor, directions: Tensor, points: Tensor, weight: float) -> None:
        """Add to voxel ``row`` [P] the weighted squared distance to lines (unit directions, points [P, 3])."""
        local = [point - take(origin, row) for point, origin in zip(points.T, self.origin)]
        values, b = [], [torch.zeros_like(points[:, 0]) for _ in range(3)]
        for p in range(3):
            for q in range(p, 3):
                across = float(p == q) - directions[:, p] * directions[:, q]
                value = across * (weight * self.scale[p] * self.scale[q])
                values.append(value)
                b[p] += value * local[q]
                if p != q:
                    b[q] += value * local[p]
        values += b
        if on_gpu(row.device):
            from ..kernels.quadric_sums_triton import add_values

            add_values(self.sums, row, torch.stack(values))
            return
        for sums, value in zip(self.sums, values):
            sums.scatter_add_(0, row, value)

    def minimise(self) -> Tensor:
        """The minimum of each energy within the closed unit cube, float64 [3, N]."""
        x = torch.empty_like(self.sums[:3], memory_format=torch.contiguous_format)
        at_once = _VOXELS_AT_ONCE["cpu" if x.device.type == "cpu" else "cuda"]
        for part, sums, count in zip(*(values.split(at_once, -1) for values in (x, self.sums, self.count))):
            sums = sums.contiguous()
            for axis in range(3):
                sums[_ENTRY[axis][axis]] += count * self.squares[axis]
            torch.stack(_solve3(*sums), out=part)
            outside = ((part < 0) | (part > 1)).any(0).nonzero().squeeze(1)
            if len(outside):
                part[:, outside] = _constrained_minimum(sums.index_select(1, outside))
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
        given = (values[axis] for axis in range(3))
        x = [value if isinstance(value, Tensor) else b.new_full((), value) for value in given]
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
