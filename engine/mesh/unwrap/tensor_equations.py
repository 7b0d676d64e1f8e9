# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse symmetric systems of many charts at once, in torch, for graphics cards: solved by conjugate gradients.

The directions of each chart are conjugate for themselves and each chart stops when it is solved, so charts do not know
of each other; every sum is added in a fixed order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...kernels import choice
from ..surface.tensor_reductions import Sums

_MOST_STEPS = 2000
# The kernel goes so much further, so that its residual counts as small when it is computed anew.
_AHEAD = 0.25
# Steps after which is asked whether all are solved: to ask costs as much as a step.
_STEPS_AT_ONCE = 8


class Equations:
    """diagonal[i] x[i] - sum of weight[n] x[column[n]] over the entries n of row i = force[i], positive definite.

    Held scaled to a diagonal of ones: S A S with S = diagonal^-1/2.
    """

    def __init__(self, row: Tensor, column: Tensor, weight: Tensor, diagonal: Tensor, of_point: Tensor) -> None:
        """row int64 [N], ascending, column int64 [N], weight float64 [N]; diagonal float64 [V]; ``of_point`` int64 [V],
        ascending: the chart of each unknown.
        """
        count, charts = len(of_point), int(of_point[-1]) + 1
        self.scale = diagonal.rsqrt()[:, None]
        scaled = weight[:, None] * self.scale[row] * self.scale[column]
        first, rows = (
            torch.searchsorted(names, torch.arange(size + 1, device=names.device))
            for names, size in ((of_point, charts), (row, count))
        )
        self.matrix = first, rows, column, scaled
        """What the kernel takes."""
        self.by_chart = Sums(of_point, charts, ascending=True)
        self._by_row = Sums(row, count, ascending=True)
        self._of_point = of_point

    def solve(self, force: Tensor, scale: Tensor, share: float) -> Tensor:
        """x float64 [V, 2] for ``force`` [V, 2], up to a ``share`` of the forces ``scale`` [V, 2] in each chart."""
        enough = share**2 * self.by_chart((self.scale * scale).square())
        force = self.scale * force
        found, residual = torch.zeros_like(force), force
        if choice.serve_tensors(force):
            from ...kernels.conjugate_gradients_triton import solve

            found = solve(*self.matrix, force, _AHEAD * enough, _MOST_STEPS)
            # What is not solved, large systems among it, goes on from here.
            residual = force - self.times(found)
        direction = residual
        left = self.by_chart(residual * residual)
        for step in range(_MOST_STEPS):
            if step % _STEPS_AT_ONCE == 0 and not (left > enough).any():
                break
            product = self.times(direction)
            step_size = left / self.by_chart(direction * product).clamp_min(1e-300)
            step_size = torch.where(left > enough, step_size, 0.0)[self._of_point]
            found = torch.addcmul(found, step_size, direction)
            residual = torch.addcmul(residual, step_size, product, value=-1.0)
            before, left = left, self.by_chart(residual * residual)
            direction = torch.addcmul(residual, (left / before.clamp_min(1e-300))[self._of_point], direction)
        return self.scale * found

    def times(self, x: Tensor) -> Tensor:
        """The scaled matrix times ``x`` [V, 2]."""
        _, _, column, weight = self.matrix
        return x - self._by_row(weight * x[column])
