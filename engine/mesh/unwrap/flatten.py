# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays charts flat: projected along their axis, then relaxed as rigidly as possible (Liu et al. 2008, local/global).

Triangles that still come out mirrored are spread out by averaging around them.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import SuperLU, splu

from ...kernels.host_arrays import Array
from ..compilation import load_loops

ITERATIONS = 12
UNTANGLE_ROUNDS = 8
UNTANGLE_STEPS = 10
LEAST_WEIGHT = 0.02
LARGEST_WEIGHT = 20.0

# Faces that keep less than this share of their area count as mirrored.
FLAT = 1e-6

# Pulls every point slightly to where it was: otherwise a chart could turn and move freely.
INERTIA = 1e-4


def flatten(points: np.ndarray, corners: np.ndarray, chart: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Flatten charts (label int [F], ascending) of triangles ``corners`` int [F, 3] of ``points`` [V, 3].

    Every point belongs to one chart, those of each to the next ones of ``points``. ``start`` [V, 2]: where the points
    lie to begin with (None: projected). Returns uv float64 [V, 2] in the units of ``points``.
    """
    loops = load_loops("unwrap.compiled_flatten")
    if loops is None:
        return flatten_plainly(points, corners, chart, start)
    of_point = np.empty(len(points), dtype=np.int64)
    of_point[corners.reshape(-1)] = np.repeat(chart, 3)
    numbers = np.arange(int(chart.max()) + 2)
    uv = np.empty((len(points), 2)) if start is None else start.copy()
    first = np.searchsorted(of_point, numbers), np.searchsorted(chart, numbers)
    left = loops.lay(points, corners, *first, start is None, uv)
    if left.any():
        inside, faces = left[of_point], left[chart]
        place = np.cumsum(inside) - 1
        own = None if start is None else start[inside]
        label = (np.cumsum(left) - 1)[chart[faces]]
        uv[inside] = flatten_plainly(points[inside], place[corners[faces]], label, own)
    return uv


def flatten_plainly(
    points: np.ndarray, corners: np.ndarray, chart: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """What ``flatten`` is, for all charts at once."""
    _, rest = _rest_shapes(points, corners)
    uv = _project(points, corners, chart) if start is None else start
    weight = _corner_weights(rest)
    system, link = _laplacian(corners, weight, len(points))
    for _ in range(ITERATIONS):
        uv = system.solve(pull(rest, uv, corners, weight) + link[:, None] * uv)
    return _untangle(uv, corners, chart, rest)


def stretches(points: np.ndarray, uv: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area of every triangle [F] and how ``uv`` [V, 2] stretches it, float64 [F, 2].

    The stretch is the largest and the least factor by which lengths change; the least one is negative where the
    triangle is mirrored.
    """
    area, rest = _rest_shapes(points, corners)
    return area, _stretch(rest, uv[corners])


def alone(triangles: np.ndarray) -> np.ndarray:
    """Lay each of the triangles [F, 3, 3] flat by itself, true to scale: float64 [F, 3, 2]."""
    return _rest_shapes(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3))[1]


def _rest_shapes(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle in its own plane: area [F] and corners [F, 3, 2], the first at the origin."""
    a, b, c = (points[corners[:, i]] for i in range(3))
    along, across = b - a, c - a
    length = np.linalg.norm(along, axis=1)
    safe = np.maximum(length, 1e-30)
    x = np.einsum("fi,fi->f", along, across) / safe
    double_area = np.linalg.norm(np.cross(along, across), axis=1)
    rest = np.zeros((len(corners), 3, 2))
    rest[:, 1, 0] = length
    rest[:, 2, 0], rest[:, 2, 1] = x, double_area / safe
    return 0.5 * double_area, rest


def _project(points: np.ndarray, corners: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Project every chart along its mean normal."""
    count = int(chart.max()) + 1
    a, b, c = (points[corners[:, i]] for i in range(3))
    vector = np.cross(b - a, c - a)
    axis = np.stack([np.bincount(chart, vector[:, i], minlength=count) for i in range(3)], axis=1)
    axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-30)
    least = np.eye(3)[np.argmin(np.abs(axis), axis=1)]
    u = np.cross(least, axis)
    u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-30)
    v = np.cross(axis, u)
    of_point = np.zeros(len(points), dtype=np.int64)
    of_point[corners.reshape(-1)] = np.repeat(chart, 3)
    return np.stack([np.einsum("vi,vi->v", points, axes[of_point]) for axes in (u, v)], axis=1)


