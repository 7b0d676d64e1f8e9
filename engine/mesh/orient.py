# SPDX-License-Identifier: GPL-3.0-or-later
"""Winding: consistent within each connected piece, outward where that has a meaning.

A dual grid's quads carry no side (every one faces a negative axis), so the winding is found from the surface itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow, minimum_spanning_tree

from .manifold import separate_corners
from .sight import clearly_ahead
from .topology import EdgeTable, edge_table, face_vectors, half_edge_ends, label_components, unit

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
    left, right = table.pairs()
    tail, _ = half_edge_ends(faces)
    turned = (tail[left] == tail[right]).astype(np.int64)
    a, b = left // 3, right // 3
    cover = label_components(
        2 * count, np.concatenate([a, a + count]), np.concatenate([b + turned * count, b + (1 - turned) * count])
    )
    as_is, turned_over = cover[:count], cover[count:]
    _, first, piece = np.unique(np.minimum(as_is, turned_over), return_index=True, return_inverse=True)
    piece = piece.reshape(-1)
    orientable = as_is[first] != turned_over[first]
    flip = orientable[piece] & (as_is != as_is[first][piece])
    return Orientation(np.where(flip[:, None], faces[:, ::-1], faces), piece, orientable)


def open_seams(faces: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut pieces that are not orientable along as few and as sharp edges as a spanning tree finds.

    ``cost`` float [P] of every pair of ``edge_table(faces).pairs()``: low where the two faces should stay together.
    Faces are wound along the cheapest tree of each piece; the edges where windings then still disagree are opened.
    Returns faces int64 [F, 3] with new vertex numbers, for each new vertex the one it is a copy of, and the number of
    opened edges.
    """
    table = edge_table(faces)
    left, right = table.pairs()
    tail, _ = half_edge_ends(faces)
    turned = tail[left] == tail[right]
    count = len(faces)
    a, b = left // 3, right // 3
    # Two faces can share two edges; the graph keeps the cheaper one.
    order = np.lexsort((cost, np.maximum(a, b), np.minimum(a, b)))
    low, high = np.minimum(a, b)[order], np.maximum(a, b)[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    kept = order[first]
    graph = coo_matrix((1.0 + cost[kept], (low[first], high[first])), shape=(count, count))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    chosen = np.isin(low[first] * count + high[first], tree.row.astype(np.int64) * count + tree.col)
    a, b, flip = a[kept[chosen]], b[kept[chosen]], turned[kept[chosen]].astype(np.int64)
    cover = label_components(
        2 * count, np.concatenate([a, a + count]), np.concatenate([b + flip * count, b + (1 - flip) * count])
    )
    over = cover[:count] > cover[count:]
    agree = turned == (over[left // 3] != over[right // 3])
    wound = np.where(over[:, None], faces[:, ::-1], faces)
    # The half-edge between corners c and c + 1 of a face becomes the one between the same two corners turned over.
    place = np.arange(3 * count).reshape(-1, 3)
    place = np.where(over[:, None], place[:, [1, 0, 2]], place).reshape(-1)
    faces, copies = separate_corners(wound, place[left[agree]], place[right[agree]])
    return faces, copies, int((~agree).sum())


def part_by_sight(
    vertices: np.ndarray, surface: Orientation, edges: EdgeTable, seen: np.ndarray, voxel: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut pieces whose parts show different sides, and turn those parts over that show their backs.

    ``edges`` of the surface's faces; ``seen`` float64 [F, 2]: how much of a face's front and back shows (world units²,
    see sight.py), by the winding of ``surface``. The parts are a minimum cut: turning a part over must bring more area
    to show its front than its rim costs in length. What lies together in a voxel (of large surfaces in a block of
    voxels) stays together. Returns faces int64 [F, 3] with new vertex numbers, for each new vertex the one it is a copy
    of, and the number of opened edges.
    """
    faces, count = surface.faces, len(surface.orientable)
    gain = np.min([np.bincount(surface.piece, seen[:, side], minlength=count) for side in range(2)], axis=0)
    torn = surface.orientable & (gain > LEAST_GAIN * voxel**2)
    rows = np.flatnonzero(torn[surface.piece])
    if len(rows) == 0:
        return faces, np.arange(len(vertices)), 0
    number = np.full(len(faces), -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    left, right = edges.pairs()
    inner = number[left // 3] >= 0
    a, b, ends = left[inner] // 3, right[inner] // 3, edges.ends[edges.count == 2][inner]
    block = np.ceil(np.sqrt(len(rows) / MOST_NODES)) * voxel
    place = np.floor(vertices[faces[:, 0]] / block).astype(np.int32)
    joined = (place[a] == place[b]).all(axis=1)
    node = label_components(len(rows), number[a[joined]], number[b[joined]])
    shown = np.stack([np.bincount(node, seen[rows, side]) for side in range(2)], axis=1)
    wish = -clearly_ahead(shown) / voxel**2
    if np.maximum(wish, 0.0).sum() < LEAST_GAIN or np.maximum(-wish, 0.0).sum() < LEAST_GAIN:
        return faces, np.arange(len(vertices)), 0
    a, b, ends = a[~joined], b[~joined], ends[~joined]
    length = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1) / voxel
    cosine = np.einsum("pi,pi->p", *(unit(face_vectors(vertices, faces[side])) for side in (a, b)))
    cost = CUT_COST * block / voxel * length * np.exp(cosine - 1.0)
    turned = _minimum_cut(wish, node[number[a]], node[number[b]], cost)
    over = np.zeros(len(faces), dtype=bool)
    over[rows] = turned[node]
    wound = np.where(over[:, None], faces[:, ::-1], faces)
    left, right = edge_table(wound).pairs()
    kept = over[left // 3] == over[right // 3]
    if kept.all():
        return wound, np.arange(len(vertices)), 0
    return *separate_corners(wound, left[kept], right[kept]), int((~kept).sum())


def _minimum_cut(wish: np.ndarray, a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Choose nodes bool [N] so that the sum of their wishes less the cost of edges to others is the greatest.

    ``wish`` float64 [N] of either sign; edge n joins nodes a[n] and b[n] and has cost[n].
    """
    count = len(wish)
    wish = np.rint(wish * CAPACITY).astype(np.int64)
    staying, going = np.flatnonzero(wish < 0), np.flatnonzero(wish > 0)
    cost = np.maximum(np.rint(cost * CAPACITY).astype(np.int64), 1)
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
    turned = np.where(flip[piece][:, None], faces[:, ::-1], faces)
    return Orientation(turned, piece, surface.orientable), int(flip.sum())
