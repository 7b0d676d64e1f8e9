# SPDX-License-Identifier: GPL-3.0-or-later
"""``topology`` in torch, for graphics cards: the same integers as the functions named in each, on any device.

Sorts are stable, and what threads contend for are integer minima and single assignments, so no order of execution
changes anything. Faces are int64 [F, 3]; half-edges are numbered as in ``topology``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .tensor_reductions import firsts, marked, places
from .tensor_vectors import cross, dot, lengths


class Edges:
    """The arrays of ``topology.EdgeTable`` as tensors."""

    def __init__(self, faces: Tensor) -> None:
        tail, head = ends_of(faces)
        low, high = torch.minimum(tail, head), torch.maximum(tail, head)
        del tail, head
        vertices = int(high.max()) + 1 if len(high) else 1
        key, self.halves = torch.sort(low * vertices + high, stable=True)
        fresh = firsts(key)
        self.start = fresh.nonzero().squeeze(1)
        key = key[self.start]
        self.ends = torch.stack([key // vertices, key % vertices], 1)
        self.edge_of_half = torch.empty_like(self.halves)
        self.edge_of_half[self.halves] = fresh.cumsum(0) - 1
        self.count = torch.diff(self.start, append=self.start.new_tensor([len(self.halves)]))

    def pairs(self) -> tuple[Tensor, Tensor]:
        first = self.start[self.count == 2]
        return self.halves[first], self.halves[first + 1]

    def boundary(self) -> Tensor:
        return self.halves[self.start[self.count == 1]].sort().values

    def is_open(self) -> Tensor:
        return (self.count == 1)[self.edge_of_half]


def ends_of(faces: Tensor) -> tuple[Tensor, Tensor]:
    """``topology.half_edge_ends``."""
    return faces.reshape(-1), faces.roll(-1, 1).reshape(-1)


def roots(nodes: int, left: Tensor, right: Tensor) -> Tensor:
    """The lowest node of each node's component, int64 [nodes].

    Roots are hooked to the lowest root that they have an edge to, then all nodes are led to their roots, until no edge
    joins two of them.
    """
    parent = torch.arange(nodes, device=left.device)
    while len(left):
        left, right = parent[left], parent[right]
        low, high = torch.minimum(left, right), torch.maximum(left, right)
        apart = low != high
        left, right = low[apart], high[apart]
        parent.scatter_reduce_(0, right, left, "amin")
        while not torch.equal(further := parent[parent], parent):
            parent = further
    return parent


def components(nodes: int, left: Tensor, right: Tensor) -> Tensor:
    """``topology.label_components``."""
    root = roots(nodes, left, right)
    return places(root == torch.arange(nodes, device=root.device))[root]


def pieces(faces: Tensor, vertex_count: int) -> Tensor:
    """``topology.vertex_components``."""
    a, b, c = faces.unbind(1)
    root = roots(vertex_count, torch.cat([a, a]), torch.cat([b, c]))[a]
    return places(marked(vertex_count, root))[root]


def fans(faces: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """``manifold.separate_corners``."""
    tail, _ = ends_of(faces)
    same_way = tail[left] == tail[right]
    left_next, right_next = following(left), following(right)
    labels = components(
        len(tail),
        torch.cat([left, left_next]),
        torch.cat([torch.where(same_way, right, right_next), torch.where(same_way, right_next, right)]),
    )
    copies = tail.new_zeros(int(labels.max()) + 1 if len(labels) else 0)
    return labels.view(-1, 3), copies.scatter_reduce_(0, labels, tail, "amax")


def following(half: Tensor) -> Tensor:
    """The next half-edge of the same face."""
    return torch.where(half % 3 < 2, half + 1, half - 2)


def orientation(faces: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``orient.orient_consistently`` along the pairs of half-edges: faces, piece and orientable."""
    count = len(faces)
    tail, _ = ends_of(faces)
    turned = (tail[left] == tail[right]).long()
    a, b = left // 3, right // 3
    root = roots(2 * count, torch.cat([a, a + count]), torch.cat([b + turned * count, b + (1 - turned) * count]))
    as_is, over = root[:count], root[count:]
    # The lower of the roots of a piece's two covers is the piece's lowest face, as it is.
    lowest = torch.minimum(as_is, over)
    is_first = marked(count, lowest)
    piece, first = places(is_first)[lowest], is_first.nonzero().squeeze(1)
    orientable = as_is[first] != over[first]
    flip = orientable[piece] & (as_is != lowest)
    return torch.where(flip[:, None], faces.flip(1), faces), piece, orientable


