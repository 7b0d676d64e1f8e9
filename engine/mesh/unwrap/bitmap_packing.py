# SPDX-License-Identifier: GPL-3.0-or-later
"""Places charts in a square by the texels they touch: large ones first, each as low as it fits in one of four turns.

A strip of the square's width is filled, at scales that lead to the one where it is as high as wide.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...kernels.host_arrays import MANY_FACES, on_large_card
from . import compiled_packing as compiled
from .flatten import double_areas
from .packing import lay_down
from .widen import widened

if TYPE_CHECKING:
    from .tensor_packing import FacesOnCard

# Places are searched on a grid of at most this many cells a side; a cell is then a few texels.
_LARGEST_GRID = 2048
_COARSE_GRID = 1024

# After so many charts of about one size the search no longer begins at the bottom every time.
_PATIENCE = 24

# Which charts come first: the longest, those with the largest rectangles, those with the largest areas.
_ORDERS = 3

_FIRST_USE = 0.72
_ESTIMATES, _CLOSE_ENOUGH = 3, 0.01

# From the scale that a coarse grid leads to, two are tried; where none fits, or the strip (seen up to so many times the
# side) has room for one so much larger, two near the one that it has room for, which is not much smaller: a few large
# charts say little; where none fits again, smaller ones.
_FIRST, _NEARER, _NEAREST, _LESS = (1.02, 1.0), (1.003, 0.994), 0.98, 0.985
_SEEN, _ROOM, _LEAST = 1.15, 1.007, 0.05

# Meshes of many faces go to a graphics card that has room for so many bytes each.
_CARD_BYTES_A_FACE = 2048

# Charts are at least so many texels wide, at a scale below the one that is expected.
_WIDTH_TEXELS, _WIDTH_SCALE = 4.2, 0.97


def pack_bitmaps(uv: np.ndarray, chart: np.ndarray, size: int, padding: int) -> np.ndarray | None:
    """Place charts (face label int [F]) in ``size`` x ``size`` texels, as large as they fit, all at one scale.

    uv: [F, 3, 2] in any unit common to all charts; each chart is turned, never mirrored, and those that would be
    narrower than about 4 texels are stretched to that. Between the texels that
    ``raster.rasterise`` covers for two charts at least ``padding`` stay free in every direction, half of it to the
    border. Returns float64 [F, 3, 2] in texels, or None when the charts are too many for that.
    """
    if len(uv) >= MANY_FACES:
        from .tensor_packing import FacesOnCard

        found = on_large_card(
            lambda device: (_pack(FacesOnCard(uv, chart, device), size, padding),), len(uv) * _CARD_BYTES_A_FACE
        )
        if found:
            return found[0]
    return _pack(_Faces(uv, chart), size, padding)


def _pack(faces: _Faces | FacesOnCard, size: int, padding: int) -> np.ndarray | None:
    """``pack_bitmaps``."""
    grid = _grid(size, padding)
    texels = grid.texels
    work = _Packing(faces)
    if work.count * (2.0 + grid.gap) ** 2 > 0.9 * grid.side**2:
        return None
    shrink = max(1, grid.side // _COARSE_GRID)
    coarse = _Grid(grid.side // shrink, -(-grid.gap // shrink), texels * shrink)
    # Tried two at a time whatever the number of cores, so that the answer does not depend on it.
    with ThreadPoolExecutor(2) as threads:
        tried, used = work.estimate(coarse)
        others = threads.map(lambda order: work.place(tried, 2 * coarse.side, order)[1], range(1, _ORDERS))
        heights = [used, *others]
        order = int(np.argmin(heights))
        first = scale = min(tried.scale * np.sqrt(coarse.side / heights[order]), work.largest(coarse)) * shrink
        work.widen(_WIDTH_TEXELS / (_WIDTH_SCALE * scale * texels))

        most, fits = work.largest(grid), None

        def attempts(scales: list[float]) -> float:
            """Try the scales and keep the largest that fits; return the one that should, as high as the strips were."""
            nonlocal fits
            marked = [work.mark(min(scale, most), grid) for scale in scales]
            found = list(threads.map(lambda each: work.place(each, int(_SEEN * grid.side), order), marked))
            for each, (places, used) in zip(marked, found, strict=True):
                if used <= grid.side and (fits is None or each.scale > fits[0].scale):
                    fits = each, places
            return float(
                np.mean([each.scale * np.sqrt(grid.side / used) for each, (_, used) in zip(marked, found, strict=True)])
            )

        near = max(attempts([scale * factor for factor in _FIRST]), _NEAREST * scale)
        if fits is None or near > _ROOM * fits[0].scale:
            attempts([near * factor for factor in _NEARER])
        while fits is None and near > _LEAST * first:
            attempts([near * _LESS, near * _LESS**2])
            near *= _LESS**2
    return None if fits is None else work.placed(*fits) * texels


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


@dataclass(frozen=True)
class _Marked:
    """The cells of ``grid`` that charts touch at ``scale``, uint8, of each chart from ``first`` int64 [C + 1] on.

    box: int64 [C, 2], their columns and rows (see ``compiled_packing.touched_cells``).
    """

    scale: float
    grid: _Grid
    box: np.ndarray
    first: np.ndarray
    cells: np.ndarray | None


class _Faces:
    """The faces of charts, each chart lying in a frame of its own."""

    def __init__(self, uv: np.ndarray, chart: np.ndarray) -> None:
        self.count = int(chart.max()) + 1
        self._points, self._chart = lay_down(uv.astype(np.float64), chart, self.count), chart

    def measures(self) -> tuple[np.ndarray, np.ndarray]:
        """How far each chart reaches from the origin [C, 2], and its area [C]."""
        area = 0.5 * np.abs(double_areas(self._points))
        return _extents(self._points, self._chart, self.count), np.bincount(self._chart, area)

    def widen(self, least: float) -> None:
        """Stretch the charts that are narrower than ``least``."""
        self._points = widened(self._points, self._chart, self.count, least)

    def cells(self, scale: float, margin: float, box: np.ndarray, first: np.ndarray, texels: int) -> np.ndarray:
        """``touched_cells`` of the charts at ``scale``, ``margin`` from the edges of their boxes."""
        return compiled.touched_cells(self._points * scale + margin, self._chart, *box.T, first, texels)

    def placed(self, scale: float, margin: float, places: np.ndarray, box: np.ndarray, edge: int) -> np.ndarray:
        """The same charts at their ``places`` (see ``_at_places``)."""
        return _at_places(self._points * scale + margin, self._chart, places, box, edge)


class _Packing:
    """Charts waiting for a place, and how large they are: extent [C, 2] and area [C]."""

    def __init__(self, faces: _Faces | FacesOnCard) -> None:
        self.faces, self.count = faces, faces.count
        self.extent, self.area = faces.measures()

    def widen(self, least: float) -> None:
        """Stretch the charts that are narrower than ``least``."""
        self.faces.widen(least)
        self.extent, self.area = self.faces.measures()

    def largest(self, grid: _Grid) -> float:
        """The scale, in cells per unit, at which the longest chart is as long as the square."""
        return (grid.side - 2.0 * grid.margin - grid.gap - 1.0) / max(float(self.extent.max()), 1e-30)

    def mark(self, scale: float, grid: _Grid) -> _Marked:
        """The cells that the charts touch at ``scale``; none where one is longer than the square."""
        box = _boxes(self.extent, scale, grid)
        first = np.concatenate([[0], np.cumsum(box.prod(axis=1))])
        if box.max() > grid.side - 2 * (grid.gap // 2):
            return _Marked(scale, grid, box, first, None)
        cells = self.faces.cells(scale, grid.margin, box, first, grid.texels)
        return _Marked(scale, grid, box, first, cells)

    def estimate(self, grid: _Grid) -> tuple[_Marked, int]:
        """Charts at a scale at which the strip of the first order is about as high as wide; its height."""
        largest = self.largest(grid)
        nearer = min(grid.side * np.sqrt(_FIRST_USE / max(float(self.area.sum()), 1e-30)), largest)
        for _ in range(_ESTIMATES):
            tried = self.mark(nearer, grid)
            _, used = self.place(tried, 2 * grid.side, 0)
            nearer = min(tried.scale * np.sqrt(grid.side / used), largest)
            if abs(nearer / tried.scale - 1.0) < _CLOSE_ENOUGH:
                break
        return tried, used

    def place(self, marked: _Marked, limit: int, order: int) -> tuple[np.ndarray, int]:
        """Places [C, 3] for all charts and the height used, above ``limit`` on failure."""
        grid, (width, height) = marked.grid, marked.box.T
        edge = grid.gap // 2
        if marked.cells is None:
            return np.zeros((0, 3), dtype=np.int64), limit + 1
        key = (-marked.box.max(axis=1), -width * height, -self.area)[order]
        line = np.lexsort((np.arange(self.count), -width * height, key))
        side, high = grid.side - 2 * edge, limit - 2 * edge
        places, used = compiled.place(marked.cells, width, height, marked.first, line, side, high, grid.gap, _PATIENCE)
        return places, limit + 1 if used > high else used + 2 * edge

    def placed(self, marked: _Marked, places: np.ndarray) -> np.ndarray:
        """All faces at their places, [F, 3, 2] in cells."""
        grid = marked.grid
        return self.faces.placed(marked.scale, grid.margin, places, marked.box, grid.gap // 2)
