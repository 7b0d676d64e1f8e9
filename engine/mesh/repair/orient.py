# SPDX-License-Identifier: GPL-3.0-or-later
"""Winding: consistent within each connected piece, outward where that has a meaning.

A dual grid's quads carry no side (every one faces a negative axis), so the winding is found from the surface itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow, minimum_spanning_tree
from torch import Tensor

from ...kernels.host_arrays import home, on_card, upload
from ..surface import tensor_pieces, tensor_topology
from ..surface.manifold import separate_corners
from ..surface.topology import (
    EdgesOnCard,
    EdgeTable,
    compiled_loops,
    edge_table,
    face_vectors,
    half_edge_ends,
    label_components,
    unit,
)
from . import tensor_seams
from .sight import clearly_ahead

# An open piece whose signed volume is below this fraction of its area times its size is a sheet: it has no inside.
SHEET_VOLUME = 0.02

# The share of a piece's area by which hints for one side must outweigh those for the other, and by which one side must
# show more than the other.
CLEAR_SHARE = 0.1
SHOWN_SHARE = 0.01

# A cut as long as a block (see MOST_NODES) is wide, through a flat surface, must bring so much more area (blocks²) to
# show its front; over a fold it may bring less.
CUT_COST = 1.0

# Pieces where no cut could bring this much (voxels²) are left whole.
LEAST_GAIN = 4.0

# Capacities are whole numbers: so many to a voxel².
CAPACITY = 100

# Added to what is rounded to a capacity, and as a share to a limit: sums of whole pixels lie exactly between two often,
# and the order in which they were added up must not decide.
TIE = 1e-6

# Faces for which a block is a voxel; of more, blocks are as large as brings them to about so many.
MOST_NODES = 100_000


@dataclass(frozen=True)
class Orientation:
    """faces int64 [F, 3] wound anew, piece int64 [F] (connected through manifold edges), orientable bool [pieces]."""

    faces: np.ndarray
    piece: np.ndarray
    orientable: np.ndarray


def orient_consistently(faces: np.ndarray, table: EdgeTable | None = None) -> Orientation:
    """Wind faces so that neighbours across an edge of two faces run along it in opposite directions.

    Parity over manifold edges as components of the double cover: every face stands twice, as it is and turned over;
    neighbours connect the copies that agree. A piece whose two copies fall together is not orientable (a Möbius band)
    and stays as it is. The lowest face of each piece keeps its winding. ``table``: the faces' edges, where known.
    """
    count = len(faces)
    table = table or edge_table(faces)
    if isinstance(table, EdgesOnCard) and (
        found := on_card(lambda tensor: tensor_topology.orientation(tensor, *table.tensors.pairs()), faces)
    ):
        return Orientation(*found)
    left, right = table.pairs()
    if loops := compiled_loops(len(faces)):
        return Orientation(*loops.orientation(np.ascontiguousarray(faces), left, right))
    tail, _ = half_edge_ends(faces)
    turned = (tail[left] == tail[right]).astype(np.int64)
    a, b = left // 3, right // 3
    cover = label_components(
        2 * count, np.concatenate([a, a + count]), np.concatenate([b + turned * count, b + (1 - turned) * count])
    )
    as_is, turned_over = cover[:count], cover[count:]
    lowest = np.minimum(as_is, turned_over)
    present = np.zeros(2 * count, dtype=bool)
    present[lowest] = True
    piece = (np.cumsum(present) - 1)[lowest]
    first = np.empty(int(present.sum()), dtype=np.int64)
    # Of repeated indices the last assignment stays: in reversed order that is the lowest face.
    first[piece[::-1]] = np.arange(count)[::-1]
    orientable = as_is[first] != turned_over[first]
    flip = orientable[piece] & (as_is != as_is[first][piece])
    return Orientation(turned_faces(faces, flip), piece, orientable)


def open_seams(
    faces: np.ndarray,
    surface: Orientation,
    table: EdgeTable,
    cost_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut pieces that are not orientable along as few and as sharp edges as a spanning tree finds.

    ``surface``: what ``orient_consistently`` made of ``faces`` and their edges ``table``. ``cost_of`` pairs of
    half-edges int64 [P] each: float [P], low where the two faces should stay together; of equally cheap pairs the first
    ones stay. Faces are wound along the cheapest tree of each piece; the edges where windings then still disagree are
    opened. Returns faces int64 [F, 3] with new vertex numbers, for each new vertex the one it is a copy of, and the
    number of opened edges.
    """
    if isinstance(table, EdgesOnCard):

        def cost_on_card(*pairs: Tensor) -> Tensor:
            return upload(cost_of(*map(home, pairs)), pairs[0].device)

        arrays = faces, surface.faces, surface.piece, surface.orientable
        if found := on_card(lambda *tensors: tensor_seams.opened(table.tensors, cost_on_card, *tensors), *arrays):
            return found
    left, right = table.pairs()
    loose = ~surface.orientable[surface.piece]
    count, number = int(loose.sum()), np.cumsum(loose) - 1
    inner = np.flatnonzero(loose[left // 3])
    first_half, second_half = left[inner], right[inner]
    tail = faces.reshape(-1)
    turned = tail[first_half] == tail[second_half]
    cost = cost_of(first_half, second_half)
    a, b = number[first_half // 3], number[second_half // 3]
    over = which_turned(surface.faces, faces)
    over[loose] = _turned_along_tree(a, b, cost, turned, count)
    agree = np.ones(len(left), dtype=bool)
    agree[inner] = turned == (over[first_half // 3] != over[second_half // 3])
    faces, copies = separate_corners(
        turned_faces(faces, over), _half_edges_after(left[agree], over), _half_edges_after(right[agree], over)
    )
    return faces, copies, int((~agree).sum())


def _turned_along_tree(a: np.ndarray, b: np.ndarray, cost: np.ndarray, turned: np.ndarray, count: int) -> np.ndarray:
    """Which of ``count`` faces are turned against the lowest one of their piece along its cheapest tree, bool.

    Faces a [P] and b [P] are neighbours, ``turned`` bool [P] against each other, at ``cost`` [P]; of equally cheap
    pairs the one of the lowest faces comes first, then the first.
    """
    low, high = np.minimum(a, b), np.maximum(a, b)
    if loops := compiled_loops(len(a)):
        return loops.spanning_turns(_cheapest_first(cost, low * count + high), a, b, turned, count)
    # Two faces can share two edges; the graph keeps the cheaper one.
    order = np.lexsort((cost, high, low))
    low, high = low[order], high[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    kept = order[first]
    rank = np.empty(len(kept))
    rank[np.argsort(cost[kept], kind="stable")] = np.arange(1, len(kept) + 1)
    graph = coo_matrix((rank, (low[first], high[first])), shape=(count, count))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    chosen = np.isin(low[first] * count + high[first], tree.row.astype(np.int64) * count + tree.col)
    a, b, flip = a[kept[chosen]], b[kept[chosen]], turned[kept[chosen]].astype(np.int64)
    cover = label_components(
        2 * count, np.concatenate([a, a + count]), np.concatenate([b + flip * count, b + (1 - flip) * count])
    )
    return cover[:count] > cover[count:]


def _cheapest_first(cost: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The order int64 [P] by cost, then key, then place: only what costs the same is sorted by the others."""
    order = np.argsort(cost)
    same = cost[order[1:]] == cost[order[:-1]]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, key[rows], cost[rows]))]
    return order


def turned_faces(faces: np.ndarray, over: np.ndarray) -> np.ndarray:
    """The faces [F, 3], those that are ``over`` bool [F] with their corners in reverse."""
    return np.where(over[:, None], faces[:, ::-1], faces)


def which_turned(faces: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Tell which faces [F, 3] are those of ``before`` turned over, bool [F]."""
    return faces[:, 0] != before[:, 0]


def _half_edges_after(half: np.ndarray, over: np.ndarray) -> np.ndarray:
    """What half-edges are called once faces ``over`` bool [F] are turned over: those at corners 0 and 1 change
    places."""
    return half + np.array([1, -1, 0])[half % 3] * over[half // 3]


def part_by_sight(
    vertices: np.ndarray, surface: Orientation, before: np.ndarray, edges: EdgeTable, seen: np.ndarray, voxel: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut pieces whose parts show different sides, and turn those parts over that show their backs.

    ``edges`` of the faces ``before`` they were wound; ``seen`` float64 [F, 2]: how much of a face's front and back
    shows (world units², see sight.py), by the winding of ``surface``. The parts are a minimum cut: turning a part over
    must bring more area to show its front than its rim costs in length. What lies together in a voxel (of large
    surfaces in a block of voxels) stays together. Returns faces int64 [F, 3] with new vertex numbers, for each new
    vertex the one it is a copy of, and the number of opened edges.
    """
    faces, count = surface.faces, len(surface.orientable)
    gain = np.min([np.bincount(surface.piece, seen[:, side], minlength=count) for side in range(2)], axis=0)
    torn = surface.orientable & (gain > (1.0 + TIE) * LEAST_GAIN * voxel**2)
    rows = np.flatnonzero(torn[surface.piece])
    if len(rows) == 0:
        return faces, np.arange(len(vertices)), 0
    block = np.ceil(np.sqrt(len(rows) / MOST_NODES)) * voxel
    place = np.floor(vertices / block).astype(np.int64)
    place -= place.min(axis=0)
    x, y, z = place.T
    _, height, depth = place.max(axis=0) + 1
    node, a, b, ends = _nodes(edges, torn[surface.piece], ((x * height + y) * depth + z)[faces[:, 0]])
    wish = wishes(np.stack([np.bincount(node[rows], seen[rows, side]) for side in range(2)], axis=1), voxel)
    if wish is None:
        return faces, np.arange(len(vertices)), 0
    length = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1) / voxel
    cosine = np.einsum("pi,pi->p", *(unit(face_vectors(vertices, faces[side])) for side in (a, b)))
    cost = CUT_COST * block / voxel * length * np.exp(cosine - 1.0)
    capacity = np.maximum(np.rint(cost * CAPACITY + TIE).astype(np.int64), 1)
    turned = minimum_cut(wish, node[a], node[b], capacity)
    over = np.zeros(len(faces), dtype=bool)
    over[rows] = turned[node[rows]]
    wound = turned_faces(faces, over)
    left, right = edges.pairs()
    kept = over[left // 3] == over[right // 3]
    if kept.all():
        return wound, np.arange(len(vertices)), 0
    over = which_turned(wound, before)
    left, right = _half_edges_after(left[kept], over), _half_edges_after(right[kept], over)
    return *separate_corners(wound, left, right), int((~kept).sum())


def _nodes(
    edges: EdgeTable, torn: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Join neighbours of the faces ``torn`` bool [F] that lie in one ``place`` int64 [F].

    Returns the node of each face int64 [F], numbered by their lowest faces, -1 of others; and the pairs of torn
    neighbours in two places: faces a and b int64 [P] and the ends of the edge between them int64 [P, 2].
    """
    if isinstance(edges, EdgesOnCard) and (
        found := on_card(lambda *arrays: tensor_topology.nodes(edges.tensors, *arrays), torn, place)
    ):
        return found
    if loops := compiled_loops(len(torn)):
        node, a, b, edge = loops.nodes(edges.count, edges.start, edges.halves, torn, place)
        return node, a, b, edges.ends[edge]
    left, right = edges.pairs()
    inner = torn[left // 3]
    a, b, ends = left[inner] // 3, right[inner] // 3, edges.ends[edges.count == 2][inner]
    together = place[a] == place[b]
    label = label_components(len(torn), a[together], b[together])
    present = np.zeros(len(torn), dtype=bool)
    present[label[torn]] = True
    return np.where(torn, (np.cumsum(present) - 1)[label], -1), a[~together], b[~together], ends[~together]


def wishes(shown: np.ndarray, voxel: float) -> np.ndarray | None:
    """How much more nodes would show once they are turned over, int64 [N], of what they show, float64 [N, 2].

    None where turning some over cannot bring enough.
    """
    wish = -clearly_ahead(shown) / voxel**2
    if min(np.maximum(wish, 0.0).sum(), np.maximum(-wish, 0.0).sum()) < (1.0 - TIE) * LEAST_GAIN:
        return None
    return np.rint(wish * CAPACITY + TIE).astype(np.int64)


def minimum_cut(wish: np.ndarray, a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Choose nodes bool [N] so that the sum of their wishes less the cost of edges to others is the greatest.

    ``wish`` int64 [N] of either sign; edge n joins nodes a[n] and b[n] and has cost[n], int64.
    """
    count = len(wish)
    staying, going = np.flatnonzero(wish < 0), np.flatnonzero(wish > 0)
    tails = np.concatenate([np.full(len(staying), count), going, a, b])
    heads = np.concatenate([staying, np.full(len(going), count + 1), b, a])
    capacity = np.concatenate([-wish[staying], wish[going], cost, cost]).astype(np.int32)
    graph = coo_matrix((capacity, (tails, heads)), shape=(count + 2, count + 2)).tocsr()
    left_over = graph - maximum_flow(graph, count, count + 1).flow
    left_over.eliminate_zeros()
    chosen = np.ones(count + 2, dtype=bool)
    chosen[breadth_first_order(left_over, count, return_predecessors=False)] = False
    return chosen[:count]


def sheet_pieces(vertices: np.ndarray, surface: Orientation, edges: EdgeTable) -> np.ndarray:
    """Tell which pieces are single sheets: open and without an inside worth the name, bool [pieces].

    ``edges`` of the surface's faces. What is seen from both sides needs a material that shows on both.
    """
    sheet = np.zeros(len(surface.orientable), dtype=bool)
    sheet[surface.piece[edges.boundary() // 3]] = True
    if sheet.any():
        shape = _shape_of_pieces(vertices, surface)
        sheet &= np.abs(shape.volume) <= SHEET_VOLUME * shape.area * shape.radius
    return sheet


@dataclass(frozen=True)
class _Shape:
    """Of every piece: area [P], centre [P, 3] (by area), signed volume about it, root mean square distance from it and
    summed area vectors [P, 3]."""

    area: np.ndarray
    centre: np.ndarray
    volume: np.ndarray
    radius: np.ndarray
    facing: np.ndarray
    face_area: np.ndarray


def _shape_of_pieces(vertices: np.ndarray, surface: Orientation) -> _Shape:
    faces, piece = surface.faces, surface.piece
    count = len(surface.orientable)
    if found := on_card(lambda *arrays: tensor_pieces.shapes(*arrays, count), faces, piece, vertices):
        return _Shape(*found)
    if loops := compiled_loops(len(faces)):
        return _Shape(*loops.shapes(np.ascontiguousarray(vertices, dtype=np.float64), faces, piece, count))
    area_vector = face_vectors(vertices, faces)
    area = np.linalg.norm(area_vector, axis=1)
    middle = (vertices[faces[:, 0]] + vertices[faces[:, 1]] + vertices[faces[:, 2]]) / 3.0

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(piece, weights, minlength=count)

    piece_area = np.maximum(total(area), 1e-300)
    centre = np.stack([total(area * middle[:, i]) for i in range(3)], 1) / piece_area[:, None]
    from_centre = middle - centre[piece]
    volume = total(np.einsum("fi,fi->f", area_vector, from_centre)) / 3.0
    radius = np.sqrt(total(area * np.einsum("fi,fi->f", from_centre, from_centre)) / piece_area)
    facing = np.stack([total(area_vector[:, i]) for i in range(3)], 1)
    return _Shape(piece_area, centre, volume, radius, facing, area)


def orient_outward(
    vertices: np.ndarray, surface: Orientation, hints: np.ndarray | None = None, seen: np.ndarray | None = None
) -> tuple[Orientation, int]:
    """Turn whole pieces over so that they face outward; returns the surface and how many pieces were turned.

    ``seen`` float64 [F, 2] tells how much of a face's front and back shows (see sight.py), ``hints`` int8 [F] which
    side of a face is outside (see sides.py); where they speak clearly for a piece they decide, in this order.
    Otherwise a piece with volume (closed, or open with a clear inside such as a bowl) gets a positive signed volume
    about its own centre. A flat sheet faces away from the object's centre, and up or to the front (-Y) where that is
    undecided.
    """
    faces, piece = surface.faces, surface.piece
    shape = _shape_of_pieces(vertices, surface)
    object_centre = (shape.area[:, None] * shape.centre).sum(axis=0) / shape.area.sum()
    away = np.einsum("pi,pi->p", shape.facing, shape.centre - object_centre)
    default = shape.facing @ np.array([0.01, -0.1, 1.0])

    vote = np.where(np.abs(away) > 0.05 * shape.area * max(float(shape.radius.max(initial=0.0)), 1e-300), away, default)
    vote = np.where(np.abs(shape.volume) > SHEET_VOLUME * shape.area * shape.radius, shape.volume, vote)
    if hints is not None:
        hinted = np.bincount(piece, shape.face_area * hints, minlength=len(shape.area))
        vote = np.where(np.abs(hinted) > CLEAR_SHARE * shape.area, hinted, vote)
    if seen is not None:
        shown = np.bincount(piece, seen[:, 0] - seen[:, 1], minlength=len(shape.area))
        vote = np.where(np.abs(shown) > SHOWN_SHARE * shape.area, shown, vote)
    flip = (vote < 0) & surface.orientable
    turned = turned_faces(faces, flip[piece])
    return Orientation(turned, piece, surface.orientable), int(flip.sum())
