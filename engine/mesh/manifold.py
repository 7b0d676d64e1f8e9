# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes apart edges that more than two faces share, so that every edge has one or two faces.

Dual grids make such edges wherever two sheets pass through one voxel. Faces around the edge are paired again by the
angle between them, so that two solids that touch along an edge come apart as two closed solids.
"""

from __future__ import annotations

import numpy as np

from .topology import EdgeTable, edge_table, half_edge_ends, label_components


def split_non_manifold(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Duplicate vertices until no edge has more than two faces and the faces at each vertex form one fan.

    Returns vertices [V', 3], faces [F, 3] (same order), ``origin`` int64 [V'] (the vertex each one was) and the number
    of edges that had more than two faces.
    """
    origin = np.arange(len(vertices))
    table = edge_table(faces)
    crowded = int((table.count > 2).sum())
    left, right = table.pairs()
    extra_left, extra_right = _pair_by_angle(vertices, faces, table)
    left, right = np.concatenate([left, extra_left]), np.concatenate([right, extra_right])
    faces, copies = _separate_corners(faces, left, right)
    vertices, origin = vertices[copies], origin[copies]
    table = edge_table(faces)
    if (table.count > 2).any():
        # Pairings that disagree along a chain of edges meet again at a vertex; such edges are cut open.
        faces, copies = _separate_corners(faces, *table.pairs())
        vertices, origin = vertices[copies], origin[copies]
    return vertices, faces, origin, crowded


def _separate_corners(faces: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every set of corners connected through the half-edge pairs its own vertex.

    Returns faces and, for each new vertex, the vertex it is a copy of.
    """
    tail, _ = half_edge_ends(faces)
    corner_next = np.arange(faces.size).reshape(-1, 3)[:, [1, 2, 0]].reshape(-1)
    same_way = tail[left] == tail[right]
    right_at_tail = np.where(same_way, right, corner_next[right])
    right_at_head = np.where(same_way, corner_next[right], right)
    labels = label_components(
        faces.size, np.concatenate([left, corner_next[left]]), np.concatenate([right_at_tail, right_at_head])
    )
    copies = np.empty(int(labels.max(initial=-1)) + 1, dtype=np.int64)
    copies[labels] = tail
    return labels.reshape(-1, 3), copies


def _pair_by_angle(vertices: np.ndarray, faces: np.ndarray, table: EdgeTable) -> tuple[np.ndarray, np.ndarray]:
    """Pair the half-edges at each edge of three or more faces with a neighbour in angular order around the edge.

    Of the two ways to pair neighbours the one with the smaller enclosed angle is taken (a wedge of material is
    thinner than the air around it). Of three faces the two that continue each other best are paired.
    """
    empty = np.zeros(0, dtype=np.int64)
    left, right = [empty], [empty]
    for valence in np.unique(table.count[table.count > 2]):
        edges = np.flatnonzero(table.count == valence)
        halves = table.halves[table.start[edges][:, None] + np.arange(valence)]
        angle = _angles_around(vertices, faces, table.ends[edges], halves)
        order = np.argsort(angle, axis=1, kind="stable")
        halves = np.take_along_axis(halves, order, 1)
        angle = np.take_along_axis(angle, order, 1)
        gap = np.diff(np.concatenate([angle, angle[:, :1] + 2 * np.pi], axis=1), axis=1)
        if valence % 2 == 0:
            shift = (gap[:, 0::2].sum(axis=1) > gap[:, 1::2].sum(axis=1) + 1e-9).astype(np.int64)
            ring = (np.arange(valence) + shift[:, None]) % valence
        elif valence == 3:
            flattest = np.argmin(np.abs(gap - np.pi), axis=1)
            ring = (flattest[:, None] + np.arange(2)) % 3
        else:
            continue
        paired = np.take_along_axis(halves, ring, 1)
        left.append(paired[:, 0::2].reshape(-1))
        right.append(paired[:, 1::2].reshape(-1))
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