def _corner_weights(rest: np.ndarray) -> np.ndarray:
    """Half cotangents [F, 3] of the angles, kept within bounds that make the system well conditioned."""
    weight = np.empty((len(rest), 3))
    for i in range(3):
        p, q = rest[:, (i + 1) % 3] - rest[:, i], rest[:, (i + 2) % 3] - rest[:, i]
        sine = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
        weight[:, i] = 0.5 * (p * q).sum(axis=1) / np.maximum(np.abs(sine), 1e-30)
    return np.clip(weight, LEAST_WEIGHT, LARGEST_WEIGHT)


def _laplacian(corners: np.ndarray, weight: np.ndarray, count: int) -> tuple[SuperLU, np.ndarray]:
    """Factorise the weighted Laplacian of the triangles plus a diagonal; also return that diagonal [V]."""
    rows, columns, values = [], [], []
    for i in range(3):
        j, k = corners[:, (i + 1) % 3], corners[:, (i + 2) % 3]
        rows += [j, k, j, k]
        columns += [k, j, j, k]
        values += [-weight[:, i], -weight[:, i], weight[:, i], weight[:, i]]
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    ).tocsc()
    link = INERTIA * matrix.diagonal() + 1e-9
    matrix.setdiag(matrix.diagonal() + link)
    system = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return system, link


def pull(rest: np.ndarray, uv: np.ndarray, corners: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The pull [V, 2] of the rest shapes [F, 3, 2] on points ``uv`` [V, 2], each turned to lie there as it best can."""
    cos, sin = np.zeros(len(rest)), np.zeros(len(rest))
    flat = uv[corners]
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        p, q = rest[:, j] - rest[:, k], flat[:, j] - flat[:, k]
        cos += weight[:, i] * (p * q).sum(axis=1)
        sin += weight[:, i] * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])
    length = np.maximum(np.sqrt(cos * cos + sin * sin), 1e-30)
    cos, sin = (cos / length)[:, None], (sin / length)[:, None]
    turned = np.stack([cos * rest[..., 0] - sin * rest[..., 1], sin * rest[..., 0] + cos * rest[..., 1]], axis=-1)
    force = np.zeros_like(turned)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        by = weight[:, i, None] * (turned[:, j] - turned[:, k])
        force[:, j] += by
        force[:, k] -= by
    index = corners.reshape(-1)
    return np.stack([np.bincount(index, force[..., i].reshape(-1), minlength=len(uv)) for i in range(2)], axis=1)


def double_areas(flat: Array) -> Array:
    """Twice the areas of triangles [F, 3, 2], negative for mirrored ones."""
    b, c = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]


def _untangle(uv: np.ndarray, corners: np.ndarray, chart: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Move points around mirrored faces to the mean of their neighbours until no face is mirrored, if that helps."""
    small = FLAT * np.maximum(rest[:, 1, 0] * rest[:, 2, 1], 1e-30)
    # Most charts have none.
    tangled = np.bincount(chart, double_areas(uv[corners]) < small)[chart] > 0
    corners, small = corners[tangled], small[tangled]
    tail, head = corners.reshape(-1), np.roll(corners, -1, axis=1).reshape(-1)
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    key, count = np.unique(low * len(uv) + high, return_counts=True)
    a, b = np.divmod(key, len(uv))
    fixed = np.zeros(len(uv), dtype=bool)
    fixed[a[count == 1]] = fixed[b[count == 1]] = True
    degree = np.maximum(np.bincount(a, minlength=len(uv)) + np.bincount(b, minlength=len(uv)), 1)
    for turn in range(UNTANGLE_ROUNDS):
        bad = double_areas(uv[corners]) < small
        if not bad.any():
            break
        near = np.zeros(len(uv), dtype=bool)
        near[corners[bad]] = True
        for _ in range(turn // 2):
            near[corners[near[corners].any(axis=1)]] = True
        free = near & ~fixed
        moved = np.flatnonzero(free)
        to = np.concatenate([a[free[a]], b[free[b]]])
        by = np.concatenate([b[free[a]], a[free[b]]])
        for _ in range(UNTANGLE_STEPS):
            for i in range(2):
                uv[moved, i] = (np.bincount(to, uv[by, i], minlength=len(uv)) / degree)[moved]
    return uv


def _stretch(rest: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """The singular values of the maps between triangles [F, 2]; the least negative where mirrored."""
    length, x, y = np.maximum(rest[:, 1, 0], 1e-30), rest[:, 2, 0], np.maximum(rest[:, 2, 1], 1e-30)
    first = (flat[:, 1] - flat[:, 0]) / length[:, None]
    second = (flat[:, 2] - flat[:, 0] - first * x[:, None]) / y[:, None]
    e, f = 0.5 * (first[:, 0] + second[:, 1]), 0.5 * (first[:, 0] - second[:, 1])
    g, h = 0.5 * (second[:, 0] + first[:, 1]), 0.5 * (first[:, 1] - second[:, 0])
    q, r = np.hypot(e, h), np.hypot(f, g)
    return np.stack([q + r, q - r], axis=1)
