# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes small holes by the triangulation of least area, wound like the faces around them."""

from __future__ import annotations

import numpy as np

from ...kernels.host_arrays import on_card
from ..surface import tensor_pieces
from ..surface.topology import EdgeTable, edge_table, face_vectors, half_edge_ends, label_components

# Loops up to this many edges get the exact least-area triangulation (cubic in the edges); longer ones a fan.
EXACT_EDGES = 32


def fill_holes(
    vertices: np.ndarray,
    faces: np.ndarray,
    max_perimeter: float,
    kept_open: np.ndarray | None = None,
    table: EdgeTable | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill every boundary loop whose length is at most ``max_perimeter`` (world units).

    ``faces`` int64 [F, 3] must be consistently wound with one fan at each vertex. Loops that touch a half-edge marked
    in ``kept_open`` bool [3F] (a cut that is no hole) stay, and so does the rim of a piece that is hardly more than a
    patch of that size itself (filling it would double it). Filled triangles are appended. ``table``: the faces' edges,
    where known.
    Returns vertices (with the middle points of fans appended), faces and the number of holes filled.
    """
    table = table or edge_table(faces)
    loops = _loops(faces, table, kept_open)
    if not loops:
        return vertices, faces, 0
    piece_area = _area_around_vertices(vertices, faces)
    edges = edge_keys(table.ends, len(vertices))
    added: list[np.ndarray] = []
    middles: list[np.ndarray] = []
    filled = 0
    for size in sorted(loops):
        rings = loops[size]
        points = vertices[rings]
        perimeter = np.linalg.norm(points - np.roll(points, -1, axis=1), axis=2).sum(axis=1)
        # No planar figure of this perimeter has more area than the circle.
        patch = piece_area[rings[:, 0]] <= 1.5 * perimeter**2 / (4 * np.pi)
        rings = rings[(perimeter <= max_perimeter) & ~patch]
        filled += len(rings)
        if size <= EXACT_EDGES and len(rings):
            triangles, solved = least_area(vertices, rings, edges)
            added.append(triangles)
            rings = rings[~solved]
        if len(rings):
            hub = len(vertices) + sum(map(len, middles)) + np.arange(len(rings))
            middles.append(vertices[rings].mean(axis=1))
            fan = np.stack([np.broadcast_to(hub[:, None], rings.shape), rings, np.roll(rings, -1, axis=1)], axis=2)
            added.append(fan.reshape(-1, 3))
    return np.concatenate([vertices, *middles]), np.concatenate([faces, *added]), filled


def _loops(faces: np.ndarray, table: EdgeTable, kept_open: np.ndarray | None) -> dict[int, np.ndarray]:
    """Collect boundary loops by length: {edges k: vertex rings int64 [L, k] against the faces' winding}.

    At a vertex with one fan the boundary enters once and leaves once, so the loops are cycles of a permutation.
    """
    boundary = table.boundary()
    if len(boundary) == 0:
        return {}
    tail, head = half_edge_ends(faces)
    start, stop = tail[boundary], head[boundary]
    simple = (len(np.unique(start)) == len(start)) and (len(np.unique(stop)) == len(stop))
    label = label_components(int(faces.max()) + 1, start, stop)[start]
    label = np.unique(label, return_inverse=True)[1].reshape(-1)
    open_ended = np.zeros(int(label.max()) + 1, dtype=bool)
    if kept_open is not None:
        open_ended[label[kept_open[boundary]]] = True
    if not simple:
        for ends in (start, stop):
            _, inverse, times = np.unique(ends, return_inverse=True, return_counts=True)
            open_ended[label[times[inverse.reshape(-1)] > 1]] = True
    by_tail = np.full(int(faces.max()) + 1, -1, dtype=np.int64)
    by_tail[start] = np.arange(len(start))
    following = by_tail[stop]
    open_ended[label[following < 0]] = True

    size = np.bincount(label)
    first = np.full(len(size), len(label), dtype=np.int64)
    np.minimum.at(first, label, np.arange(len(label)))
    loops: dict[int, np.ndarray] = {}
    for k in np.unique(size[~open_ended & (size >= 3)]):
        walker = first[~open_ended & (size == k)]
        steps = [walker]
        for _ in range(int(k) - 1):
            walker = following[walker]
            steps.append(walker)
        loops[int(k)] = start[np.stack(steps[::-1], axis=1)]
    return loops


def _area_around_vertices(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return for each vertex the area of the connected piece it belongs to, float64 [V]."""
    if (found := on_card(tensor_pieces.areas_around, faces, vertices)) is not None:
        return found
    piece = label_components(
        len(vertices), np.concatenate([faces[:, 0]] * 2), np.concatenate([faces[:, 1], faces[:, 2]])
    )
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1)
    return np.bincount(piece[faces[:, 0]], area, minlength=int(piece.max()) + 1)[piece]


def edge_keys(ends: np.ndarray, vertex_count: int) -> np.ndarray:
    """Number the edges of a table by their ``ends`` int64 [E, 2]; rising, as the table has them."""
    return ends[:, 0] * vertex_count + ends[:, 1]


def has_edge(edges: np.ndarray, first: np.ndarray, second: np.ndarray, vertex_count: int) -> np.ndarray:
    """Tell between which vertices there is one of ``edges`` (see ``edge_keys``); first and second int64 broadcast."""
    keys = np.minimum(first, second) * vertex_count + np.maximum(first, second)
    return edges[np.minimum(np.searchsorted(edges, keys), len(edges) - 1)] == keys


def least_area(
    vertices: np.ndarray, rings: np.ndarray, edges: np.ndarray, thinnest: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate rings [L, k] with least total area, by dynamic programming over sub-polygons.

    Diagonals that are edges of the mesh already (``edges``, sorted keys) would give those a third face and are
    forbidden, as are triangles with a smaller share than ``thinnest`` of the square over the longer of two of their
    sides. Returns the triangles of the rings that could be solved, and which those are, bool [L].
    """
    count, size = rings.shape
    points = vertices[rings]
    forbidden = np.where(has_edge(edges, rings[:, :, None], rings[:, None, :], len(vertices)), np.inf, 0.0)
    forbidden[:, 0, size - 1] = 0.0
    cost = np.zeros((count, size, size))
    split = np.zeros((count, size, size), dtype=np.int64)
    for gap in range(2, size):
        for i in range(size - gap):
            j = i + gap
            middle = np.arange(i + 1, j)
            spokes, base = points[:, middle] - points[:, i, None], (points[:, j] - points[:, i])[:, None]
            area = 0.5 * np.linalg.norm(np.cross(spokes, base), axis=2)
            longest = np.maximum((spokes**2).sum(axis=2), (base**2).sum(axis=2))
            area = np.where(area >= thinnest * longest, area, np.inf)
            total = cost[:, i, middle] + cost[:, middle, j] + area
            best = np.argmin(total, axis=1)
            cost[:, i, j] = np.take_along_axis(total, best[:, None], 1)[:, 0] + forbidden[:, i, j]
            split[:, i, j] = middle[best]
    solved = np.isfinite(cost[:, 0, size - 1])
    triangles = [np.zeros((0, 4), dtype=np.int64)]
    everyone = np.flatnonzero(solved)
    spans = [(everyone, np.zeros(len(everyone), dtype=np.int64), np.full(len(everyone), size - 1))]
    while spans:
        ring, i, j = spans.pop()
        wide = j - i >= 2
        ring, i, j = ring[wide], i[wide], j[wide]
        if len(ring) == 0:
            continue
        k = split[ring, i, j]
        triangles.append(np.stack([ring, rings[ring, i], rings[ring, k], rings[ring, j]], axis=1))
        spans += [(ring, i, k), (ring, k, j)]
    found = np.concatenate(triangles)
    return found[np.argsort(found[:, 0], kind="stable"), 1:], solved
