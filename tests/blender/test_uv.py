# SPDX-License-Identifier: GPL-3.0-or-later
"""Which UVs can carry a texture of their own."""

import time

import numpy as np
import pytest
from espalier.addon.scene.uv import find_copies, find_fault, find_overlapping, lost_share


def grid(n, low=0.0, high=1.0):
    """Triangles float32 [2 n^2, 3, 2] of a square cut into n by n pieces."""
    line = np.linspace(low, high, n + 1)
    point = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    a, b, c, d = point[:-1, :-1], point[1:, :-1], point[1:, 1:], point[:-1, 1:]
    halves = [np.stack([a, b, c], axis=-2), np.stack([a, c, d], axis=-2)]
    return np.concatenate([half.reshape(-1, 3, 2) for half in halves]).astype(np.float32)


def fault(uv):
    return find_fault(uv, np.ones(len(uv)))


@pytest.mark.parametrize("pieces", [1, 7, 8, 64, 300])
def test_neighbours_that_share_edges_do_not_overlap(pieces):
    assert fault(grid(pieces)) == ""


def test_islands_that_touch_do_not_overlap():
    left, right = grid(5, 0.0, 0.5), grid(9, 0.0, 0.5)
    right[..., 0] += 0.5
    assert fault(np.concatenate([left, right])) == ""


@pytest.mark.parametrize(
    ("uv", "words"),
    [
        (np.concatenate([grid(4), grid(4)[:1]]), "overlap"),
        (np.concatenate([grid(8, 0.1, 0.5), grid(8, 0.1, 0.5)[:, ::-1]]), "overlap"),
        (np.concatenate([grid(8, 0.1, 0.5), grid(3, 0.48, 0.9)]), "overlap"),
        (grid(4) * 2, "leave the unit square"),
        (grid(4) + np.float32([1, 0]), "leave the unit square"),
        (grid(4) - np.float32(0.01), "leave the unit square"),
        (np.concatenate([grid(4), np.zeros((2, 3, 2), np.float32)]), "leave faces out"),
        (grid(4) * np.float32(0.02), "take up almost no space"),
        (grid(4) * np.float32(np.nan), "no numbers"),
    ],
    ids=["twice", "mirrored", "a corner", "tiled", "next tile", "a little out", "unwrapped in part", "palette", "nan"],
)
def test_faults_are_found_and_named(uv, words):
    assert words in fault(uv)


def test_rounding_beyond_the_border_is_no_fault():
    assert fault(grid(4) * np.float32(1.00002)) == ""


def test_part_without_uvs_counts_by_its_surface():
    uv = np.concatenate([grid(1), np.zeros((2, 3, 2), np.float32)])
    assert lost_share(uv, np.array([5.0, 5.0, 1.0, 1.0])) == pytest.approx(2 / 12)


def test_later_polygons_lie_over_earlier_ones():
    uv = np.concatenate([grid(2, 0.0, 0.4), grid(2, 0.5, 0.9), grid(1, 0.1, 0.3)])
    # ``grid`` lists the first halves of all squares, then the second ones.
    polygons = np.concatenate([np.tile(np.arange(4), 2), np.tile(np.arange(4, 8), 2), [8, 8]])
    assert np.flatnonzero(find_overlapping(uv, polygons, 9)).tolist() == [8]


def test_copies_are_found_in_spite_of_rounding_and_lines_of_the_grid():
    rng = np.random.default_rng(2)
    centres = rng.random((20_000, 2))
    areas = rng.random(20_000) * 1e-5
    again = centres + rng.normal(scale=2e-7, size=centres.shape)
    copies = find_copies(np.concatenate([centres, again]), np.concatenate([areas, areas]))
    assert copies[20_000:].all() and not copies[:20_000].any()


def test_a_hundred_thousand_faces_are_judged_in_a_second():
    uv = grid(317)
    started = time.thread_time()
    assert fault(uv) == ""
    assert fault(np.concatenate([uv[: len(uv) // 2], uv[: len(uv) // 2]])) == "overlap"
    seconds = time.thread_time() - started
    print(f"{len(uv)} triangles judged twice in {seconds:.2f} s")
    assert seconds < 2.0


def test_slivers_over_the_whole_square_are_judged_too():
    fan = np.linspace(0, 1, 5_001, dtype=np.float32)
    uv = np.zeros((5_000, 3, 2), np.float32)
    uv[:, 1, 0], uv[:, 1, 1], uv[:, 2, 0], uv[:, 2, 1] = 1.0, fan[:-1], 1.0, fan[1:]
    started = time.thread_time()
    assert fault(uv) == ""
    assert time.thread_time() - started < 10.0
