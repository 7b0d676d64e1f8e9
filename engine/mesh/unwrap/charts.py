# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups the faces of a mesh into charts that flatten well: grown together by normal cone and shape (section 6.6).

All clusters merge at once, in rounds: every cluster names its cheapest neighbour and two that name each other become
one. Costs are compared in coarse steps and ties are broken by a fixed scramble, so a regular mesh, where all costs are
equal, needs no more rounds than any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from ..compilation import load_loops
from ..surface.topology import EdgeTable, face_vectors, half_edge_ends, label_components, unit

# What is left over as dust is small and may lean this much further (radians) from its chart's axis than other faces.
DUST_LEANS = np.radians(25.0)

# A round patch has shape 1, a square 1.27, a strip ten times as long as wide 3.9.
SHAPE_WEIGHT = 0.2
WORST_SHAPE = 3.5

# The gap around charts costs strips narrower than so many texels more room than their shape does: they may be longer,
# and reach further around a wire.
STRIP_TEXELS = 8.0
STRIP_SHAPE = 12.0
STRIP_CONE = np.radians(105.0)

# Charts narrower than this many texels are merged into a neighbour where one will have them.
DUST_TEXELS = 6.0

STRAIGHTENINGS = 2

# A way across a crease of one radian is so many times longer than on the flat.
CREASE = 4.0

# The core of a chart lies deeper inside than this share of its depth.
CORE = 0.5

NORMAL_ROUNDS = 3

# Faces so many times larger than the median one count as large.
LARGE = 8.0

MOST_ROUNDS = 200
COST_STEPS_PER_DOUBLING = 8


@dataclass
class _Clusters:
    """label int64 [F]; per cluster its area [C], perimeter [C] and area-weighted normal [C, 3]; edges between them."""

    label: np.ndarray
    area: np.ndarray
    perimeter: np.ndarray
    normal: np.ndarray
    a: np.ndarray
    b: np.ndarray
    length: np.ndarray

    def merge(self, into: np.ndarray) -> None:
        """Replace every cluster by the one it is merged ``into``, int64 [C]; names may skip numbers."""
        stays = np.zeros(len(into), dtype=bool)
        stays[into] = True
        fresh, count = (np.cumsum(stays) - 1)[into], int(stays.sum())
        a, b = fresh[self.a], fresh[self.b]
        inner = a == b
        within = np.bincount(a[inner], self.length[inner], minlength=count)
        self.perimeter = np.bincount(fresh, self.perimeter, minlength=count) - 2.0 * within
        self.area = np.bincount(fresh, self.area, minlength=count)
        self.normal = np.stack([np.bincount(fresh, self.normal[:, i], minlength=count) for i in range(3)], axis=1)
        self.label = fresh[self.label]
        low, high = np.minimum(a, b)[~inner], np.maximum(a, b)[~inner]
        key, edge = np.unique(low * count + high, return_inverse=True)
        self.length = np.bincount(edge.reshape(-1), self.length[~inner], minlength=len(key))
        self.a, self.b = np.divmod(key, max(count, 1))


