"""Levels of detail: closed in space, one UV layout, one set of maps."""

import numpy as np
import pytest
from espalier.engine.errors import Cancelled
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.simplify.lod import lod_chain
from espalier.engine.mesh.surface.normals import corner_normals

from .leaning import NONE, bumpy_patch, dense, departure, flaws, gear, rim_edges
from .shapes import cube, torus

SIZE = 512
SHARES = (0.5, 0.25, 0.12)


def torus_layout(rows=96, columns=48):
    """A closed torus cut into six charts in the plane, 8 texels apart, one of them mirrored."""
    vertices, faces = torus(rows, columns)
    row, column = np.divmod(np.asarray(faces), columns)
    row, column = (_unwrapped(index, count) for index, count in ((row, rows), (column, columns)))
    chart = (row.min(axis=1) * 3 // rows) * 2 + column.min(axis=1) * 2 // columns
    u = (row - (chart // 2 * (rows // 3))[:, None]) / (rows // 3)
    v = (column - (chart % 2 * (columns // 2))[:, None]) / (columns // 2)
    u = np.where((chart == 3)[:, None], 1 - u, u)
    cell = np.array([1 / 3, 1 / 2])
    uv = np.stack([u, v], -1) * (cell - 8 / SIZE) + 4 / SIZE + np.stack([chart // 2, chart % 2], -1)[:, None] * cell
    return vertices, faces, uv.astype(np.float32), chart


def _unwrapped(index, count):
    return np.where((index.max(axis=1) - index.min(axis=1) > 1)[:, None] & (index == 0), count, index)


def planar_layout(vertices, faces):
    """One chart that shows the surface from above."""
    return (np.asarray(vertices)[faces][..., :2] * 0.9 + 0.5).astype(np.float32)


def chain(vertices, faces, uv, shares=SHARES):
    return lod_chain(vertices, faces, uv, corner_normals(vertices, faces), shares, SIZE)


def doubled_areas(uv):
    a, b = uv[:, 1].astype(np.float64) - uv[:, 0], uv[:, 2].astype(np.float64) - uv[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


TORUS = torus_layout()
LEVELS = chain(*TORUS[:3])


@pytest.mark.parametrize("level", range(3))
def test_a_level_has_the_exact_share_of_the_faces(level):
    assert len(LEVELS[level].faces) in (round(SHARES[level] * len(TORUS[1])) - 1, round(SHARES[level] * len(TORUS[1])))


@pytest.mark.parametrize("level", range(3))
def test_chart_borders_stay_closed_in_space(level):
    lod = LEVELS[level]
    assert rim_edges(lod.faces) == 0
    assert flaws(lod.vertices, lod.faces) == NONE
    assert departure(TORUS[:2], (lod.vertices, lod.faces))[0] < 2e-3


@pytest.mark.parametrize("level", range(3))
def test_corners_keep_the_uv_and_the_normals_of_the_full_mesh(level):
    vertices, faces, uv, _ = TORUS
    lod = LEVELS[level]
    normals = corner_normals(vertices, faces)

    def rows(points, triangles, uvs, directions):
        return np.concatenate([points[triangles], uvs, directions], axis=2).reshape(-1, 8).astype(np.float32)

    full = {row.tobytes() for row in rows(vertices, faces, uv, normals)}
    assert all(row.tobytes() in full for row in rows(lod.vertices, lod.faces, lod.uv, lod.normals))
    assert lod.uv.dtype == uv.dtype
    assert lod.faces.dtype == faces.dtype


@pytest.mark.parametrize("level", range(3))
def test_no_face_turns_over_in_the_uv_plane_and_none_overlap(level):
    lod = LEVELS[level]
    areas = doubled_areas(lod.uv)
    before = doubled_areas(TORUS[2])
    assert (areas < 0).sum() > 0  # the mirrored chart is still mirrored
    assert (areas < 0).mean() == pytest.approx((before < 0).mean(), abs=0.1)
    assert np.abs(areas).min() > 0
    assert np.abs(areas).sum() == pytest.approx(np.abs(before).sum(), rel=0.03)


@pytest.mark.parametrize("level", range(3))
def test_every_chart_stays_where_it_was_within_half_the_gap(level):
    _, _, uv, chart = TORUS
    raster = rasterise(uv, SIZE)
    owner = np.full(SIZE * SIZE, -1)
    owner[raster.texel] = chart[raster.face]
    reached = {row.tobytes(): number for row, number in zip(uv.reshape(-1, 2), np.repeat(chart, 3))}
    lod = rasterise(LEVELS[level].uv, SIZE)
    number = np.array([reached[corner.tobytes()] for corner in LEVELS[level].uv[:, 0]])[lod.face]
    outside = owner[lod.texel] != number
    assert (owner[lod.texel][outside] == -1).all()
    assert outside.mean() < 0.02


def test_the_rim_of_an_open_sheet_is_followed():
    vertices, faces = bumpy_patch()
    uv = planar_layout(vertices, faces)
    for share, lod in zip(SHARES, chain(vertices, faces, uv)):
        assert len(lod.faces) in (round(share * len(faces)) - 1, round(share * len(faces)))
        assert flaws(lod.vertices, lod.faces) == NONE
        areas = doubled_areas(lod.uv)
        assert (areas > 0).all()
        assert areas.sum() == pytest.approx(doubled_areas(uv).sum(), rel=1e-3)


def test_where_nothing_more_may_go_the_number_that_was_reached_is_the_result():
    vertices, faces = cube()
    uv = np.random.default_rng(0).random((12, 3, 2)).astype(np.float32)  # a chart for every face
    (level,) = chain(vertices, faces, uv, (0.1,))
    assert len(level.faces) == 12
    assert np.array_equal(level.uv, uv)


def test_teeth_and_creases_stay():
    vertices, faces = dense(*gear(), 2)
    side = np.repeat(np.arange(4), len(faces) // 4)[:, None]  # charts need not be flat or even valid to stay closed
    uv = (np.random.default_rng(1).random((len(vertices), 2))[faces] * 0.2 + 0.25 * (side % 4)[..., None] / 1.3).astype(
        np.float32
    )
    (level,) = chain(vertices, faces, uv, (0.9,))
    assert rim_edges(level.faces) == 0
    assert flaws(level.vertices, level.faces) == NONE
    assert departure((vertices, faces), (level.vertices, level.faces))[0] < 1e-4


def test_the_same_mesh_gives_the_same_bytes():
    again = chain(*TORUS[:3])
    for one, other in zip(LEVELS, again):
        assert one.faces.tobytes() == other.faces.tobytes()
        assert one.uv.tobytes() == other.uv.tobytes()


def test_it_can_be_cancelled():
    with pytest.raises(Cancelled):
        lod_chain(*TORUS[:3], corner_normals(*TORUS[:2]), SHARES, SIZE, lambda: True)
