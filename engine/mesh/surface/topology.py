# SPDX-License-Identifier: GPL-3.0-or-later
"""Who touches whom in a triangle list: edges, manifold pairs, components.

Everything is sorted, never hashed or filled in parallel, so the same faces always give the same order. Half-edge
``h = 3 * f + c`` runs from corner ``c`` of face ``f`` to the next corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from ...kernels.host_arrays import home, on_card
from ..compilation import in_portions, load_loops
from . import tensor_topology

# Faces or pairs below which the compiled loops are not worth loading.
WORTHWHILE = 100_000


@dataclass(frozen=True)
class EdgeTable:
    """Undirected edges of a triangle list.

    ends: int64 [E, 2], the smaller vertex first. count: int64 [E], faces at the edge.
    halves: int64 [3F], half-edges grouped by edge (within an edge ascending); group ``e`` starts at ``start[e]``.
    edge_of_half: int64 [3F].
    """

    ends: np.ndarray
    count: np.ndarray
    halves: np.ndarray
    start: np.ndarray
    edge_of_half: np.ndarray

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the two half-edges of every edge that exactly two faces share, int64 [P] each."""
        if loops := compiled_loops(len(self.halves)):
            return loops.pairs(self.count, self.start, self.halves)
        first = self.start[self.count == 2]
        return self.halves[first], self.halves[first + 1]

    def boundary(self) -> np.ndarray:
        """Return the half-edges that have no partner, ascending, int64 [B]."""
        return np.sort(self.halves[self.start[self.count == 1]])

    def is_open(self) -> np.ndarray:
        """Tell which half-edges have no partner, bool [3F]."""
        return (self.count == 1)[self.edge_of_half]


class EdgesOnCard(EdgeTable):
    """The same with ``tensors`` on a graphics card, of which each comes home when it is first asked for."""

    def __init__(self, tensors: tensor_topology.Edges) -> None:
        object.__setattr__(self, "tensors", tensors)

    ends = cached_property(lambda self: home(self.tensors.ends))
    count = cached_property(lambda self: home(self.tensors.count))
    halves = cached_property(lambda self: home(self.tensors.halves))
    start = cached_property(lambda self: home(self.tensors.start))
    edge_of_half = cached_property(lambda self: home(self.tensors.edge_of_half))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        try:
            return home(self.tensors.pairs())
        except torch.OutOfMemoryError:
            return super().pairs()

    def boundary(self) -> np.ndarray:
        try:
            return home(self.tensors.boundary())
        except torch.OutOfMemoryError:
            return super().boundary()

    def is_open(self) -> np.ndarray:
        try:
            return home(self.tensors.is_open())
        except torch.OutOfMemoryError:
            return super().is_open()


def compiled_loops(size: int) -> ModuleType | None:
    """The module ``compiled_topology`` where it is worth loading and numba is there."""
    return load_loops("surface.compiled_topology") if size > WORTHWHILE else None


def half_edge_ends(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last vertex of every half-edge, int64 [3F] each."""
    faces = faces.astype(np.int64, copy=False)
    return faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)


def edge_table(faces: np.ndarray) -> EdgeTable:
    """Build the table of ``faces`` int [F, 3]; no face may repeat a vertex."""
    if tensors := on_card(tensor_topology.Edges, faces.astype(np.int64, copy=False)):
        return EdgesOnCard(tensors)
    if loops := compiled_loops(len(faces)):
        return EdgeTable(*loops.edges(np.ascontiguousarray(faces, dtype=np.int64), int(faces.max()) + 1))
    tail, head = half_edge_ends(faces)
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    count = int(high.max(initial=0)) + 1
    halves = stable_order(high, count)
    halves = halves[stable_order(low[halves], count)]
    fresh = np.ones(len(halves), dtype=bool)
    fresh[1:] = (low[halves[1:]] != low[halves[:-1]]) | (high[halves[1:]] != high[halves[:-1]])
    start = np.flatnonzero(fresh)
    edge_of_half = np.empty(len(halves), dtype=np.int64)
    edge_of_half[halves] = np.cumsum(fresh) - 1
    count = np.diff(np.append(start, len(halves)))
    representative = halves[start]
    return EdgeTable(np.stack([low[representative], high[representative]], 1), count, halves, start, edge_of_half)


def edges_of_kept(table: EdgeTable, faces: np.ndarray, kept: np.ndarray) -> EdgeTable:
    """The table of ``faces`` int [G, 3], those ``kept`` bool [F] of the faces of ``table``.

    At every edge all faces must be kept or none.
    """
    if isinstance(table, EdgesOnCard) or not (loops := compiled_loops(len(kept))):
        return edge_table(faces)
    return EdgeTable(*loops.edges_left(table.ends, table.count, table.halves, table.start, table.edge_of_half, kept))


def edges_of_turned(table: EdgeTable, faces: np.ndarray, over: np.ndarray) -> EdgeTable:
    """The table of ``faces`` int [F, 3], which are the faces of ``table`` with those ``over`` bool [F] turned over."""
    if isinstance(table, EdgesOnCard) or not (loops := compiled_loops(len(over))):
        return edge_table(faces)
    halves, edge_of_half = loops.edges_turned(table.halves, table.edge_of_half, over)
    return EdgeTable(table.ends, table.count, halves, table.start, edge_of_half)


def stable_order(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the order int64 [N] that sorts ``keys`` (int [N], below ``count``), ties as they come.

    Turning a sparse matrix over is a counting sort: several times faster than comparing.
    """
    rows = np.arange(len(keys) + 1)
    matrix = csr_matrix((np.empty(len(keys), dtype=np.int8), keys, rows), shape=(len(keys), count))
    return matrix.tocsc().indices.astype(np.int64)


def label_components(nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Label the connected components of an undirected graph, int64 [nodes], numbered by their lowest node."""
    labels = on_card(lambda *ends: tensor_topology.components(nodes, *(end.long() for end in ends)), left, right)
    if labels is not None:
        return labels
    if loops := compiled_loops(len(left)):
        return loops.components(nodes, left, right)
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    # SciPy visits nodes in ascending order, so its labels are numbered by the lowest node already.
    return connected_components(graph, directed=False)[1].astype(np.int64)


def vertex_components(faces: np.ndarray, vertex_count: int) -> np.ndarray:
    """Label faces by the connected piece they belong to (sharing a vertex connects), int64 [F], by lowest vertex."""
    if len(faces) == 0:
        return np.zeros(0, dtype=np.int64)
    corners = faces.astype(np.int64, copy=False)
    labels = on_card(lambda tensor: tensor_topology.pieces(tensor, vertex_count), corners)
    if labels is not None:
        return labels
    if loops := compiled_loops(len(faces)):
        return loops.pieces(faces, vertex_count)
    left = np.concatenate([corners[:, 0], corners[:, 0]])
    labels = label_components(vertex_count, left, np.concatenate([corners[:, 1], corners[:, 2]]))[corners[:, 0]]
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the area vectors (half the cross product of two edges, by winding) of faces, float64 [F, 3]."""
    vectors = np.empty((len(faces), 3))

    def compute(part: slice) -> None:
        a, b, c = (vertices[faces[part, i]].astype(np.float64, copy=False) for i in range(3))
        vectors[part] = 0.5 * np.cross(b - a, c - a)

    in_portions(compute, len(faces))
    return vectors


def unit(vectors: np.ndarray) -> np.ndarray:
    """Normalise vectors [..., 3]; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
