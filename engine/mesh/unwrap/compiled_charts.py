# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``charts``. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled


@compiled
def matches(a: np.ndarray, b: np.ndarray, step: np.ndarray, scramble: np.ndarray, count: int) -> np.ndarray:
    """``charts._matches`` of edges [E] that are compared by ``step``, then ``scramble``, then number: the same bits."""
    best = np.full(count, -1, np.int64)
    for edge in range(len(a)):
        for cluster in (a[edge], b[edge]):
            other = best[cluster]
            if (
                other < 0
                or step[edge] < step[other]
                or (step[edge] == step[other] and scramble[edge] < scramble[other])
            ):
                best[cluster] = edge
    into = np.arange(count)
    for edge in range(len(a)):
        if best[a[edge]] == edge and best[b[edge]] == edge:
            into[b[edge]] = a[edge]
    return into


@compiled
def least_agreement(label: np.ndarray, facing: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The least product of a cluster's ``axis`` [C, 3] and the normal ``facing`` [F, 3] of a face of it, at most 1.

    Added in the order of ``numpy.einsum``: the same bits.
    """
    least = np.ones(len(axis))
    for face in range(len(label)):
        c = label[face]
        product = facing[face, 0] * axis[c, 0] + facing[face, 2] * axis[c, 2] + facing[face, 1] * axis[c, 1]
        least[c] = min(least[c], product)
    return least
