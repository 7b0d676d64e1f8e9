# SPDX-License-Identifier: GPL-3.0-or-later
"""Winding: consistent within each connected piece, outward where that has a meaning.

A dual grid's quads carry no side (every one faces a negative axis), so the winding is found from the surface itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from .manifold import separate_corners
from .topology import EdgeTable, edge_table, face_vectors, half_edge_ends, label_components

# An open piece whose signed volume is below this fraction of its area times its size is a sheet: it has no inside.
SHEET_VOLUME = 0.02

# The share of a piece's area by which hints for one side must outweigh those for the other.
CLEAR_SHARE = 0.1


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
    vertices: np.ndarray, surface: Orientation, hints: np.ndarray | None = None
) -> tuple[Orientation, int]:
    """Turn whole pieces over so that they face outward; returns the surface and how many pieces were turned.

    ``hints`` int8 [F] tells which side of a face is outside (see sides.py); where they speak clearly for a piece they
    decide. Otherwise a piece with volume (closed, or open with a clear inside such as a bowl) gets a positive signed
    volume about its own centre. A flat sheet faces away from the object's centre, and up or to the front (-Y) where
    that is undecided.
    """
    faces, piece = surface.faces, surface.piece
    shape = _shape_of_pieces(vertices, surface)
    object_centre = (shape.area[:, None] * shape.centre).sum(axis=0) / shape.area.sum()
    away = np.einsum("pi,pi->p", shape.facing, shape.centre - object_centre)
    default = shape.facing @ np.array([0.01, -0.1, 1.0])

    vote = np.where(np.abs(away) > 0.05 * shape.area * max(float(shape.radius.max(initial=0.0)), 1e-300), away, default)
    vote = np.where(np.abs(shape.volume) > SHEET_VOLUME * shape.area * shape.radius, shape.volume, vote)
    if hints is not None:
        seen = np.bincount(piece, shape.face_area * hints, minlength=len(shape.area))
        vote = np.where(np.abs(seen) > CLEAR_SHARE * shape.area, seen, vote)
    flip = (vote < 0) & surface.orientable
    turned = np.where(flip[piece][:, None], faces[:, ::-1], faces)
    return Orientation(turned, piece, surface.orientable), int(flip.sum())
