# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts are placed as low as they fit."""

import numpy as np
import pytest
from espalier.engine.mesh.unwrap.bitmap_packing import pack_beside, pack_bitmaps
from espalier.engine.mesh.unwrap.compiled_packing import place

SIDE, LIMIT, GAP = 24, 60, 2


def lowest(occupied, bitmap, stop):
    """The lowest row below ``stop``, and the leftmost column there, where a bitmap meets free cells only."""
    rows, columns = bitmap.shape
    for y in range(stop):
        for x in range(SIDE - columns + 1):
            if not (occupied[y : y + rows, x : x + columns] & bitmap).any():
                return y, x
    return None


def placed_plainly(bitmaps):
    occupied, places = np.zeros((LIMIT, SIDE), dtype=bool), []
    for bitmap in bitmaps:
        best = LIMIT + 1, None
        for turn in range(4):
            # Quarter turns as the compiled loop counts them.
            turned = np.rot90(bitmap, -turn)
            found = lowest(occupied, turned, best[0] - len(turned))
            if found:
                best = found[0] + len(turned), (*found, turn)
        y, x, turn = best[1]
        places.append(best[1])
        for row, column in np.add(np.argwhere(np.rot90(bitmap, -turn)), [y, x]):
            occupied[max(row - GAP, 0) : row + GAP + 1, max(column - GAP, 0) : column + GAP + 1] = True
    return places


@pytest.mark.parametrize("seed", range(4))
def test_each_chart_goes_to_the_lowest_place_of_its_four_turns(seed):
    random = np.random.default_rng(seed)
    bitmaps = [random.random(random.integers(1, 10, 2)) < random.choice([0.3, 0.9]) for _ in range(20)]
    for bitmap in bitmaps:
        bitmap.flat[0] = True
    height, width = np.array([bitmap.shape for bitmap in bitmaps]).T
    first = np.concatenate([[0], np.cumsum(width * height)])
    cells = np.concatenate([bitmap.reshape(-1) for bitmap in bitmaps]).astype(np.uint8)
    places, used = place(cells, width, height, first, np.arange(20), SIDE, LIMIT, GAP, 24)
    assert places.tolist() == [list(found) for found in placed_plainly(bitmaps)]
    assert used <= LIMIT


def test_a_chart_longer_than_the_square_finds_no_room_beside_others():
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1.0]]])
    chart = np.zeros(2, dtype=np.int64)
    standing = pack_bitmaps(square, chart, 64, 4) * 0.5
    assert pack_beside(standing, square * [100.0, 8.0], chart, 64, 4) is None
    assert pack_beside(standing, square * 8.0, chart, 64, 4) is not None
