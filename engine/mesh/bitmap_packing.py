# SPDX-License-Identifier: GPL-3.0-or-later
"""Places charts in a square by the texels they touch: large ones first, each as low as it fits in one of four turns.

A strip of the square's width is filled, at scales that lead to the one where it is as high as wide.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import compiled_packing as compiled
from .packing import lay_down
from .widen import widened

# Places are searched on a grid of at most this many cells a side; a cell is then a few texels.
_LARGEST_GRID = 2048
_COARSE_GRID = 1024

# After so many charts of about one size the search no longer begins at the bottom every time.
_PATIENCE = 24

# Which charts come first: the longest, those with the largest rectangles, those with the largest areas.
_ORDERS = 3

_FIRST_USE = 0.72
_ESTIMATES, _CLOSE_ENOUGH = 3, 0.01
_CLOSE = (1.03, 1.02, 1.01, 1.0, 0.99, 0.98, 0.965, 0.95)
_LESS = 0.9
_LEAST = 0.05

# Where the strip stays so much lower than it is wide (its square root), a larger scale is tried once more.
_ROOM = 1.008

# Charts are at least so many texels wide, at a scale below the one that is expected.
_WIDTH_TEXELS, _WIDTH_SCALE = 4.2, 0.97


def pack_bitmaps(uv: np.ndarray, chart: np.ndarray, size: int, padding: int) -> np.ndarray | None:
    """Place charts (face label int [F]) in ``size`` x ``size`` texels, as large as they fit, all at one scale.

    uv: [F, 3, 2] in any unit common to all charts; each chart is turned, never mirrored, and those that would be
    narrower than about 4 texels are stretched to that. Between the texels that
    ``raster.rasterise`` covers for two charts at least ``padding`` stay free in every direction, half of it to the
    border. Returns float64 [F, 3, 2] in texels, or None when the charts are too many for that.
    """
    grid = _grid(size, padding)
    texels = grid.texels
    work = _Packing(lay_down(uv.astype(np.float64), chart, int(chart.max()) + 1), chart)
    if work.count * (2.0 + grid.gap) ** 2 > 0.9 * grid.side**2:
        return None
    shrink = max(1, grid.side // _COARSE_GRID)
    coarse = _Grid(grid.side // shrink, -(-grid.gap // shrink), texels * shrink)
    # Tried two at a time whatever the number of cores, so that the answer does not depend on it.
    with ThreadPoolExecutor(2) as threads:
        tried, used = work.estimate(coarse)
        others = threads.map(lambda order: work.attempt(tried, coarse, 2 * coarse.side, order)[1], range(1, _ORDERS))
        heights = [used, *others]
        order = int(np.argmin(heights))
        first = scale = min(tried * np.sqrt(coarse.side / heights[order]), work.largest(coarse)) * shrink
        work.widen(_WIDTH_TEXELS / (_WIDTH_SCALE * scale * texels))

        def attempts(scales: list[float]) -> tuple[np.ndarray, int, float] | None:
            """The first of the scales that fits: points, the height used, the scale."""
            for scale, (placed, used) in zip(
                scales, threads.map(lambda s: work.attempt(s, grid, grid.side, order), scales), strict=True
            ):
                if used <= grid.side:
                    return placed * texels, used, scale
            return None

        while scale > _LEAST * first:
            for pair in zip(_CLOSE[::2], _CLOSE[1::2], strict=True):
                found = attempts([scale * factor for factor in pair])
                if found is None:
                    continue
                placed, used, scale = found
                room = np.sqrt(grid.side / used)
                larger = attempts([scale * room, scale * np.sqrt(room)]) if room > _ROOM else None
                return placed if larger is None else larger[0]
            scale *= _LESS
    return None


def pack_beside(standing: np.ndarray, uv: np.ndarray, chart: np.ndarray, size: int, padding: int) -> np.ndarray | None:
    """Place further charts (face label int [F]) in the room that a layout of ``pack_bitmaps`` leaves.

    standing: [G, 3, 2], that layout, and uv: [F, 3, 2], all in texels. Returns float64 [F, 3, 2], or None where there
    is not enough room.
    """
    grid = _grid(size, padding)
    edge, count = grid.gap // 2, int(chart.max()) + 1
    points = widened(lay_down(uv / grid.texels, chart, count), chart, count, _WIDTH_TEXELS / grid.texels)
    moved = points + grid.margin
    box = _boxes(_extents(points, chart, count), 1.0, grid)
    # The standing layout is one chart that fills the square.
    side = grid.side - 2 * edge
    width, height = np.concatenate([[[side, side]], box]).T
    first = np.concatenate([[0], np.cumsum(width * height)])
    triangles = np.concatenate([standing / grid.texels - edge, moved])
    number = np.concatenate([np.zeros(len(standing), dtype=np.int64), chart + 1])
    cells = compiled.touched_cells(triangles, number, width, height, first, grid.texels)
    places, used = compiled.place(cells, width, height, first, np.arange(count + 1), side, side, grid.gap, _PATIENCE)
    return None if used > side else _at_places(moved, chart, places[1:], box, edge) * grid.texels


class _Grid:
    """side: cells a side. gap: free cells between charts. texels: texels along the side of a cell."""

    def __init__(self, side: int, gap: int, texels: int) -> None:
        self.side, self.gap, self.texels = side, gap, texels
        self.margin = compiled.REACH / texels + 0.5 - 0.5 / texels


def _grid(size: int, padding: int) -> _Grid:
    texels = -(-size // _LARGEST_GRID)
    return _Grid(size // texels, -(-padding // texels), texels)


def _extents(points: np.ndarray, chart: np.ndarray, count: int) -> np.ndarray:
    """How far charts that begin at the origin reach, [C, 2]."""
    extent = np.zeros((count, 2))
    np.maximum.at(extent, chart, points.max(axis=1))
    return extent


def _boxes(extent: np.ndarray, scale: float, grid: _Grid) -> np.ndarray:
    """Width and height in cells, int64 [C, 2], of the bitmaps of charts with the extents [C, 2]."""
    return np.ceil(extent * scale + 2.0 * grid.margin).astype(np.int64)


def _at_places(moved: np.ndarray, chart: np.ndarray, places: np.ndarray, box: np.ndarray, edge: int) -> np.ndarray:
    """Turn and move charts [F, 3, 2], each in its box [C, 2], to their places [C, 3] within ``edge`` cells."""
    row, column, turn = places[chart].T[..., None]
    x, y = moved[..., 0], moved[..., 1]
    w, h = box[chart].T[..., None]
    turned_x = np.select([turn == 0, turn == 1, turn == 2], [x, h - y, w - x], y)
    turned_y = np.select([turn == 0, turn == 1, turn == 2], [y, x, h - y], w - x)
    return np.stack([turned_x + column + edge, turned_y + row + edge], axis=-1)


class _Packing:
    """Charts waiting for a place: their faces in a frame of their own, and how large they are."""

    def __init__(self, points: np.ndarray, chart: np.ndarray) -> None:
        self.chart = chart
        self.count = int(chart.max()) + 1
        self._measure(points)

    def widen(self, least: float) -> None:
        """Stretch the charts that are narrower than ``least``."""
        self._measure(widened(self.points, self.chart, self.count, least))

    def _measure(self, points: np.ndarray) -> None:
        self.points = points
        self.extent = _extents(points, self.chart, self.count)
        edges = points[:, 1:] - points[:, :1]
        area = 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
        self.area = np.bincount(self.chart, area)

    def largest(self, grid: _Grid) -> float:
        """The scale, in cells per unit, at which the longest chart is as long as the square."""
        return (grid.side - 2.0 * grid.margin - grid.gap - 1.0) / max(float(self.extent.max()), 1e-30)

    def estimate(self, grid: _Grid) -> tuple[float, int]:
        """A scale, in cells per unit, at which the strip of the first order is about as high as wide; its height."""
        largest = self.largest(grid)
        nearer = min(grid.side * np.sqrt(_FIRST_USE / max(float(self.area.sum()), 1e-30)), largest)
        for _ in range(_ESTIMATES):
            scale = nearer
            _, used = self.attempt(scale, grid, 2 * grid.side, 0)
            nearer = min(scale * np.sqrt(grid.side / used), largest)
            if abs(nearer / scale - 1.0) < _CLOSE_ENOUGH:
                break
        return scale, used

    def attempt(self, scale: float, grid: _Grid, limit: int, order: int) -> tuple[np.ndarray, int]:
        """Place all charts at ``scale``: points [F, 3, 2] in cells and the height used, above ``limit`` on failure."""
        box = _boxes(self.extent, scale, grid)
        edge = grid.gap // 2
        side, high = grid.side - 2 * edge, limit - 2 * edge
        if box.max() > side:
            return self.points, limit + 1
        width, height = box.T
        first = np.concatenate([[0], np.cumsum(width * height)])
        moved = self.points * scale + grid.margin
        cells = compiled.touched_cells(moved, self.chart, width, height, first, grid.texels)
        key = (-box.max(axis=1), -width * height, -self.area)[order]
        line = np.lexsort((np.arange(self.count), -width * height, key))
        places, used = compiled.place(cells, width, height, first, line, side, high, grid.gap, _PATIENCE)
        if used > high:
            return self.points, limit + 1
        return _at_places(moved, self.chart, places, box, edge), used + 2 * edge
