# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures surfaces: counts of their edges, distances between them, what is seen of them from outside.

Chamfer distance: the mean of the two mean distances between points drawn by area on one surface and the other surface.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SAMPLES = 400_000
NEAREST = 8
# Orthographic views from outside: the 26 directions of a cube's faces, edges and corners.
DIRECTIONS = np.array(
    [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], dtype=float
)
_FLAT = 1e-20


def edge_counts(faces: np.ndarray) -> dict[str, int]:
    """Count by index: ``boundary_edges`` (one face), ``non_manifold_edges`` (over two), ``flipped_edges`` (two faces
    that go along it in the same direction), ``degenerate_faces`` (a corner twice), ``components`` (by vertex)."""
    faces = faces.astype(np.int64)
    count = int(faces.max(initial=-1)) + 1
    tail, head = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    key = np.minimum(tail, head) * count + np.maximum(tail, head)
    order = np.argsort(key, kind="stable")
    key, forward = key[order], (tail < head)[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(key)))
    pairs = start[size == 2]
    twice = (faces == np.roll(faces, -1, axis=1)).any(axis=1)
    return {
        "faces": len(faces),
        "boundary_edges": int((size == 1).sum()),
        "non_manifold_edges": int((size > 2).sum()),
        "flipped_edges": int((forward[pairs] == forward[pairs + 1]).sum()),
        "degenerate_faces": int(twice.sum()),
        "components": len(np.unique(component_of_faces(faces))),
    }


def component_of_faces(faces: np.ndarray) -> np.ndarray:
    """Label int [F] of the component, by shared vertices, that a face belongs to."""
    count = int(faces.max(initial=-1)) + 1
    rows, columns = np.concatenate([faces[:, 0], faces[:, 0]]), np.concatenate([faces[:, 1], faces[:, 2]])
    graph = coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(count, count))
    label = connected_components(graph, directed=False)[1]
    return label[faces[:, 0]] if len(faces) else np.zeros(0, dtype=np.int64)


def inside_out_components(vertices: np.ndarray, faces: np.ndarray) -> int:
    """How many closed components have a negative volume."""
    part = component_of_faces(faces)
    tail, head = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    count = int(faces.max(initial=-1)) + 1
    key = np.minimum(tail, head).astype(np.int64) * count + np.maximum(tail, head)
    _, inverse, size = np.unique(key, return_inverse=True, return_counts=True)
    torn = np.zeros(int(part.max(initial=-1)) + 1, dtype=bool)
    torn[np.repeat(part, 3)[size[inverse.reshape(-1)] != 2]] = True
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    volume = np.bincount(part, np.einsum("fi,fi->f", a, np.cross(b, c)), minlength=len(torn))
    used = np.bincount(part, minlength=len(torn)) > 0
    return int((used & ~torn & (volume < 0)).sum())


def unit_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit face normals float64 [F, 3]; zero for faces without area."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return normal / np.maximum(length, _FLAT)


