# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the tubes that wires and stems are, in lengths that are cut across, and cuts each open along one line.

How far it is from one end of the object to every face divides it into slabs. What of a slab hangs together and has two
rims is a length of tube. Opened along the shortest way from rim to rim it is a strip: as wide as the tube is round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

from ..surface.topology import face_vectors, label_components
from .charts import distances_from
from .outlines import ChartPoints, chart_points, kept_pairs, outline


@dataclass(frozen=True)
class Tubes:
    """Lengths of tubes, opened: the faces int64 [M], the tube of each int64 [M], and how they lie to begin with.

    start: float64 [M, 3, 2], each in a rectangle of its own, no face mirrored. left, right: the half-edges [Q] across
    which tubes go on, by place in ``faces``. cut: which of the pairs that were asked about are cut open, bool [P].
    """

    faces: np.ndarray
    label: np.ndarray
    start: np.ndarray
    left: np.ndarray
    right: np.ndarray
    cut: np.ndarray


def find_tubes(
    vertices: np.ndarray, faces: np.ndarray, left: np.ndarray, right: np.ndarray, length: float, widest: float
) -> Tubes:
    """Find lengths of tubes, each about ``length`` long and at most ``widest`` around.

    vertices float64 [V, 3]; faces int64 [F, 3]; left, right: the half-edges [P] of neighbours (``winding_pairs``).
    """
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1)
    far = _ways(vertices[faces].mean(axis=1), left // 3, right // 3)
    slab = np.floor(far / length).astype(np.int64)
    same = slab[left // 3] == slab[right // 3]
    part = label_components(len(faces), left[same] // 3, right[same] // 3)
    points = chart_points(part, left, right)
    count = len(points.first) - 1
    edges = 3 * np.bincount(part, minlength=count) - np.bincount(part[left[points.inner] // 3], minlength=count)
    # Euler's number of what has two rims and no handle, or no rim and one handle.
    round_ = np.diff(points.first) - edges + np.bincount(part, minlength=count) == 0
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, part, far)
    np.maximum.at(high, part, far)
    round_ &= np.bincount(part, area, minlength=count) < widest * (high - low)
    return _opened(vertices, faces, part, round_[part], left, right)


def thin_share(vertices: np.ndarray, faces: np.ndarray, left: np.ndarray, right: np.ndarray, widest: float) -> float:
    """The share of the area that pieces have which enclose no more than tubes ``widest`` around do, sheets too.

    vertices float64 [V, 3]; faces int64 [F, 3]; left, right: the half-edges [P] of neighbours.
    """
    piece = label_components(len(faces), left // 3, right // 3)
    origin = np.empty((int(piece.max(initial=-1)) + 1, 3))
    origin[piece] = vertices[faces[:, 0]]
    vector = face_vectors(vertices, faces)
    area = np.bincount(piece, np.linalg.norm(vector, axis=1))
    volume = np.bincount(piece, np.einsum("fi,fi->f", vector, vertices[faces[:, 0]] - origin[piece])) / 3.0
    # Of a round tube the volume is the area times half of its radius.
    thin = 4.0 * np.pi * np.abs(volume) <= widest * area
    return float(area[thin].sum() / max(area.sum(), 1e-300))


def _ways(middle: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """How far it is to each face with the middles [F, 3] from the farthest one of its piece, float64 [F]."""
    piece = label_components(len(middle), f, g)
    way = np.linalg.norm(middle[f] - middle[g], axis=1) + 1e-12
    begin = np.unique(piece, return_index=True)[1]
    # Once from anywhere, then from the end that was found.
    for _ in range(2):
        far, _ = distances_from(len(middle), f, g, way, begin, np.zeros(len(begin)))
        order = np.lexsort((-far, piece))
        begin = order[np.diff(piece[order], prepend=-1) != 0]
    return far


def _opened(
    vertices: np.ndarray, faces: np.ndarray, part: np.ndarray, chosen: np.ndarray, left: np.ndarray, right: np.ndarray
) -> Tubes:
    """Cut the tubes open, which are the parts ``part`` int64 [F] of the ``chosen`` faces, and lay each in a rectangle.

    What does not become one piece with four corners is left out.
    """
    members = np.flatnonzero(chosen)
    if len(members) == 0:
        none = np.zeros(0, dtype=np.int64)
        return Tubes(none, none, np.zeros((0, 3, 2)), none, none, np.zeros(len(left), dtype=bool))
    label = np.unique(part[members], return_inverse=True)[1].reshape(-1)
    place = np.where(chosen, np.cumsum(chosen) - 1, -1)
    within = chosen[left // 3] & chosen[right // 3] & (part[left // 3] == part[right // 3])
    one, other = kept_pairs(place, left[within], right[within])
    closed = chart_points(label, one, other)
    position = np.empty((len(closed.chart), 3))
    position[closed.corner] = vertices[faces[members]]
    inner, first, last = _cut_lines(position, closed, one)
    points = chart_points(label, one[~inner], other[~inner])
    before = np.empty(len(points.chart), dtype=np.int64)
    before[points.corner] = closed.corner
    flat, good = _in_rectangles(position[before], points, before == first[points.chart], before == last[points.chart])
    stays = good[label]
    cut = np.zeros(len(left), dtype=bool)
    cut[np.flatnonzero(within)[inner & stays[one // 3]]] = True
    return Tubes(
        members[stays],
        np.unique(label[stays], return_inverse=True)[1].reshape(-1),
        flat[points.corner[stays]],
        *kept_pairs(np.where(stays, np.cumsum(stays) - 1, -1), one[~inner], other[~inner]),
        cut,
    )


def _cut_lines(
    position: np.ndarray, points: ChartPoints, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shortest way from one rim of each tube to the other.

    position [P, 3] of the points. Returns which of the pairs of half-edges ``left`` lie on it, bool [Q], and its first
    and last point, int64 [C], -1 for what does not have two rims.
    """
    size, count = len(position), len(points.first) - 1
    a, b = outline(points, size)
    rim = np.zeros(size, dtype=bool)
    rim[a] = rim[b] = True
    loop = label_components(size, a, b)
    here = np.flatnonzero(rim)
    lowest = np.full(count, size)
    np.minimum.at(lowest, points.chart[here], loop[here])
    begins = here[loop[here] == lowest[points.chart[here]]]
    ends = here[loop[here] != lowest[points.chart[here]]]
    tail, head = points.corner.reshape(-1), np.roll(points.corner, -1, axis=1).reshape(-1)
    edge = np.unique(np.minimum(tail, head) * size + np.maximum(tail, head))
    p, q = np.divmod(edge, size)
    way = np.concatenate([np.linalg.norm(position[p] - position[q], axis=1) + 1e-12, np.full(len(begins), 1e-12)])
    graph = coo_matrix(
        (way, (np.concatenate([p, np.full(len(begins), size)]), np.concatenate([q, begins]))), (size + 1, size + 1)
    ).tocsr()
    distance, before = dijkstra(graph, directed=False, indices=size, return_predecessors=True)
    ends = ends[np.isfinite(distance[ends])]
    order = np.lexsort((ends, distance[ends], points.chart[ends]))
    ends = ends[order[np.diff(points.chart[ends[order]], prepend=-1) != 0]]
    first, last = np.full(count, -1), np.full(count, -1)
    last[points.chart[ends]] = ends
    lines, here = [np.zeros(0, dtype=np.int64)], ends
    while len(here):
        back = before[here].astype(np.int64)
        arrived = back == size
        first[points.chart[here[arrived]]] = here[arrived]
        here, back = here[~arrived], back[~arrived]
        lines.append(np.minimum(here, back) * size + np.maximum(here, back))
        here = back
    one, other = points.corner[left // 3, left % 3], points.corner[left // 3, (left % 3 + 1) % 3]
    key = np.minimum(one, other) * size + np.maximum(one, other)
    return np.isin(key, np.concatenate(lines)), first, last


def _in_rectangles(
    position: np.ndarray, points: ChartPoints, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay opened tubes in rectangles, their rims upright, every inner point amid its neighbours (Tutte 1963).

    position [P, 3] of the points; first, last: which points are ends of the line cut open, bool [P], two each a tube.
    Returns float64 [P, 2], and which tubes [C] have one outline with four corners.
    """
    size, count = len(position), len(points.first) - 1
    tail, head = points.corner.reshape(-1), np.roll(points.corner, -1, axis=1).reshape(-1)
    edge, which, times = np.unique(
        np.minimum(tail, head) * size + np.maximum(tail, head), return_inverse=True, return_counts=True
    )
    alone = times[which.reshape(-1)] == 1
    following = np.full(size, -1, dtype=np.int64)
    following[tail[alone]] = head[alone]
    rim = following >= 0
    step = np.linalg.norm(position[following] - position, axis=1)
    rims = np.bincount(points.chart[rim], minlength=count)
    flat, good = np.zeros((size, 2)), np.zeros(count, dtype=bool)
    for begin in np.flatnonzero(first & rim).tolist():
        chart = points.chart[begin]
        loop = [begin]
        while len(loop) <= rims[chart] and (here := int(following[loop[-1]])) != begin:
            loop.append(here)
        corner = np.flatnonzero(first[loop] | last[loop])
        # Along the line, round the last rim, back along the line, round the first rim.
        if len(loop) == rims[chart] and len(corner) == 4 and last[loop][corner[1:3]].all():
            flat[loop] = _round_rectangle(step[loop], corner)
            good[chart] = True
    free = np.flatnonzero(~rim & good[points.chart])
    if len(free):
        p, q = np.divmod(edge, size)
        link = coo_matrix((np.ones(2 * len(p)), (np.r_[p, q], np.r_[q, p])), (size, size)).tocsr()[free]
        inner = (-link[:, free]).tocsc()
        inner.setdiag(np.asarray(link.sum(axis=1)).reshape(-1))
        system = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        flat[free] = system.solve(link @ flat)
    return flat, good


def _round_rectangle(step: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Points on the sides of a rectangle, [N, 2], that lie ``step`` [N] apart on a line with these four corners."""
    ends = np.append(corner[1:], len(step))
    long = [float(step[a:b].sum()) for a, b in zip(corner, ends, strict=True)]
    wide, high = 0.5 * (long[0] + long[2]), 0.5 * (long[1] + long[3])
    place = np.array([[0.0, 0.0], [wide, 0.0], [wide, high], [0.0, high], [0.0, 0.0]])
    sides = []
    for side, (a, b) in enumerate(zip(corner, ends, strict=True)):
        part = np.concatenate([[0.0], np.cumsum(step[a : b - 1])])[:, None] / max(long[side], 1e-300)
        sides.append(place[side] + part * (place[side + 1] - place[side]))
    return np.concatenate(sides)
