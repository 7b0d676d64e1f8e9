# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures UV layouts: charts, how thin they are, overlap, gaps, use and density. Texel coordinates are uv times size.

A chart is what hangs together across edges whose two faces have the same UV there.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

THIN_TEXELS = 4.0
# Directions tried for the least width of a chart, and how often the step between them is halved about the best.
_TURNS, _HALVINGS = 36, 9
# Centres this near to an edge (in texels) lie in neither of the two faces there.
_CLEAR = 1e-3


def measure_atlas(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, size: int) -> dict[str, float]:
    """Figures of the layout ``uv`` [F, 3, 2] of a mesh for a texture of ``size`` texels a side.

    ``charts``; ``thin_share`` of the charts whose least width (between parallel lines) is under 4 texels;
    ``overlap_texels``: centres that lie in several faces; ``use``: the share of centres that lie in a face; ``gap``:
    texels between the two nearest charts that do not touch at a corner, at most 4; ``outside_corners`` beyond the unit
    square; ``density``: texels per unit of the object's length, mean by area; ``density_spread``: its standard
    deviation in shares of the mean.
    """
    chart, island = charts_of(faces, uv)
    corner = uv.reshape(-1, 2).astype(np.float64) * size
    width = chart_widths(corner, np.repeat(chart, 3))
    owner, covered, overlap = _cover(corner.reshape(-1, 3, 2), island, size, _CLEAR)
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    p, q = (corner.reshape(-1, 3, 2)[:, k] - corner.reshape(-1, 3, 2)[:, 0] for k in (1, 2))
    texels = np.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / 2
    real = area > 0
    density = np.sqrt(texels[real] / area[real])
    mean = np.average(density, weights=area[real])
    return {
        "charts": len(width),
        "thin_share": float((width < THIN_TEXELS).mean()),
        "overlap_texels": int(overlap),
        "use": covered / size**2,
        "gap": int(smallest_gap(owner)),
        "outside_corners": int(((uv < -1e-6) | (uv > 1 + 1e-6)).any(axis=-1).sum()),
        "density": float(mean),
        "density_spread": float(np.sqrt(np.average((density - mean) ** 2, weights=area[real])) / mean),
    }


def charts_of(faces: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels int [F] of the chart of each face, and of the island: charts that touch at a common corner."""
    quantised = np.rint(uv.reshape(-1, 2).astype(np.float64) * 2**22).astype(np.int64)
    corner = np.unique(
        np.concatenate([faces.reshape(-1, 1).astype(np.int64), quantised], axis=1), axis=0, return_inverse=True
    )[1].reshape(-1, 3)
    count = int(corner.max()) + 1
    tail, head = corner.reshape(-1), np.roll(corner, -1, axis=1).reshape(-1)
    key = np.minimum(tail, head) * count + np.maximum(tail, head)
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    left, right = order[:-1][same] // 3, order[1:][same] // 3
    graph = coo_matrix((np.ones(len(left), dtype=bool), (left, right)), shape=(len(faces),) * 2)
    chart = connected_components(graph, directed=False)[1]
    at_corners = coo_matrix(
        (np.ones(3 * len(faces), dtype=bool), (np.repeat(corner[:, 0], 3), corner.reshape(-1))), (count,) * 2
    )
    return chart, connected_components(at_corners, directed=False)[1][corner[:, 0]]


def chart_widths(corner: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """The least distance of two parallel lines around each chart's corners ``corner`` [N, 2], in texels."""
    order = np.argsort(chart, kind="stable")
    corner, start = corner[order], np.flatnonzero(np.concatenate([[True], np.diff(chart[order]) > 0]))
    count = np.diff(np.append(start, len(corner)))
    least, best = np.full(len(start), np.inf), np.zeros(len(start))

    def attempt(turn: np.ndarray) -> None:
        along = np.einsum("ni,in->n", corner, np.repeat([np.cos(turn), np.sin(turn)], count, axis=1))
        width = np.maximum.reduceat(along, start) - np.minimum.reduceat(along, start)
        best[:] = np.where(width < least, turn, best)
        least[:] = np.minimum(least, width)

    step = np.pi / _TURNS
    for turn in range(_TURNS):
        attempt(np.full(len(start), turn * step))
    for halving in range(1, _HALVINGS + 1):
        middle = best.copy()
        attempt(middle - step / 2**halving)
        attempt(middle + step / 2**halving)
    return least


@njit(cache=True)
def _cover(triangles, island, size, clear):
    """Island int32 [size, size] that covers each texel's centre (-1: none), how many are covered, how many twice."""
    owner = np.full((size, size), -1, dtype=np.int32)
    hits = np.zeros((size, size), dtype=np.uint8)
    for n in range(len(triangles)):
        (ax, ay), (bx, by), (cx, cy) = triangles[n]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        longest = np.sqrt(
            max((bx - ax) ** 2 + (by - ay) ** 2, (cx - ax) ** 2 + (cy - ay) ** 2, (cx - bx) ** 2 + (cy - by) ** 2)
        )
        margin = clear * longest / abs(area)
        for row in range(
            max(0, int(np.ceil(min(ay, by, cy) - 0.5))), min(size - 1, int(np.floor(max(ay, by, cy) - 0.5))) + 1
        ):
            for column in range(
                max(0, int(np.ceil(min(ax, bx, cx) - 0.5))), min(size - 1, int(np.floor(max(ax, bx, cx) - 0.5))) + 1
            ):
                x, y = column + 0.5, row + 0.5
                wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                least = min(wb, wc, 1.0 - wb - wc)
                if least >= 0:
                    owner[row, column] = island[n]
                if least > margin and hits[row, column] < 2:
                    hits[row, column] += 1
    return owner, (owner >= 0).sum(), (hits > 1).sum()


@njit(cache=True)
def smallest_gap(owner):
    """Texels between the two nearest islands in ``owner`` int32 [S, S], along rows, columns or diagonals; at most 4."""
    least = 4
    rows, columns = owner.shape
    for row in range(rows):
        for column in range(columns):
            mine = owner[row, column]
            if mine < 0:
                continue
            for down in range(least + 1):
                for right in range(-least, least + 1):
                    r, c = row + down, column + right
                    if r >= rows or c < 0 or c >= columns:
                        continue
                    other = owner[r, c]
                    if other >= 0 and other != mine:
                        least = min(least, max(down, abs(right)) - 1)
    return least