def draw_points(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points float64 [count, 3] drawn uniformly by area and the faces [count] they lie on."""
    random = np.random.default_rng(seed)
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    total = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    face = np.searchsorted(total, random.random(count) * total[-1]).clip(max=len(faces) - 1)
    u, v = random.random((2, count, 1))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    return a[face] + u * (b - a)[face] + v * (c - a)[face], face


class Surface:
    """A surface to measure distances to: the exact distance to the faces that hold the nearest of many points on it.

    The points are every face's centre and ``SAMPLES`` drawn by area, so that small and large faces are found alike.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.vertices, self.faces = vertices, faces
        points, face = draw_points(vertices, faces, SAMPLES, seed=1)
        centres = vertices[faces].astype(np.float64).mean(axis=1)
        self._face = np.concatenate([face, np.arange(len(faces))])
        self._tree = cKDTree(np.concatenate([points, centres]), balanced_tree=False, compact_nodes=False)

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distance [N], closest point [N, 3] and its face [N] of points [N, 3]."""
        found = self._tree.query(points, NEAREST, workers=-1)[1]
        return _closest(points, self.vertices.astype(np.float64), self.faces.astype(np.int64), self._face[found])


@njit(cache=True)
def _closest(points, vertices, faces, candidates):
    count = len(points)
    distance = np.full(count, np.inf)
    place = np.zeros((count, 3))
    which = np.zeros(count, dtype=np.int64)
    for n in range(count):
        for face in candidates[n]:
            corner = faces[face]
            near = _on_triangle(points[n], vertices[corner[0]], vertices[corner[1]], vertices[corner[2]])
            gap = np.sqrt(((near - points[n]) ** 2).sum())
            if gap < distance[n]:
                distance[n], place[n], which[n] = gap, near, face
    return distance, place, which


@njit(cache=True)
def _on_triangle(p, a, b, c):
    """The point of triangle abc closest to p (Ericson, Real-Time Collision Detection, 5.1.5)."""
    ab, ac, ap = b - a, c - a, p - a
    d1, d2 = (ab * ap).sum(), (ac * ap).sum()
    if d1 <= 0 and d2 <= 0:
        return a
    bp = p - b
    d3, d4 = (ab * bp).sum(), (ac * bp).sum()
    if d3 >= 0 and d4 <= d3:
        return b
    vc = d1 * d4 - d3 * d2
    if vc <= 0 and d1 >= 0 and d3 <= 0 and d1 > d3:
        return a + ab * (d1 / (d1 - d3))
    cp = p - c
    d5, d6 = (ab * cp).sum(), (ac * cp).sum()
    if d6 >= 0 and d5 <= d6:
        return c
    vb = d5 * d2 - d1 * d6
    if vb <= 0 and d2 >= 0 and d6 <= 0 and d2 > d6:
        return a + ac * (d2 / (d2 - d6))
    va = d3 * d6 - d5 * d4
    if va <= 0 and d4 >= d3 and d5 >= d6 and d4 - d3 + d5 - d6 > 0:
        return b + (c - b) * ((d4 - d3) / ((d4 - d3) + (d5 - d6)))
    total = va + vb + vc
    if total <= 0:
        return a
    return a + ab * (vb / total) + ac * (vc / total)


def distances(a: Surface, b: Surface, size: float) -> dict[str, float]:
    """How far two surfaces are apart, in thousandths of ``size``, and their normals (winding ignored) in degrees."""
    there, back = _one_way(a, b), _one_way(b, a)
    both = np.concatenate([there[0], back[0]])
    return {
        "chamfer": float(500 * (there[0].mean() + back[0].mean()) / size),
        "root_mean_square": float(1000 * np.sqrt((both**2).mean()) / size),
        "farthest": float(1000 * both.max() / size),
        "normal_degrees": float((there[1].mean() + back[1].mean()) / 2),
    }


def _one_way(a: Surface, b: Surface) -> tuple[np.ndarray, np.ndarray]:
    points, face = draw_points(a.vertices, a.faces, SAMPLES, seed=0)
    distance, _, hit = b.closest(points)
    cosine = np.abs(np.einsum("ni,ni->n", _normals_of(a, face), _normals_of(b, hit)))
    return distance, np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))


def _normals_of(surface: Surface, face: np.ndarray) -> np.ndarray:
    return unit_normals(surface.vertices, surface.faces[face])


def views(vertices: np.ndarray, faces: np.ndarray, directions: np.ndarray, side: int) -> tuple[np.ndarray, ...]:
    """What orthographic cameras of ``side`` pixels see: face int64 [N] and barycentric weights float64 [N, 3]."""
    hits, weights = [], []
    points = vertices.astype(np.float64)
    centre, reach = (points.min(axis=0) + points.max(axis=0)) / 2, np.linalg.norm(np.ptp(points, axis=0)) / 2
    for direction in directions:
        frame = camera(direction)
        screen = (points - centre) @ frame.T
        screen[:, :2] = (screen[:, :2] / reach * 0.5 + 0.5) * side
        face, weight = _z_buffer(screen, faces.astype(np.int64), side)
        hits.append(face[face >= 0])
        weights.append(weight[face >= 0])
    return np.concatenate(hits), np.concatenate(weights)


def camera(direction: np.ndarray) -> np.ndarray:
    """Rows right, up and towards the viewer of a camera that looks at the origin from ``direction``."""
    back = direction / np.linalg.norm(direction)
    right = np.cross([0.31, 0.27, 0.91], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


@njit(cache=True)
def _z_buffer(screen, faces, side):
    depth = np.full((side, side), -np.inf)
    owner = np.full((side, side), -1, dtype=np.int64)
    weight = np.zeros((side, side, 3))
    for n in range(len(faces)):
        a, b, c = screen[faces[n, 0]], screen[faces[n, 1]], screen[faces[n, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0:
            continue
        low_x, high_x = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
        low_y, high_y = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
        for row in range(max(0, int(np.ceil(low_y - 0.5))), min(side - 1, int(np.floor(high_y - 0.5))) + 1):
            for column in range(max(0, int(np.ceil(low_x - 0.5))), min(side - 1, int(np.floor(high_x - 0.5))) + 1):
                x, y = column + 0.5, row + 0.5
                wb = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
                wc = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
                wa = 1.0 - wb - wc
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                z = wa * a[2] + wb * b[2] + wc * c[2]
                if z > depth[row, column]:
                    depth[row, column] = z
                    owner[row, column] = n
                    weight[row, column, 0], weight[row, column, 1], weight[row, column, 2] = wa, wb, wc
    return owner, weight
