# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts are wide enough for a few texels."""

import numpy as np
import pytest
from espalier.engine.mesh.unwrap.bitmap_packing import pack_bitmaps
from espalier.engine.mesh.unwrap.widen import widened
from scipy.spatial import ConvexHull


def strip(length, width, faces, angle=0.0):
    """Triangles [2 * faces, 3, 2] of a strip along ``angle``."""
    x = np.linspace(0.0, length, faces + 1)
    low, high = np.stack([x, 0 * x], axis=1), np.stack([x, 0 * x + width], axis=1)
    points = np.concatenate(
        [np.stack([low[:-1], low[1:], high[1:]], axis=1), np.stack([low[:-1], high[1:], high[:-1]], axis=1)]
    )
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def width(points):
    """The least distance between parallel lines around points [N, 2]."""
    hull = points[ConvexHull(points).vertices]
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1)[:, None]
    return np.ptp(hull @ normals.T, axis=0).min()


def areas(points):
    edges = points[:, 1:] - points[:, :1]
    return 0.5 * (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])


CHARTS = {
    "long strip": strip(300.0, 1.5, 40, 0.31),
    "hair": strip(200.0, 0.02, 10, 1.2),
    "crumb": np.array([[[0.0, 0.0], [0.7, 0.1], [0.2, 0.4]]]),
    "needle": np.array([[[0.0, 0.0], [60.0, 20.0], [30.0, 10.3]]]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_thin_charts_get_the_width_and_hardly_more_room(name):
    points = CHARTS[name]
    result = widened(points, np.zeros(len(points), dtype=np.int64), 1, 4.0)
    found = width(result.reshape(-1, 2))
    assert 3.95 <= found <= 4.6
    assert (areas(result) > 0).all()
    # Every face by the same factor: the map is affine.
    assert np.ptp(areas(result) / areas(points)) < 1e-6 * areas(result).max() / areas(points).min()
    longest = np.ptp(result[..., 0])
    assert longest <= max(1.05 * np.linalg.norm(np.ptp(points.reshape(-1, 2), axis=0)), 12.0)


def test_wide_charts_and_those_without_area_stay_as_they_are():
    points = np.concatenate([strip(50.0, 20.0, 5, 0.4), np.array([[[0.0, 0.0], [5.0, 0.0], [9.0, 0.0]]])])
    chart = np.concatenate([np.zeros(10, dtype=np.int64), [1]])
    assert (widened(points, chart, 2, 4.0) == points).all()


def test_packed_charts_are_at_least_four_texels_wide():
    parts = [strip(100.0, 100.0, 3), *(strip(80.0, 0.1 + 0.1 * k, 12, 0.2 * k) for k in range(12)), CHARTS["crumb"]]
    chart = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    placed = pack_bitmaps(np.concatenate(parts), chart, 256, 4)
    assert placed is not None and (areas(placed) > 0).all()
    assert placed.min() >= 0 and placed.max() <= 256
    for number in range(len(parts)):
        assert width(placed[chart == number].reshape(-1, 2)) >= 4.0