def nodes(edges: Edges, torn: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``orient._nodes``."""
    edge = (edges.count == 2).nonzero().squeeze(1)
    a, b = edges.halves[edges.start[edge]] // 3, edges.halves[edges.start[edge] + 1] // 3
    inner = torn[a]
    a, b, edge = a[inner], b[inner], edge[inner]
    together = place[a] == place[b]
    root = roots(len(torn), a[together], b[together])
    number = places(torn & (root == torch.arange(len(torn), device=root.device)))
    return torch.where(torn, number[root], -1), a[~together], b[~together], edges.ends[edge[~together]]


def welded(vertices: Tensor, faces: Tensor, tolerance: float) -> tuple[Tensor, int]:
    """``clean.weld``."""
    # By a tensor: torch multiplies by the reciprocal of a number, which rounds another way.
    cell = (vertices / vertices.new_full((1,), tolerance)).round().long()
    cell -= cell.amin(0)
    span = cell.amax(0) + 1
    key, order = torch.sort((cell[:, 0] * span[1] + cell[:, 1]) * span[2] + cell[:, 2], stable=True)
    fresh = firsts(key)
    first = order[fresh]
    stands_for = torch.empty_like(order)
    stands_for[order] = first[fresh.cumsum(0) - 1]
    return stands_for[faces], len(vertices) - len(first)


def degenerate(faces: Tensor, vertices: Tensor, sliver_ratio: float) -> Tensor:
    """``clean.find_degenerate``."""
    a, b, c = faces.unbind(1)
    proper = (a != b) & (b != c) & (c != a)
    a, b, c = (vertices[corner].double() for corner in (a, b, c))
    first, second, third = b - a, c - a, c - b
    twice = cross(first, second)
    longest = torch.maximum(torch.maximum(dot(first, first), dot(second, second)), dot(third, third))
    return ~(proper & (0.5 * lengths(twice) > sliver_ratio * longest))


def duplicates(faces: Tensor) -> Tensor:
    """``clean.find_duplicates``."""
    low, middle, high = faces.sort(1).values.unbind(1)
    _, order = torch.sort(high, stable=True)
    key, again = torch.sort((low * (int(high.max()) + 1) + middle)[order], stable=True)
    order = order[again]
    fresh = firsts(key) | firsts(high[order])
    result = torch.empty_like(fresh)
    result[order] = ~fresh
    return result


def examined(
    faces: Tensor, vertices: Tensor, impossible: Tensor, tolerance: float, sliver_ratio: float
) -> tuple[Tensor, Tensor, dict[str, int]]:
    """What is left of ``faces``, welded and without flaws, which rows it was, and the counts: ``repair._examine``."""
    faces, merged = welded(vertices, faces, tolerance)
    rows = (~impossible).nonzero().squeeze(1)
    kept = ~degenerate(faces[rows], vertices, sliver_ratio)
    shaped = rows[kept]
    rows = shaped[~duplicates(faces[shaped])] if len(shaped) else shaped
    count = Edges(faces[rows]).count
    return (
        faces[rows],
        rows,
        {
            "impossible_faces": int(impossible.sum()),
            "welded_vertices": merged,
            "degenerate_faces": int((~kept).sum()),
            "duplicate_faces": len(shaped) - len(rows),
            "open_edges": int((count == 1).sum()),
            "crowded_edges": int((count > 2).sum()),
        },
    )
