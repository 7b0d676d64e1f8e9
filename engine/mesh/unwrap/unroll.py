# SPDX-License-Identifier: GPL-3.0-or-later
"""Unrolls tubes: two charts that meet along two sides, like the halves of a wire, are laid side by side at one.

The other side becomes a seam within the new chart.
"""

from __future__ import annotations

import numpy as np

from ..surface.topology import label_components
from .widths import narrowest


def unrolled(
    faces: np.ndarray,
    exact: np.ndarray,
    uv: np.ndarray,
    pair: np.ndarray,
    second: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay the second chart of every pair beside the first, along the longest way that both go together.

    faces int64 [F, 3] of ``exact`` [V, 3]; uv float64 [F, 3, 2]: every chart in a frame of its own; pair int64 [F];
    second bool [F]: whether a face is of the pair's second chart; left, right: half-edges [P] of neighbours in a pair.
    That way ends where the first chart is at its ends. Returns uv with the second charts turned and moved (not
    mirrored), and which half-edges are no part of a chart or of that way, bool [P]: the seam.
    """
    f, g = left // 3, right // 3
    border = np.flatnonzero(second[f] != second[g])
    swap = second[f[border]]
    one, other = np.where(swap, right[border], left[border]), np.where(swap, left[border], right[border])
    of, count = pair[one // 3], int(pair.max()) + 1
    ends = np.stack([_corner(faces, one, 0), _corner(faces, one, 1)], 1)
    length = np.linalg.norm(exact[ends[:, 0]] - exact[ends[:, 1]], axis=1)
    here = np.stack([_corner(uv, one, 0), _corner(uv, one, 1)], 1)
    there = np.stack([_corner(uv, other, 1), _corner(uv, other, 0)], 1)
    first = ~second
    angle = narrowest(uv[first], pair[first], count)[0][of]
    way = _longest_way(of, ends, (here * np.stack([np.cos(angle), np.sin(angle)], 1)[:, None]).sum(axis=2), length)
    seam = np.zeros(len(left), dtype=bool)
    seam[border[~way]] = True

    here, there = (points[way] @ [1.0, 1.0j] for points in (here, there))
    of, weight = of[way], length[way]
    total = np.maximum(np.bincount(of, weight, minlength=count), 1e-300)

    def mean(values: np.ndarray) -> np.ndarray:
        values = values.mean(axis=1) * weight
        return (
            np.bincount(of, values.real, minlength=count) + 1j * np.bincount(of, values.imag, minlength=count)
        ) / total

    here_mean, there_mean = mean(here), mean(there)
    turn = mean((here - here_mean[of][:, None]) * np.conj(there - there_mean[of][:, None]))
    turn /= np.maximum(np.abs(turn), 1e-300)
    moved = here_mean[pair][:, None] + turn[pair][:, None] * (uv @ [1.0, 1.0j] - there_mean[pair][:, None])
    moved = np.stack([moved.real, moved.imag], axis=-1)
    return np.where(second[:, None, None], moved, uv), seam


def _longest_way(of: np.ndarray, ends: np.ndarray, along: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Of the border edges [B] of each pair ``of`` the longest chain, bool [B].

    Chains end at the vertices ``ends`` int64 [B, 2] that lie first and last ``along`` [B, 2].
    """
    size = int(ends.max(initial=0)) + 1
    keys, node = np.unique(of[:, None] * size + ends, return_inverse=True)
    node = node.reshape(-1)
    order = np.lexsort((node, along.reshape(-1), np.repeat(of, 2)))
    groups = np.repeat(of, 2)[order]
    stop = np.zeros(len(keys), dtype=bool)
    stop[node[order[np.diff(groups, prepend=-1) != 0]]] = True
    stop[node[order[np.diff(groups, append=-1) != 0]]] = True
    edge, inner = np.repeat(np.arange(len(of)), 2), ~stop[node]
    chain = label_components(len(of) + len(keys), edge[inner], len(of) + node[inner])[: len(of)]
    total = np.bincount(chain, length)
    order = np.lexsort((chain, -total[chain], of))
    best = np.full(int(of.max(initial=-1)) + 1, -1, dtype=np.int64)
    first = order[np.diff(of[order], prepend=-1) != 0]
    best[of[first]] = chain[first]
    return chain == best[of]


def _corner(values: np.ndarray, half: np.ndarray, step: int) -> np.ndarray:
    """Take of ``values`` [F, 3, ...] the corner that half-edges begin (``step`` 0) or end at (1)."""
    return values[half // 3, (half % 3 + step) % 3]
