# SPDX-License-Identifier: GPL-3.0-or-later
"""``taken_apart.take_apart`` in torch, for graphics cards: the surface crosses once each way.

Two things stay on the processor, and only what they need goes there: how the few faces at crowded edges pair up, and
the minimum cut, whose nodes are what lies together in a voxel.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from ...kernels.host_arrays import home, upload
from ..surface.manifold import pair_around_edges
from ..surface.tensor_pieces import lengths_and_folds
from ..surface.tensor_reductions import Sums
from ..surface.tensor_topology import Edges, ends_of, fans, nodes, orientation
from ..surface.topology import EdgeTable
from . import orient
from .tensor_seams import joining_cost, opened, parted


def taken_apart(
    faces: Tensor, vertices: Tensor, hints: Tensor, seen: Tensor, voxel: float
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Edges, Tensor, Tensor, Tensor, Tensor, int]:
    """The fields of ``taken_apart.Parts``, in their order; the surface as its faces, their pieces and orientable."""
    before = faces
    faces, origin = _split(vertices, faces, hints)
    seams, edges = 0, Edges(faces)
    surface = orientation(faces, *edges.pairs())
    if not surface[2].all():
        cost = partial(joining_cost, vertices[origin], faces, hints)
        faces, copies, seams = opened(edges, cost, faces, *surface)
        origin, edges = origin[copies], Edges(faces)
        surface = orientation(faces, *edges.pairs())
    shown = _other_side(seen, origin[surface[0][:, 0]] != before[:, 0])
    if (over := _turned_by_sight(vertices[origin], surface, edges, shown, voxel)) is not None:
        wound, copies, cut = parted(edges, surface[0], over, faces)
        if cut:
            faces, origin, edges, seams = wound, origin[copies], Edges(wound), seams + cut
            surface = orientation(faces, *edges.pairs())
    over = origin[surface[0][:, 0]] != before[:, 0]
    turned = surface[0][:, 0] != faces[:, 0]
    hints = torch.where(over, -hints, hints)
    return vertices[origin], surface, edges, turned, hints, _other_side(seen, over), origin, seams


def _other_side(seen: Tensor, over: Tensor) -> Tensor:
    return torch.where(over[:, None], seen.flip(1), seen)


def _split(vertices: Tensor, faces: Tensor, hints: Tensor) -> tuple[Tensor, Tensor]:
    """``manifold.split_non_manifold``: the faces, and the vertex that each of theirs was."""
    edges = Edges(faces)
    crowded = (edges.count > 2).nonzero().squeeze(1)
    left, right = edges.pairs()
    if len(crowded) == 0:
        return fans(faces, left, right)
    extra = _pairs_around(vertices, faces, hints, edges, crowded)
    split, origin = fans(faces, torch.cat([left, extra[0]]), torch.cat([right, extra[1]]))
    at_crowded = (edges.count > 2)[edges.edge_of_half]
    tail, head = (ends[at_crowded] for ends in ends_of(split))
    key = torch.minimum(tail, head) * len(origin) + torch.maximum(tail, head)
    if int(torch.unique(key, return_counts=True)[1].max()) > 2:
        # Pairings that disagree along a chain of edges meet again at a vertex; such edges are cut open.
        split, copies = fans(split, *Edges(split).pairs())
        origin = origin[copies]
    return split, origin


def _pairs_around(vertices: Tensor, faces: Tensor, hints: Tensor, edges: Edges, crowded: Tensor) -> list[Tensor]:
    """``manifold.pair_around_edges``, on the processor, of the faces at ``crowded`` edges alone."""
    count = edges.count[crowded]
    start = count.cumsum(0) - count
    rank = torch.arange(int(count.sum()), device=count.device) - start.repeat_interleave(count)
    halves = edges.halves[edges.start[crowded].repeat_interleave(count) + rank]
    # Renumbered in their order, so that what comes first stays first.
    face, of_half = torch.unique(halves // 3, return_inverse=True)
    vertex, corners = torch.unique(faces[face], return_inverse=True)
    ends = torch.searchsorted(vertex, edges.ends[crowded])
    few = 3 * of_half + halves % 3
    table = EdgeTable(*map(home, (ends, count, few, start, crowded.new_empty(0))))
    pairs = pair_around_edges(*map(home, (vertices[vertex], corners)), table, home(hints[face]))
    return [3 * face[half // 3] + half % 3 for half in (upload(pair, faces.device) for pair in pairs)]


def _turned_by_sight(
    vertices: Tensor, surface: tuple[Tensor, Tensor, Tensor], edges: Edges, seen: Tensor, voxel: float
) -> Tensor | None:
    """The faces bool [F] that ``orient.part_by_sight`` turns over, None where it leaves all pieces whole."""
    faces, piece, orientable = surface
    gain = Sums(piece, len(orientable))(seen).amin(1)
    torn = (orientable & (gain > (1.0 + orient.TIE) * orient.LEAST_GAIN * voxel**2))[piece]
    count = int(torn.sum())
    if count == 0:
        return None
    block = math.ceil(math.sqrt(count / orient.MOST_NODES)) * voxel
    # By a tensor: torch multiplies by the reciprocal of a number, which rounds another way.
    place = (vertices / vertices.new_full((1,), block)).floor().long()
    place -= place.amin(0)
    _, height, depth = (place.amax(0) + 1).tolist()
    place = (place[:, 0] * height + place[:, 1]) * depth + place[:, 2]
    node, a, b, ends = nodes(edges, torn, place[faces[:, 0]])
    # Only the graph of nodes goes to the processor, with one edge between two of them.
    rows = torn.nonzero().squeeze(1)
    shown = Sums(node[rows], int(node.max()) + 1)(seen[rows])
    wish = orient.wishes(home(shown), voxel)
    if wish is None:
        return None
    length, cosine = lengths_and_folds(a, b, ends, faces, vertices)
    cost = orient.CUT_COST * block / voxel * (length / voxel) * (cosine - 1.0).exp()
    capacity = (cost * orient.CAPACITY + orient.TIE).round().long().clamp_min(1)
    pairs, of_pair = torch.unique(node[a] * len(wish) + node[b], return_inverse=True)
    cost = torch.zeros_like(pairs).scatter_add_(0, of_pair, capacity)
    turned = orient.minimum_cut(wish, *map(home, (pairs // len(wish), pairs % len(wish), cost)))
    return torn & upload(turned, faces.device)[node.clamp_min(0)]
