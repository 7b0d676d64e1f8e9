# SPDX-License-Identifier: GPL-3.0-or-later
"""``orient.open_seams`` in torch, for graphics cards: where a surface without sides of its own is cut.

The cheapest spanning forest is grown from all faces at once (Borůvka, 1926): in each round every tree takes its
cheapest edge. With the edges in one order, the cheapest first, there is only one such forest.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..surface.tensor_topology import Edges, ends_of, fans, roots
from ..surface.tensor_vectors import dot, face_vectors, unit


def opened(
    edges: Edges,
    cost_of: Callable[[Tensor, Tensor], Tensor],
    faces: Tensor,
    wound: Tensor,
    piece: Tensor,
    orientable: Tensor,
) -> tuple[Tensor, Tensor, int]:
    """``orient.open_seams``; ``wound``, ``piece`` and ``orientable``: the surface; ``edges`` of ``faces``."""
    count = len(faces)
    left, right = edges.pairs()
    inner = (~orientable[piece])[left // 3].nonzero().squeeze(1)
    first, second = left[inner], right[inner]
    tail, _ = ends_of(faces)
    turned = tail[first] == tail[second]
    cost = cost_of(first, second)
    a, b = first // 3, second // 3
    # Of faces that share two edges the dearer one comes later, so it joins nothing any more.
    order = torch.sort(torch.minimum(a, b) * count + torch.maximum(a, b), stable=True).indices
    order = order[torch.sort(cost[order], stable=True).indices]
    tree = order[spanning_forest(count, a[order], b[order])]
    flip = turned[tree].long() * count
    x, y = a[tree], b[tree]
    root = roots(2 * count, torch.cat([x, x + count]), torch.cat([y + flip, y + count - flip]))
    over = torch.where(orientable[piece], wound[:, 0] != faces[:, 0], root[:count] > root[count:])
    agree = torch.ones(len(left), dtype=torch.bool, device=faces.device)
    agree[inner] = turned == (over[a] != over[b])
    halves = (_half_edges_after(half[agree], over) for half in (left, right))
    return *fans(torch.where(over[:, None], faces.flip(1), faces), *halves), int((~agree).sum())


def parted(edges: Edges, faces: Tensor, over: Tensor, before: Tensor) -> tuple[Tensor, Tensor, int]:
    """What ``orient.part_by_sight`` returns once it knows which ``faces`` to turn ``over`` bool [F]."""
    left, right = edges.pairs()
    kept = over[left // 3] == over[right // 3]
    wound = torch.where(over[:, None], faces.flip(1), faces)
    turned = wound[:, 0] != before[:, 0]
    halves = (_half_edges_after(half[kept], turned) for half in (left, right))
    return *fans(wound, *halves), int((~kept).sum())


def spanning_forest(nodes: int, a: Tensor, b: Tensor) -> Tensor:
    """Which of the edges int64 [P] between nodes ``a`` and ``b`` [P], the cheapest first, make the cheapest forest."""
    tree = torch.arange(nodes, device=a.device)
    rank, chosen = torch.arange(len(a), device=a.device), torch.zeros(len(a), dtype=torch.bool, device=a.device)
    while len(rank):
        cheapest = torch.full_like(tree, len(chosen))
        for side in (a, b):
            cheapest.scatter_reduce_(0, side, rank, "amin")
        best = (cheapest[a] == rank) | (cheapest[b] == rank)
        chosen[rank[best]] = True
        tree = roots(nodes, a[best], b[best])
        a, b = tree[a], tree[b]
        apart = a != b
        a, b, rank = a[apart], b[apart], rank[apart]
    return chosen.nonzero().squeeze(1)


def joining_cost(vertices: Tensor, faces: Tensor, hints: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``taken_apart._joining_cost``."""
    tail, _ = ends_of(faces)
    same = torch.where(tail[left] == tail[right], -1, 1)
    a, b = left // 3, right // 3
    normal = unit(face_vectors(vertices, faces))
    fold = 1.0 - same * dot(normal[a], normal[b])
    hinted = hints[a] * hints[b] * same
    return torch.where(hinted > 0, 0.1 * fold, torch.where(hinted < 0, 10.0 + fold, 1.0 + fold))


def _half_edges_after(half: Tensor, over: Tensor) -> Tensor:
    """``orient._half_edges_after``."""
    corner = half % 3
    return half + torch.where(corner == 2, 0, 1 - 2 * corner) * over[half // 3]
