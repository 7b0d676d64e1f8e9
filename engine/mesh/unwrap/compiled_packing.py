# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled loops of ``bitmap_packing``: which cells a chart touches, and where it fits.

Importing this module fails where numba is missing. Plain integer and float64 arithmetic without fast-math: the same
charts give the same places on every machine.
"""

from __future__ import annotations

import numpy as np

from ...kernels.compiled_loops import compiled
from ..lookup import raster

# A hair more than what the rasteriser covers: rounding must not make it cover more than was reserved.
REACH = raster.REACH + 1e-4


@compiled
def touched_cells(
    triangles: np.ndarray, chart: np.ndarray, width: np.ndarray, height: np.ndarray, first: np.ndarray, texels: int
) -> np.ndarray:
    """Mark the cells that charts touch, uint8, chart c as ``height[c]`` rows of ``width[c]`` from ``first[c]``.

    triangles float64 [F, 3, 2] in cells, each chart in its own frame. A cell of ``texels`` x ``texels`` texels is
    touched when the centre of one of its texels lies within ``raster.REACH`` of the chart.
    """
    cells = np.zeros(first[-1], np.uint8)
    reach = REACH / texels
    square = 0.5 - 0.5 / texels
    edge = np.empty((3, 3))
    for t in range(len(triangles)):
        c = chart[t]
        area = 0.0
        for i in range(3):
            j = (i + 1) % 3
            area += triangles[t, i, 0] * triangles[t, j, 1] - triangles[t, j, 0] * triangles[t, i, 1]
        turn = 1.0 if area >= 0 else -1.0
        left = right = triangles[t, 0, 0]
        low = high = triangles[t, 0, 1]
        for i in range(3):
            j = (i + 1) % 3
            x, y = triangles[t, i, 0], triangles[t, i, 1]
            left, right, low, high = min(left, x), max(right, x), min(low, y), max(high, y)
            nx, ny = -turn * (triangles[t, j, 1] - y), turn * (triangles[t, j, 0] - x)
            length = np.sqrt(nx * nx + ny * ny)
            if length > 0:
                nx /= length
                ny /= length
            edge[i, 0], edge[i, 1] = nx, ny
            edge[i, 2] = nx * x + ny * y - reach - square * (abs(nx) + abs(ny))
        grow = reach + square
        column_0 = max(int(np.ceil(left - grow - 0.5)), 0)
        column_1 = min(int(np.floor(right + grow - 0.5)), width[c] - 1)
        row_0 = max(int(np.ceil(low - grow - 0.5)), 0)
        row_1 = min(int(np.floor(high + grow - 0.5)), height[c] - 1)
        for row in range(row_0, row_1 + 1):
            start = first[c] + row * width[c]
            for column in range(column_0, column_1 + 1):
                x, y = column + 0.5, row + 0.5
                if (
                    edge[0, 0] * x + edge[0, 1] * y >= edge[0, 2]
                    and edge[1, 0] * x + edge[1, 1] * y >= edge[1, 2]
                    and edge[2, 0] * x + edge[2, 1] * y >= edge[2, 2]
                ):
                    cells[start + column] = 1
    return cells


@compiled
def _runs(cells: np.ndarray, width: int, height: int, turn: int, out: np.ndarray) -> int:
    """Write the runs (row, column, length) of a bitmap turned by ``turn`` quarters into ``out``, longest first."""
    rows = height if turn % 2 == 0 else width
    columns = width if turn % 2 == 0 else height
    count = 0
    for row in range(rows):
        begin = -1
        for column in range(columns + 1):
            marked = False
            if column < columns:
                if turn == 0:
                    marked = cells[row * width + column] != 0
                elif turn == 1:
                    marked = cells[(height - 1 - column) * width + row] != 0
                elif turn == 2:
                    marked = cells[(height - 1 - row) * width + width - 1 - column] != 0
                else:
                    marked = cells[column * width + width - 1 - row] != 0
            if marked and begin < 0:
                begin = column
            elif not marked and begin >= 0:
                out[count, 0], out[count, 1], out[count, 2] = row, begin, column - begin
                count += 1
                begin = -1
    # Sorted by Shell's method; equal runs may come in any order, but always in the same.
    step = count // 2
    while step > 0:
        for i in range(step, count):
            row, begin, length = out[i, 0], out[i, 1], out[i, 2]
            j = i
            while j >= step and out[j - step, 2] < length:
                out[j, 0], out[j, 1], out[j, 2] = out[j - step, 0], out[j - step, 1], out[j - step, 2]
                j -= step
            out[j, 0], out[j, 1], out[j, 2] = row, begin, length
        step //= 2
    return count


@compiled
def _longest_runs(runs: np.ndarray, count: int, rows: int, need: np.ndarray) -> None:
    """Write the longest of the runs in each of a chart's ``rows`` into ``need``."""
    need[:rows] = 0
    for i in range(count):
        need[runs[i, 0]] = max(need[runs[i, 0]], runs[i, 2])


