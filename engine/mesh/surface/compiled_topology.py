# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``topology``: the same results as the functions named in each. Arrays are numpy."""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled

_FEW = 32


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
def edges(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``topology.edge_table`` of faces on ``count`` vertices: ends, count, halves, start and edge_of_half.

    A counting sort by the lower vertex of each half-edge; the few at one vertex are then put in order by the other.
    """
    total = 3 * len(faces)
    place = np.zeros(count + 1, np.int64)
    for half in range(total):
        place[_lower(faces, half) + 1] += 1
    for vertex in range(count):
        place[vertex + 1] += place[vertex]
    halves, highs = np.empty(total, np.int64), np.empty(total, np.int32)
    for half in range(total):
        low = _lower(faces, half)
        halves[place[low]] = half
        highs[place[low]] = faces[half // 3, half % 3] + faces[half // 3, (half + 1) % 3] - low
        place[low] += 1
    found, begin = 0, 0
    for low in range(count):
        end = place[low]
        _sort_stably(highs[begin:end], halves[begin:end])
        for rank in range(begin, end):
            found += rank == begin or highs[rank] != highs[rank - 1]
        begin = end
    ends, times, start = np.empty((found, 2), np.int64), np.zeros(found, np.int64), np.empty(found, np.int64)
    edge_of_half = np.empty(total, np.int64)
    edge, begin = -1, 0
    for low in range(count):
        end = place[low]
        for rank in range(begin, end):
            if rank == begin or highs[rank] != highs[rank - 1]:
                edge += 1
                ends[edge, 0], ends[edge, 1], start[edge] = low, highs[rank], rank
            times[edge] += 1
            edge_of_half[halves[rank]] = edge
        begin = end
    return ends, times, halves, start, edge_of_half


@compiled
def _lower(faces: np.ndarray, half: int) -> int:
    return min(faces[half // 3, half % 3], faces[half // 3, (half + 1) % 3])


@compiled
def _sort_stably(keys: np.ndarray, values: np.ndarray) -> None:
    """Sort ``keys`` and ``values`` by the keys, in place: mostly half a dozen."""
    if len(keys) > _FEW:
        order = np.argsort(keys, kind="mergesort")
        keys[:], values[:] = keys[order], values[order]
        return
    for rank in range(1, len(keys)):
        key, value, place = keys[rank], values[rank], rank
        while place > 0 and keys[place - 1] > key:
            keys[place], values[place] = keys[place - 1], values[place - 1]
            place -= 1
        keys[place], values[place] = key, value


@compiled
def pairs(count: np.ndarray, start: np.ndarray, halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``topology.EdgeTable.pairs``."""
    found = 0
    for edge in range(len(count)):
        found += count[edge] == 2
    left, right = np.empty(found, np.int64), np.empty(found, np.int64)
    found = 0
    for edge in range(len(count)):
        if count[edge] == 2:
            left[found], right[found] = halves[start[edge]], halves[start[edge] + 1]
            found += 1
    return left, right


@compiled
def _root_of(root: np.ndarray, turned: np.ndarray, face: int, against: bool) -> tuple[int, bool]:
    """The lowest face of the set of ``face``, and ``against`` turned with every face on the way; the way gets shorter.

    ``turned`` says of each face whether it must be turned against its parent ``root``.
    """
    while root[face] != face:
        turned[face] ^= turned[root[face]]
        root[face] = root[root[face]]
        against ^= turned[face]
        face = root[face]
    return face, against


@compiled
def orientation(faces: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``orient.orient_consistently`` along pairs of half-edges: faces, piece and orientable.

    Union of sets, the lowest face of each its root; of every face is known whether it must be turned against its
    parent.
    """
    root, turned = np.arange(len(faces)), np.zeros(len(faces), np.bool_)
    broken = np.zeros(len(faces), np.bool_)
    for pair in range(len(left)):
        a, b = left[pair] // 3, right[pair] // 3
        against = faces[a, left[pair] % 3] == faces[b, right[pair] % 3]
        a, against = _root_of(root, turned, a, against)
        b, against = _root_of(root, turned, b, against)
        if a == b:
            broken[a] |= against
        else:
            a, b = min(a, b), max(a, b)
            root[b], turned[b] = a, against
            broken[a] |= broken[b]
    wound, piece, found = np.empty_like(faces), np.empty(len(faces), np.int64), 0
    for face in range(len(faces)):
        # A parent is lower than its face, so it stands at its root already.
        above = root[face]
        if above == face:
            piece[face] = found
            found += 1
        else:
            turned[face] ^= turned[above]
            root[face], piece[face] = root[above], piece[above]
        over = turned[face] and not broken[root[face]]
        for corner in range(3):
            wound[face, corner] = faces[face, 2 - corner if over else corner]
    orientable = np.empty(found, np.bool_)
    for face in range(len(faces)):
        if root[face] == face:
            orientable[piece[face]] = not broken[face]
    return wound, piece, orientable


@compiled
def nodes(
    count: np.ndarray, start: np.ndarray, halves: np.ndarray, torn: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``orient._nodes`` of an edge table's columns; of the pairs faces a and b, and the number of the edge."""
    root, apart = np.arange(len(torn)), 0
    for edge in range(len(count)):
        if count[edge] == 2:
            a, b = halves[start[edge]] // 3, halves[start[edge] + 1] // 3
            if torn[a] and place[a] == place[b]:
                _join(root, a, b)
            elif torn[a]:
                apart += 1
    node, found = np.full(len(torn), -1, np.int64), 0
    for face in range(len(torn)):
        # A parent is lower than its face, so it has its node already.
        if torn[face] and root[face] == face:
            node[face] = found
            found += 1
        elif torn[face]:
            node[face] = node[root[face]]
    first, second, edges_apart = np.empty(apart, np.int64), np.empty(apart, np.int64), np.empty(apart, np.int64)
    apart = 0
    for edge in range(len(count)):
        if count[edge] == 2:
            a, b = halves[start[edge]] // 3, halves[start[edge] + 1] // 3
            if torn[a] and place[a] != place[b]:
                first[apart], second[apart], edges_apart[apart] = a, b, edge
                apart += 1
    return node, first, second, edges_apart


@compiled
def edges_left(
    ends: np.ndarray,
    count: np.ndarray,
    halves: np.ndarray,
    start: np.ndarray,
    edge_of_half: np.ndarray,
    kept: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The columns of the edge table of the faces ``kept`` bool [F] alone; each edge's faces go or stay together."""
    number, faces = np.empty(len(kept), np.int64), 0
    for face in range(len(kept)):
        number[face] = faces
        faces += kept[face]
    found = 0
    for edge in range(len(count)):
        found += kept[halves[start[edge]] // 3]
    new_ends, new_count, new_start = (
        np.empty((found, 2), np.int64),
        np.empty(found, np.int64),
        np.empty(found, np.int64),
    )
    new_halves, new_edge_of_half = np.empty(3 * faces, np.int64), np.empty(3 * faces, np.int64)
    found, place = 0, 0
    for edge in range(len(count)):
        if not kept[halves[start[edge]] // 3]:
            continue
        new_ends[found, 0], new_ends[found, 1] = ends[edge, 0], ends[edge, 1]
        new_count[found], new_start[found] = count[edge], place
        for rank in range(start[edge], start[edge] + count[edge]):
            half = 3 * number[halves[rank] // 3] + halves[rank] % 3
            new_halves[place], new_edge_of_half[half] = half, found
            place += 1
        found += 1
    return new_ends, new_count, new_halves, new_start, new_edge_of_half


@compiled
def edges_turned(halves: np.ndarray, edge_of_half: np.ndarray, over: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns halves and edge_of_half of an edge table once faces ``over`` bool [F] are turned over."""
    new_halves, new_edge_of_half = np.empty_like(halves), np.empty_like(edge_of_half)
    for rank in range(len(halves)):
        half = halves[rank]
        if over[half // 3] and half % 3 < 2:
            half += 1 - 2 * (half % 3)
        new_halves[rank], new_edge_of_half[half] = half, edge_of_half[halves[rank]]
    return new_halves, new_edge_of_half


@compiled
def spanning_turns(order: np.ndarray, a: np.ndarray, b: np.ndarray, turned: np.ndarray, count: int) -> np.ndarray:
    """Which of ``count`` faces are turned against the lowest one of their piece along its cheapest tree, bool.

    Faces a [P] and b [P] are neighbours, ``turned`` bool [P] against each other; ``order`` int64 [P]: the cheapest
    first (Kruskal, 1956).
    """
    root, against = np.arange(count), np.zeros(count, np.bool_)
    for pair in order:
        one, other, parity = a[pair], b[pair], turned[pair]
        one, parity = _root_of(root, against, one, parity)
        other, parity = _root_of(root, against, other, parity)
        if one != other:
            one, other = min(one, other), max(one, other)
            root[other], against[other] = one, parity
    for face in range(count):
        # A parent is lower than its face, so it stands at its root already.
        against[face] ^= against[root[face]]
        root[face] = root[root[face]]
    return against


@compiled
def shapes(
    vertices: np.ndarray, faces: np.ndarray, piece: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``orient._shape_of_pieces`` of vertices float64 [V, 3] up to rounding: the columns of its result."""
    area, centre, facing = np.zeros(count), np.zeros((count, 3)), np.zeros((count, 3))
    volume, radius, face_area = np.zeros(count), np.zeros(count), np.empty(len(faces))
    vector, middle = np.empty(3), np.empty(3)
    for face in range(len(faces)):
        part, size = piece[face], _measured(vertices, faces, face, vector, middle)
        face_area[face] = size
        area[part] += size
        for axis in range(3):
            centre[part, axis] += size * middle[axis]
            facing[part, axis] += vector[axis]
    for part in range(count):
        area[part] = max(area[part], 1e-300)
        for axis in range(3):
            centre[part, axis] /= area[part]
    for face in range(len(faces)):
        part, size = piece[face], _measured(vertices, faces, face, vector, middle)
        along, apart = 0.0, 0.0
        for axis in range(3):
            offset = middle[axis] - centre[part, axis]
            along += vector[axis] * offset
            apart += offset * offset
        volume[part] += along
        radius[part] += size * apart
    return area, centre, volume / 3.0, np.sqrt(radius / area), facing, face_area


@compiled
def _measured(vertices: np.ndarray, faces: np.ndarray, face: int, vector: np.ndarray, middle: np.ndarray) -> float:
    """The area of a face; writes its area vector and its middle."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    for axis in range(3):
        u, w = (axis + 1) % 3, (axis + 2) % 3
        vector[axis] = 0.5 * (
            (vertices[b, u] - vertices[a, u]) * (vertices[c, w] - vertices[a, w])
            - (vertices[b, w] - vertices[a, w]) * (vertices[c, u] - vertices[a, u])
        )
        middle[axis] = (vertices[a, axis] + vertices[b, axis] + vertices[c, axis]) / 3.0
    return np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
