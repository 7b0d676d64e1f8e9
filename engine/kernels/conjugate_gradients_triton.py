# SPDX-License-Identifier: GPL-3.0-or-later
"""Conjugate gradients for many small systems beside each other: the loop of ``mesh.tensor_equations`` in one launch.

One program solves one system for one right side, from the first step to the last. In plain torch every step is some
twenty launches, each of which takes longer than its sums.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

LARGEST = 16_384
"""Systems of more unknowns are left alone: one multiprocessor would take longer for them than all together."""

_BLOCK, _WARPS = 1024, 16


@triton.jit(do_not_specialize=["unknowns", "systems", "most"])
def _solve(
    first,
    rows,
    column,
    weight,
    residual,
    direction,
    product,
    solution,
    enough,
    unknowns,
    systems,
    most,
    BLOCK: tl.constexpr,
):
    system, side = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    begin, end = tl.load(first + system), tl.load(first + system + 1)
    goal = tl.load(enough + side * systems + system)
    residual += side * unknowns
    direction += side * unknowns
    product += side * unknowns
    solution += side * unknowns
    total = tl.zeros((BLOCK,), tl.float64)
    for at in range(begin, end, BLOCK):
        here = at + tl.arange(0, BLOCK)
        rest = tl.load(residual + here, mask=here < end, other=0.0)
        total += rest * rest
    left = tl.sum(total)
    step = 0
    while (left > goal) & (step < most):
        total = tl.zeros((BLOCK,), tl.float64)
        for at in range(begin, end, BLOCK):
            here = at + tl.arange(0, BLOCK)
            listed = here < end
            way = tl.load(direction + here, mask=listed, other=0.0)
            item = tl.load(rows + here, mask=listed, other=0)
            last = tl.load(rows + here + 1, mask=listed, other=0)
            pull = tl.zeros((BLOCK,), tl.float64)
            for _ in range(tl.max(last - item)):
                live = item < last
                beside = tl.load(column + item, mask=live, other=0)
                by = tl.load(weight + item, mask=live, other=0.0)
                pull += by * tl.load(direction + beside, mask=live, other=0.0)
                item += 1
            pull = way - pull
            tl.store(product + here, pull, mask=listed)
            total += way * pull
        step_size = left / tl.maximum(tl.sum(total), 1e-300)
        # All threads of the program have read the directions and written what they need of each other.
        tl.debug_barrier()
        total = tl.zeros((BLOCK,), tl.float64)
        for at in range(begin, end, BLOCK):
            here = at + tl.arange(0, BLOCK)
            listed = here < end
            reached = tl.load(solution + here, mask=listed, other=0.0)
            reached += step_size * tl.load(direction + here, mask=listed, other=0.0)
            tl.store(solution + here, reached, mask=listed)
            rest = tl.load(residual + here, mask=listed, other=0.0)
            rest -= step_size * tl.load(product + here, mask=listed, other=0.0)
            tl.store(residual + here, rest, mask=listed)
            total += rest * rest
        before = left
        left = tl.sum(total)
        ratio = left / tl.maximum(before, 1e-300)
        tl.debug_barrier()
        for at in range(begin, end, BLOCK):
            here = at + tl.arange(0, BLOCK)
            listed = here < end
            way = ratio * tl.load(direction + here, mask=listed, other=0.0)
            tl.store(direction + here, way + tl.load(residual + here, mask=listed, other=0.0), mask=listed)
        tl.debug_barrier()
        step += 1


def solve(
    first: Tensor, rows: Tensor, column: Tensor, weight: Tensor, force: Tensor, enough: Tensor, most: int
) -> Tensor:
    """Solve x - W x = ``force`` float64 [V, 2] for the unknowns of each system; those of large systems stay zero.

    first int64 [C + 1]: where the unknowns of each system begin and the last ones end; ``rows`` int64 [V + 1]: the same
    for the entries of each row of W; ``column`` int64 [N] and ``weight`` float64 [N]: these entries. A system is solved
    when the squares of its residual add up to no more than ``enough`` float64 [C, 2], after at most ``most`` steps.
    Returns x float64 [V, 2].
    """
    systems, unknowns = len(enough), len(force)
    residual = force.T.contiguous()
    direction, product, solution = residual.clone(), torch.empty_like(residual), torch.zeros_like(residual)
    goal = torch.where((first.diff() > LARGEST)[:, None], torch.inf, enough).T.contiguous()
    if systems:
        _solve[(systems, 2)](
            first,
            rows,
            column,
            weight,
            residual,
            direction,
            product,
            solution,
            goal,
            unknowns,
            systems,
            most,
            BLOCK=_BLOCK,
            num_warps=_WARPS,
        )
    return solution.T.contiguous()