@compiled
def _find(
    jump: np.ndarray,
    widest: np.ndarray,
    runs: np.ndarray,
    count: int,
    need: np.ndarray,
    rows: int,
    columns: int,
    start: int,
    stop: int,
) -> tuple[int, int]:
    """The lowest row in [start, stop) and the leftmost column where the runs meet only free cells, or (-1, -1).

    jump: per cell, the length of the free run that starts there, or minus the length of the occupied one. widest: per
    row of it, the longest free run; need: per row of the chart, the longest of its runs.
    """
    last = jump.shape[1] - columns
    y = start
    while y < stop:
        row = rows - 1
        while row >= 0 and widest[y + row] >= need[row]:
            row -= 1
        if row >= 0:
            # Up to where the chart's part in that row of the square is narrow enough for it.
            narrow = widest[y + row]
            while row >= 0 and need[row] > narrow:
                row -= 1
                y += 1
            continue
        x = i = fit = 0
        while fit < count and x <= last:
            row, column = y + runs[i, 0], x + runs[i, 1]
            free = jump[row, column]
            if free >= runs[i, 2]:
                fit += 1
                i = i + 1 if i + 1 < count else 0
                continue
            fit = 0
            if free < 0:
                x -= free
            elif column + free < jump.shape[1]:
                x += free - jump[row, column + free]
            else:
                x = last + 1
        if fit == count:
            return y, x
        y += 1
    return -1, -1


@compiled
def _occupy(
    jump: np.ndarray,
    widest: np.ndarray,
    runs: np.ndarray,
    count: int,
    rows: int,
    columns: int,
    y: int,
    x: int,
    gap: int,
) -> None:
    """Occupy the runs of a chart of ``rows`` x ``columns`` at (y, x), and everything within ``gap`` cells of them."""
    first, by_row = np.zeros(rows + 1, np.int64), np.empty(count, np.int64)
    for i in range(count):
        first[runs[i, 0] + 1] += 1
    for row in range(rows):
        first[row + 1] += first[row]
    filled = first.copy()
    for i in range(count):
        by_row[filled[runs[i, 0]]] = i
        filled[runs[i, 0]] += 1
    size = jump.shape[1]
    left, right = max(x - gap, 0), min(x + columns + gap, size)
    taken = np.empty(right - left, np.bool_)
    for row in range(max(y - gap, 0), min(y + rows + gap, jump.shape[0])):
        taken[:] = False
        for k in range(first[max(row - y - gap, 0)], first[min(row - y + gap + 1, rows)]):
            begin = x + runs[by_row[k], 1] - left
            taken[max(begin - gap, 0) : begin + runs[by_row[k], 2] + gap] = True
        line = jump[row]
        after = line[right] if right < size else 0
        occupied, free = max(-after, 0), max(after, 0)
        for column in range(right - 1, left - 1, -1):
            if taken[column - left] or line[column] < 0:
                occupied, free = occupied + 1, 0
                line[column] = -occupied
            else:
                occupied, free = 0, free + 1
                line[column] = free
        column = left - 1
        while occupied > 0 and column >= 0 and line[column] < 0:
            occupied += 1
            line[column] = -occupied
            column -= 1
        if column == left - 1:
            while column >= 0 and line[column] > 0:
                free += 1
                line[column] = free
                column -= 1
        column, longest = 0, 0
        while column < size:
            step = line[column]
            longest = max(longest, step)
            column += abs(step)
        widest[row] = longest


@compiled
def place(
    cells: np.ndarray,
    width: np.ndarray,
    height: np.ndarray,
    first: np.ndarray,
    order: np.ndarray,
    side: int,
    limit: int,
    gap: int,
    patience: int,
) -> tuple[np.ndarray, int]:
    """Place charts in ``order``, each as low as it fits in a strip ``side`` cells wide and ``limit`` high.

    Returns (row, column, quarter turns) int64 [C, 3] and the height used, ``limit`` + 1 when a chart found no place.
    After ``patience`` charts of about the same size the search goes on from where the last one was placed.
    """
    jump = np.empty((limit, side), np.int16)
    for column in range(side):
        jump[:, column] = side - column
    widest = np.full(limit, side, np.int32)
    places = np.zeros((len(order), 3), np.int64)
    longest = highest = 0
    for c in range(len(width)):
        longest = max(longest, (width[c] + 1) * (height[c] + 1))
        highest = max(highest, width[c], height[c])
    runs = np.empty((2, longest // 2 + 1, 3), np.int64)
    need = np.empty(highest, np.int64)
    used = 0
    alike = np.zeros(80, np.int64)
    resume = np.zeros(80, np.int64)
    for c in order:
        kind = int(4.0 * np.log2(float(max(width[c], height[c]))))
        alike[kind] += 1
        start = max(resume[kind] - max(width[c], height[c]), 0) if alike[kind] > patience else 0
        # A plain 0 would be a type of its own, for which ``_occupy`` would be compiled once more.
        best_top, chosen, slot = limit + 1, np.int64(0), 0
        best_y = best_x = best_turn = -1
        for turn in range(4):
            count = _runs(cells[first[c] : first[c + 1]], width[c], height[c], turn, runs[slot])
            rows = height[c] if turn % 2 == 0 else width[c]
            columns = width[c] if turn % 2 == 0 else height[c]
            _longest_runs(runs[slot], count, rows, need)
            y, x = _find(jump, widest, runs[slot], count, need, rows, columns, start, best_top - rows)
            if y >= 0:
                best_top, best_y, best_x, best_turn, chosen = y + rows, y, x, turn, count
                slot = 1 - slot
        if best_y < 0:
            return places, limit + 1
        places[c, 0], places[c, 1], places[c, 2] = best_y, best_x, best_turn
        rows = height[c] if best_turn % 2 == 0 else width[c]
        columns = width[c] if best_turn % 2 == 0 else height[c]
        _occupy(jump, widest, runs[1 - slot], chosen, rows, columns, places[c, 0], places[c, 1], gap)
        resume[kind] = best_y
        used = max(used, best_top)
    return places, used
