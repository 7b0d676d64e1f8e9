# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``topology``: the same results as the functions named in each. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from .compilation import compiled


@compiled
def components(nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``topology.label_components``: union of sets, the lowest node of each its root."""
    root = np.arange(nodes)
    for pair in range(len(left)):
        _join(root, np.int64(left[pair]), np.int64(right[pair]))
    return _numbered(root)


@compiled
def pieces(faces: np.ndarray, count: int) -> np.ndarray:
    """``topology.vertex_components`` of faces [F, 3] on ``count`` vertices, int64 [F]."""
    root = np.arange(count)
    for face in range(len(faces)):
        a, b, c = np.int64(faces[face, 0]), np.int64(faces[face, 1]), np.int64(faces[face, 2])
        if root[a] != root[b]:
            _join(root, a, b)
        if root[a] != root[c]:
            _join(root, a, c)
    label = np.full(count, -1, np.int64)
    for node in range(count):
        # A parent is lower than its node, so it leads to its root already.
        root[node] = root[root[node]]
    for face in range(len(faces)):
        label[root[faces[face, 0]]] = 0
    found = 0
    for node in range(count):
        if label[node] == 0:
            label[node] = found
            found += 1
    piece = np.empty(len(faces), np.int64)
    for face in range(len(faces)):
        piece[face] = label[root[faces[face, 0]]]
    return piece


@compiled
def fans(faces: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``manifold.separate_corners``: the new vertex of every corner, int64 [3F]."""
    root = np.arange(3 * len(faces))
    for pair in range(len(left)):
        a, b = np.int64(left[pair]), np.int64(right[pair])
        a_next = a + 1 if a % 3 < 2 else a - 2
        b_next = b + 1 if b % 3 < 2 else b - 2
        if faces[a // 3, a % 3] == faces[b // 3, b % 3]:
            _join(root, a, b)
            _join(root, a_next, b_next)
        else:
            _join(root, a, b_next)
            _join(root, a_next, b)
    return _numbered(root)


@compiled
def _join(root: np.ndarray, a: int, b: int) -> None:
    while root[a] != a:
        root[a] = root[root[a]]
        a = root[a]
    while root[b] != b:
        root[b] = root[root[b]]
        b = root[b]
    if a < b:
        root[b] = a
    else:
        root[a] = b


@compiled
def _numbered(root: np.ndarray) -> np.ndarray:
    """Number the sets by their lowest node, int64 [nodes]."""
    label = np.empty(len(root), np.int64)
    count = 0
    for node in range(len(root)):
        # A parent is lower than its node, so it has its label already.
        if root[node] == node:
            label[node] = count
            count += 1
        else:
            label[node] = label[root[node]]
    return label


@compiled
def edges(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """``topology.edge_table`` by two counting sorts: ends, halves, start, edge_of_half and how many edges there are.

    ``count`` of vertices; only so many rows of ``ends`` and ``start`` are filled, and one more of ``start``.
    """
    total = 3 * len(faces)
    first, place = np.empty(total, np.int64), np.zeros(count + 1, np.int64)
    for half in range(total):
        face, corner = half // 3, half % 3
        high = max(faces[face, corner], faces[face, (corner + 1) % 3])
        place[high + 1] += 1
    for vertex in range(count):
        place[vertex + 1] += place[vertex]
    for half in range(total):
        face, corner = half // 3, half % 3
        high = max(faces[face, corner], faces[face, (corner + 1) % 3])
        first[place[high]] = half
        place[high] += 1
    halves = np.empty(total, np.int64)
    place = np.zeros(count + 1, np.int64)
    for half in range(total):
        face, corner = half // 3, half % 3
        low = min(faces[face, corner], faces[face, (corner + 1) % 3])
        place[low + 1] += 1
    for vertex in range(count):
        place[vertex + 1] += place[vertex]
    for rank in range(total):
        half = first[rank]
        face, corner = half // 3, half % 3
        low = min(faces[face, corner], faces[face, (corner + 1) % 3])
        halves[place[low]] = half
        place[low] += 1

    edge_of_half = first
    ends, start = np.empty((total, 2), np.int64), np.empty(total + 1, np.int64)
    found = 0
    for rank in range(total):
        half = halves[rank]
        face, corner = half // 3, half % 3
        a, b = faces[face, corner], faces[face, (corner + 1) % 3]
        low, high = min(a, b), max(a, b)
        if found == 0 or ends[found - 1, 0] != low or ends[found - 1, 1] != high:
            ends[found, 0], ends[found, 1], start[found] = low, high, rank
            found += 1
        edge_of_half[half] = found - 1
    start[found] = total
    return ends, halves, start, edge_of_half, found
