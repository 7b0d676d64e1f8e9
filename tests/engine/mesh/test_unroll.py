# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin tubes unroll: their halves lie side by side in one chart with a seam, true to scale."""

import numpy as np
import pytest
from espalier.engine.mesh.surface.topology import edge_table, face_vectors
from espalier.engine.mesh.unwrap import relax as relaxing
from espalier.engine.mesh.unwrap.charts import winding_pairs
from espalier.engine.mesh.unwrap.unroll import unrolled
from espalier.tests.engine.mesh.shapes import grid_faces
from espalier.tests.engine.mesh.test_relax import check

ROWS, COLUMNS, RADIUS, LENGTH = 30, 12, 0.012, 0.2


def tube():
    """A tube along X: vertices, faces."""
    x, angle = np.meshgrid(np.linspace(0, LENGTH, ROWS), 2 * np.pi * np.arange(COLUMNS) / COLUMNS, indexing="ij")
    points = np.stack([x, RADIUS * np.cos(angle), RADIUS * np.sin(angle)], -1).reshape(-1, 3)
    return points, grid_faces(ROWS, COLUMNS, False, True)


def double_areas(uv):
    edges = uv[:, 1:] - uv[:, :1]
    return edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]


def halves():
    """A tube whose halves were laid flat apart: faces, vertices, uv, which half each is of, and its half-edges."""
    points, faces = tube()
    left, right = winding_pairs(faces, edge_table(faces))
    angle = 2 * np.pi * (np.arange(COLUMNS) + 0.5) / COLUMNS
    column = np.tile(np.repeat([np.arange(COLUMNS)], ROWS - 1, 0).reshape(-1), 2)
    assert len(column) == len(faces)
    second = np.sin(angle[column]) < 0
    row_of, column_of = faces // COLUMNS, faces % COLUMNS
    # A face in the last column begins again at column 0.
    around = np.where((column_of == 0) & (column[:, None] == COLUMNS - 1), COLUMNS, column_of)
    chord = 2 * RADIUS * np.sin(np.pi / COLUMNS)
    flat = np.stack([around * chord, row_of * LENGTH / (ROWS - 1)], -1).astype(float)
    if np.median(double_areas(flat)) < 0:
        flat[..., 0] *= -1
    turned = np.stack([0.3 - flat[..., 1], 0.1 + flat[..., 0]], -1)
    return faces, points, np.where(second[:, None, None], turned, flat), second, left, right


@pytest.mark.parametrize("texels", [8, 14, 24])
def test_halves_of_a_tube_that_are_narrow_become_one_chart(texels):
    faces, points, uv, second, _, _ = halves()
    work = relaxing._Relaxation(points, faces, 2 * np.pi * RADIUS / texels, lambda: None)
    # A single tube is all there is to place; as part of an object it may be as long.
    work.side = 10 * LENGTH
    work._keep(np.arange(len(faces)), second.astype(np.int64), uv, True)
    work.join_narrow()
    chart = work.shown_charts()
    assert chart.max() == 0
    uv = work.uv[: len(faces)]
    check(uv, chart, faces)
    area = np.linalg.norm(face_vectors(points, faces), axis=1).sum()
    assert 0.5 * double_areas(uv).sum() == pytest.approx(area, rel=0.02)


def test_unrolled_halves_meet_along_one_side_and_part_along_the_other():
    faces, points, uv, second, left, right = halves()
    pair = np.zeros(len(faces), dtype=np.int64)
    laid, seam = unrolled(faces, points, uv, pair, second, left, right)
    assert np.array_equal(laid[~second], uv[~second])
    assert np.allclose(double_areas(laid), double_areas(uv))
    between = second[left // 3] != second[right // 3]
    assert not seam[~between].any()
    assert seam.sum() == between.sum() / 2 == ROWS - 1

    def apart(half, other):
        here, there = laid[half // 3, half % 3], laid[other // 3, (other % 3 + 1) % 3]
        return np.linalg.norm(here - there, axis=1)

    met = between & ~seam
    assert apart(left[met], right[met]).max() < 1e-9
    assert apart(left[seam], right[seam]).min() > 5 * RADIUS


def test_every_pair_is_unrolled_as_if_it_were_alone():
    faces, points, uv, second, left, right = halves()
    alone = unrolled(faces, points, uv, np.zeros(len(faces), dtype=np.int64), second, left, right)
    count = len(faces)
    both = unrolled(
        np.concatenate([faces, faces + len(points)]),
        np.concatenate([points, points + 1.0]),
        np.concatenate([uv, uv + 3.0]),
        np.repeat([1, 0], count),
        np.concatenate([second, second]),
        np.concatenate([left, left + 3 * count]),
        np.concatenate([right, right + 3 * count]),
    )
    assert np.allclose(both[0], np.concatenate([alone[0], alone[0] + 3.0]))
    assert np.array_equal(both[1], np.tile(alone[1], 2))
