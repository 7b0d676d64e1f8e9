# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes holes whose rim changes layers: where a surface was taken apart, a hole's rim goes on along the cut."""

from __future__ import annotations

import numpy as np

from ..surface.topology import EdgeTable, edge_table, face_vectors, half_edge_ends, label_components, unit
from .holes import EXACT_EDGES, edge_keys, has_edge, least_area

# The open rim of a tear is longer by this factor than what closes it: cuts and the line between its ends.
OPEN_SHARE = 1.5

# The least cosine of the angle between a patch and the faces at its rim (mean by length). Where a rim runs around the
# tip of a sheet the patch would lie back on the sheet itself.
FOLD = 0.2

# Triangles with a smaller area than this share of the square over a side are lines.
THINNEST = 1e-5


def close_tears(
    vertices: np.ndarray, faces: np.ndarray, cut: np.ndarray, max_perimeter: float, table: EdgeTable | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Close every stretch of a rim that comes back nearly to where it began.

    ``faces`` int64 [F, 3] must be consistently wound with one fan at each vertex; ``cut`` bool [3F] marks half-edges
    that are open only because the surface was taken apart there. Only loops that have such ones are looked at. A
    stretch of at most ``max_perimeter`` (world units, with the line that closes it) begins and ends with an open
    half-edge and is at least ``OPEN_SHARE`` times as much open as cut or missing. No vertex is added and none of the
    new edges is one of the surface's. Returns triangles int64 [T, 3], for each one a face that it continues, int64 [T],
    and the number of stretches closed. ``table``: the faces' edges, where known.
    """
    rim = _Rim(vertices, faces, cut, table or edge_table(faces))
    starts, lengths = rim.stretches(max_perimeter)
    by_size: dict[int, list[np.ndarray]] = {}
    beside: dict[int, list[int]] = {}
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        walk = rim.free_walk(start, length)
        if walk is None:
            continue
        ring = rim.tail[walk] if length == rim.size[start] else np.append(rim.tail[walk], rim.head[walk[-1]])
        by_size.setdefault(len(ring), []).append(ring[::-1])
        beside.setdefault(len(ring), []).append(rim.half[start] // 3)
    triangles, continued, closed = [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0
    for size in sorted(by_size):
        rings = np.array(by_size[size])
        found, solved = least_area(vertices, rings, rim.edges, THINNEST)
        triangles.append(found)
        continued.append(np.repeat(np.array(beside[size])[solved], size - 2))
        closed += int(solved.sum())
    return np.concatenate(triangles), np.concatenate(continued), closed


class _Rim:
    """The open half-edges [B] of all loops that are in part a cut: ``half`` their numbers, ``size`` their loop's."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, cut: np.ndarray, table: EdgeTable) -> None:
        half = table.boundary()
        tail, head = half_edge_ends(faces)
        loop = label_components(len(vertices), tail[half], head[half])[tail[half]]
        size = np.bincount(loop, minlength=1)
        cuts = np.bincount(loop, cut[half], minlength=1)
        chosen = ((cuts > 0) & (cuts < size))[loop]
        self.half, self.size = half[chosen], size[loop[chosen]]
        self.tail, self.head = tail[self.half], head[self.half]
        self.cut, self.taken = cut[self.half], np.zeros(len(self.half), dtype=bool)
        by_tail = np.zeros(len(vertices), dtype=np.int64)
        by_tail[self.tail] = np.arange(len(self.tail))
        self.following = by_tail[self.head]
        self.edges = edge_keys(table.ends, len(vertices))
        self._vertices, self._faces = vertices, faces

    def stretches(self, max_perimeter: float) -> tuple[np.ndarray, np.ndarray]:
        """Find the stretches worth closing, the most open ones first: where they start and their half-edges."""
        begin, end = self._vertices[self.tail], self._vertices[self.head]
        length = np.linalg.norm(end - begin, axis=1)
        # Against the rim, so that the sum is the patch's own area vector (twice), wound like the faces around it.
        swept = np.cross(end, begin)
        normal = unit(face_vectors(self._vertices, self._faces[self.half // 3])) * length[:, None]
        start = np.flatnonzero(~self.cut)
        last, total, missing = start, length[start], np.zeros(len(start))
        area, facing = swept[start], normal[start]
        found = [np.zeros((3, 0))]
        for count in range(2, EXACT_EDGES):
            last = self.following[last]
            total, missing = total + length[last], missing + np.where(self.cut[last], length[last], 0.0)
            area, facing = area + swept[last], facing + normal[last]
            gap = np.linalg.norm(end[last] - begin[start], axis=1)
            whole = area + np.cross(begin[start], end[last])
            surplus = total - missing - OPEN_SHARE * (missing + gap)
            flat = np.einsum("ij,ij->i", whole, facing) > FOLD * total * np.linalg.norm(whole, axis=1)
            good = (surplus > 0) & flat & (total + gap <= max_perimeter) & ~self.cut[last]
            good &= np.where(count < self.size[start], ~self._has_edge(start, last), count > 2)
            found.append(np.stack([surplus[good], start[good], np.full(int(good.sum()), count)]))
            going = (total <= max_perimeter) & (count < self.size[start])
            start, last, total, missing = start[going], last[going], total[going], missing[going]
            area, facing = area[going], facing[going]
        surplus, start, count = np.concatenate(found, axis=1)
        order = np.lexsort((start, count, -surplus))
        return start[order].astype(np.int64), count[order].astype(np.int64)

    def _has_edge(self, start: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Tell where the line that closes stretches from ``start`` to ``last`` is an edge of the surface already."""
        return has_edge(self.edges, self.tail[start], self.head[last], len(self._vertices))

    def free_walk(self, start: int, count: int) -> list[int] | None:
        """Take ``count`` half-edges from ``start`` on, or return None where one of them is taken already."""
        walk, at = [], start
        for _ in range(count):
            if self.taken[at]:
                return None
            walk.append(at)
            at = int(self.following[at])
        self.taken[walk] = True
        return walk