def winding_pairs(faces: np.ndarray, table: EdgeTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the half-edges [P] each of edges between exactly two faces that are wound alike."""
    left, right = table.pairs()
    tail = half_edge_ends(faces)[0]
    alike = tail[left] != tail[right]
    return left[alike], right[alike]


def find_charts(
    vertices: np.ndarray, faces: np.ndarray, left: np.ndarray, right: np.ndarray, texel: float, cone: float, noisy: bool
) -> np.ndarray:
    """Label the faces int64 [F, 3] of ``vertices`` [V, 3] with their chart, int64 [F].

    left, right: half-edges [P] across which a chart may go on, from ``winding_pairs``. Charts are connected
    and may have openings. texel: the side of a texel, in units of ``vertices``. cone: how far faces
    may lean from the axis of their chart (radians). noisy: whether normals of single faces say little about the shape.
    """
    area_vector = face_vectors(vertices, faces)
    area = np.linalg.norm(area_vector, axis=1)
    tail, head = half_edge_ends(faces)
    side = np.linalg.norm(vertices[head] - vertices[tail], axis=1)
    f, g = left // 3, right // 3
    facing = _calm_normals(area_vector, area, f, g) if noisy else unit(area_vector)

    def single_faces() -> _Clusters:
        return _Clusters(
            np.arange(len(faces)),
            np.maximum(area, 1e-30),
            side.reshape(-1, 3).sum(axis=1),
            facing * area[:, None],
            np.minimum(f, g),
            np.maximum(f, g),
            side[left],
        )

    clusters = single_faces()
    _grow(clusters, facing, cone, texel, False)
    label = clusters.label
    for _ in range(STRAIGHTENINGS):
        label = _straighten(label, vertices[faces].mean(axis=1), facing, f, g)
    clusters = single_faces()
    clusters.merge(label)
    _grow(clusters, facing, cone + DUST_LEANS, texel, True)
    return clusters.label


def _straighten(label: np.ndarray, middle: np.ndarray, facing: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Redraw the borders between charts halfway between their cores, so that arms and bays go; int64 [F].

    From the cores (see ``CORE``) the charts grow again, each with a lead as large as its core's depth: a straight
    border stays where it is. Sharp creases count as long ways, so borders stay on them.
    """
    count, faces = int(label.max()) + 1, len(label)
    bend = np.arccos(np.clip(np.einsum("ei,ei->e", facing[f], facing[g]), -1.0, 1.0))
    way = np.linalg.norm(middle[f] - middle[g], axis=1) * (1.0 + CREASE * bend**2) + 1e-12
    border = np.zeros(faces, dtype=bool)
    across = label[f] != label[g]
    border[f[across]] = border[g[across]] = True
    inner = ~across
    start = np.flatnonzero(border)
    depth = distances_from(faces, f[inner], g[inner], way[inner], start, np.zeros(len(start)))[0]
    depth = np.where(np.isfinite(depth), depth, 0.0)
    deepest = np.zeros(count)
    np.maximum.at(deepest, label, depth)
    lead = CORE * deepest[label]
    core = np.flatnonzero(depth >= lead)
    _, origin = distances_from(faces, f, g, way, core, lead.max() - lead[core])
    grown = label[origin]
    same = grown[f] == grown[g]
    return label_components(faces, f[same], g[same])


def distances_from(
    faces: np.ndarray, f: np.ndarray, g: np.ndarray, way: np.ndarray, start: np.ndarray, lead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shortest ways from the faces ``start``, which begin at ``lead``: distance [F], and the start each came from."""
    graph = coo_matrix(
        (
            np.concatenate([way, lead + 1e-12]),
            (np.concatenate([f, np.full(len(start), faces)]), np.concatenate([g, start])),
        ),
        shape=(faces + 1, faces + 1),
    ).tocsr()
    distance, before = dijkstra(graph, directed=False, indices=faces, return_predecessors=True)
    origin = before[:faces].astype(np.int64)
    own = np.arange(faces)
    origin = np.where((origin == faces) | (origin < 0), own, origin)
    while True:
        further = origin[origin]
        if np.array_equal(further, origin):
            return distance[:faces], origin
        origin = further


def _grow(clusters: _Clusters, facing: np.ndarray, cone: float, texel: float, dust: bool) -> None:
    """Merge neighbours while cone and shape allow; with ``dust``, only where one is narrow."""
    for _ in range(MOST_ROUNDS):
        if len(clusters.a) == 0:
            return
        a, b = clusters.a, clusters.b
        axis = unit(clusters.normal)
        lean = _half_angles(clusters.label, facing, axis)
        area = clusters.area[a] + clusters.area[b]
        perimeter = clusters.perimeter[a] + clusters.perimeter[b] - 2.0 * clusters.length
        shape = perimeter**2 / (4.0 * np.pi * area)
        angle = _joint_cone(axis, lean, a, b)
        if not dust:
            rough = np.maximum(_shape(clusters)[a], _shape(clusters)[b])
            strip = 2.0 * area < STRIP_TEXELS * texel * perimeter
            allowed = (angle <= np.where(strip, STRIP_CONE, cone)) & (
                shape <= np.maximum(np.where(strip, STRIP_SHAPE, WORST_SHAPE), rough)
            )
            cost = angle + SHAPE_WEIGHT * shape
        else:
            narrow = 2.0 * clusters.area / np.maximum(clusters.perimeter, 1e-30) < 0.5 * DUST_TEXELS * texel
            allowed = (angle <= cone) & (narrow[a] | narrow[b])
            share = clusters.length / np.minimum(
                np.where(narrow[a], clusters.perimeter[a], np.inf), np.where(narrow[b], clusters.perimeter[b], np.inf)
            )
            cost = 2.0 - np.minimum(share, 1.0) + 0.5 * angle
        if not allowed.any():
            return
        clusters.merge(_matches(a[allowed], b[allowed], cost[allowed], len(clusters.area)))


def _matches(a: np.ndarray, b: np.ndarray, cost: np.ndarray, count: int) -> np.ndarray:
    """Pair clusters that are each other's cheapest neighbour; return the cluster each goes into, int64 [count]."""
    step = np.round(np.log2(np.maximum(cost, 1e-6)) * COST_STEPS_PER_DOUBLING)
    # A fixed scramble of the pair (multiplicative hashing), the same on every machine.
    scramble = (a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        b.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    scramble = (scramble ^ (scramble >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    if loops := load_loops("unwrap.compiled_charts"):
        return loops.matches(a, b, step, scramble, count)
    rank = np.empty(len(a), dtype=np.int64)
    rank[np.lexsort((scramble, step))] = np.arange(len(a))
    best = np.full(count, len(a), dtype=np.int64)
    np.minimum.at(best, a, rank)
    np.minimum.at(best, b, rank)
    mutual = (best[a] == rank) & (best[b] == rank)
    into = np.arange(count)
    into[b[mutual]] = a[mutual]
    return into


def _shape(clusters: _Clusters) -> np.ndarray:
    return clusters.perimeter**2 / (4.0 * np.pi * clusters.area)


def _half_angles(label: np.ndarray, facing: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The largest angle between a cluster's axis and a face of it, float64 [C]."""
    if loops := load_loops("unwrap.compiled_charts"):
        return np.arccos(np.clip(loops.least_agreement(label, facing, axis), -1.0, 1.0))
    least = np.ones(len(axis))
    np.minimum.at(least, label, np.einsum("fi,fi->f", facing, axis[label]))
    return np.arccos(np.clip(least, -1.0, 1.0))


def _joint_cone(axis: np.ndarray, lean: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The half angle of the smallest cone around the cones of clusters a and b."""
    between = np.arccos(np.clip(np.einsum("ei,ei->e", axis[a], axis[b]), -1.0, 1.0))
    return 0.5 * (np.maximum(lean[a], between + lean[b]) - np.minimum(-lean[a], between - lean[b]))


def _calm_normals(area_vector: np.ndarray, area: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Face normals evened out over neighbours, unit [F, 3]: noise must not decide where charts end.

    Faces much larger than most are no noise and keep theirs.
    """
    open_to = np.minimum(1.0, LARGE * np.median(area) / np.maximum(area, 1e-300))
    total = area_vector
    for _ in range(NORMAL_ROUNDS):
        spread = total.copy()
        for i in range(3):
            spread[:, i] += open_to * np.bincount(f, total[g, i], minlength=len(total))
            spread[:, i] += open_to * np.bincount(g, total[f, i], minlength=len(total))
        total = spread
    return unit(total)
