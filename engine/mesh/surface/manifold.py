# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes apart edges that more than two faces share, so that every edge has one or two faces.

Dual grids make such edges wherever two sheets pass through one voxel. Faces around the edge are paired again by the
angle between them, so that two solids that touch along an edge come apart as two closed solids.
"""

from __future__ import annotations

import numpy as np

from ...kernels.host_arrays import on_card
from . import tensor_topology
from .topology import EdgeTable, compiled_loops, edge_table, half_edge_ends, label_components


def split_non_manifold(
    vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Duplicate vertices until no edge has more than two faces and the faces at each vertex form one fan.

    ``hints`` int8 [F] tells which side of a face is outside (see sides.py). Returns vertices [V', 3], faces [F, 3] in
    the same order, ``origin`` int64 [V'] (the vertex each one was) and the number of edges that had too many faces.
    """
    origin = np.arange(len(vertices))
    table = edge_table(faces)
    crowded, pairs = int((table.count > 2).sum()), table.pairs()
    halves = np.zeros(0, dtype=np.int64)
    if crowded:
        extra = pair_around_edges(vertices, faces, table, hints)
        pairs = tuple(np.concatenate(both) for both in zip(pairs, extra, strict=True))
        halves = np.flatnonzero((table.count > 2)[table.edge_of_half])
    # With millions of faces it takes more than all the rest.
    del table
    faces, copies = separate_corners(faces, *pairs)
    del pairs
    vertices, origin = vertices[copies], origin[copies]
    if crowded and _meet_again(faces, halves):
        # Pairings that disagree along a chain of edges meet again at a vertex; such edges are cut open.
        faces, copies = separate_corners(faces, *edge_table(faces).pairs())
        vertices, origin = vertices[copies], origin[copies]
    return vertices, faces, origin, crowded


def _meet_again(faces: np.ndarray, halves: np.ndarray) -> bool:
    """Tell if any of the edges of ``halves`` is crowded: they all were before ``faces`` got new vertices."""
    tail, head = faces[halves // 3, halves % 3], faces[halves // 3, (halves + 1) % 3]
    key = np.minimum(tail, head) * (int(faces.max()) + 1) + np.maximum(tail, head)
    return bool((np.unique(key, return_counts=True)[1] > 2).any())


def separate_corners(faces: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every set of corners of ``faces`` that is connected through pairs of half-edges its own vertex.

    Returns faces and, for each new vertex, the vertex it is a copy of.
    """
    if separated := on_card(tensor_topology.fans, faces, left, right):
        return separated
    tail = faces.reshape(-1)
    if loops := compiled_loops(len(faces)):
        labels = loops.fans(np.ascontiguousarray(faces), left, right)
        return labels.reshape(-1, 3), _last_of_each(labels, tail)
    corner_next = np.arange(faces.size).reshape(-1, 3)[:, [1, 2, 0]].reshape(-1)
    same_way = tail[left] == tail[right]
    right_at_tail = np.where(same_way, right, corner_next[right])
    right_at_head = np.where(same_way, corner_next[right], right)
    labels = label_components(
        faces.size, np.concatenate([left, corner_next[left]]), np.concatenate([right_at_tail, right_at_head])
    )
    return labels.reshape(-1, 3), _last_of_each(labels, tail)


def _last_of_each(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    found = np.empty(int(labels.max(initial=-1)) + 1, dtype=np.int64)
    found[labels] = values
    return found


def pair_around_edges(
    vertices: np.ndarray, faces: np.ndarray, table: EdgeTable, hints: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Pair the half-edges at each edge of three or more faces with a neighbour in angular order around the edge.

    The sector between two neighbours that both face the outside, or both turn their backs (material), is the best pair:
    so the skin of two solids that pass through each other stays one closed skin, and solids that only touch come apart.
    Without such knowledge the narrowest sector pairs (a wedge is thinner than the air around it), and of three faces
    the two that continue each other best.
    """
    empty = np.zeros(0, dtype=np.int64)
    left, right = [empty], [empty]
    tail, _ = half_edge_ends(faces)
    for valence in np.unique(table.count[table.count > 2]):
        edges = np.flatnonzero(table.count == valence)
        ends = table.ends[edges]
        halves = table.halves[table.start[edges][:, None] + np.arange(valence)]
        angle = _angles_around(vertices, faces, ends, halves)
        order = np.argsort(angle, axis=1, kind="stable")
        halves = np.take_along_axis(halves, order, 1)
        angle = np.take_along_axis(angle, order, 1)
        gap = np.diff(np.concatenate([angle, angle[:, :1] + 2 * np.pi], axis=1), axis=1)
        worth = -np.abs(gap - np.pi) / np.pi if valence % 2 else -gap / (2 * np.pi)
        if hints is not None:
            # A face that runs along the edge from its first end has its front on the counter-clockwise side.
            ahead = hints[halves // 3].astype(np.int64) * np.where(tail[halves] == ends[:, :1], 1, -1)
            sector = ahead - np.roll(ahead, -1, axis=1)
            worth = worth + 10 * sector**2 + 2 * (sector < 0)
        free = np.ones(halves.shape, dtype=bool)
        rows = np.arange(len(edges))
        for _ in range(valence // 2):
            possible = free & np.roll(free, -1, axis=1)
            best = np.argmax(np.where(possible, worth, -np.inf), axis=1)
            found = possible[rows, best]
            row, first, second = rows[found], best[found], (best[found] + 1) % valence
            left.append(halves[row, first])
            right.append(halves[row, second])
            free[row, first] = free[row, second] = False
    return np.concatenate(left), np.concatenate(right)


def _angles_around(vertices: np.ndarray, faces: np.ndarray, ends: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Return the angle of each face [E, k] around its edge (ends [E, 2]), 0 at the first face, in [0, 2 pi)."""
    base = vertices[ends[:, 0]]
    axis = vertices[ends[:, 1]] - base
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    apex = faces.reshape(-1)[3 * (halves // 3) + (halves % 3 + 2) % 3]
    arm = vertices[apex] - base[:, None]
    arm -= np.einsum("eki,ei->ek", arm, axis)[..., None] * axis[:, None]
    x = arm[:, 0] / np.maximum(np.linalg.norm(arm[:, 0], axis=1, keepdims=True), 1e-300)
    y = np.cross(axis, x)
    angle = np.arctan2(np.einsum("eki,ei->ek", arm, y), np.einsum("eki,ei->ek", arm, x))
    angle = np.mod(angle, 2 * np.pi)
    angle[:, 0] = 0.0
    return angle
