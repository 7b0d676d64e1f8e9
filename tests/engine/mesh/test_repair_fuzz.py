# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes in, a repaired surface has no crowded edge and is wound consistently."""

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.mesh.finish_settings import REPAIRS
from espalier.engine.mesh.repair.repair import RepairOptions, keep_as_generated, repair, replace_by_skin
from espalier.engine.mesh.surface.topology import edge_table, vertex_components
from hypothesis import given, settings
from hypothesis import strategies as st

from . import shapes
from .test_orient import flipped, inconsistent_edges

NO_CELLS = np.zeros((0, 3), dtype=np.int64)
RESOLUTION = 32


def assert_clean(vertices, faces):
    assert (edge_table(faces).count <= 2).all()
    assert inconsistent_edges(faces) == 0
    assert np.isfinite(vertices).all()
    assert ((faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    points=st.integers(3, 14),
    faces=st.integers(1, 60),
    lattice=st.sampled_from([2, 3, 1000]),
    seed=st.integers(0, 2**31),
)
def test_a_soup_of_triangles(points, faces, lattice, seed):
    """Few points, many faces: every edge crowded, points that coincide, faces on top of each other."""
    rng = np.random.default_rng(seed)
    vertices = rng.integers(0, lattice, (points, 3)) / lattice - 0.5
    soup = rng.integers(0, points, (faces, 3))
    for mend in (repair, keep_as_generated):
        try:
            assert_clean(*mend(vertices, soup, NO_CELLS, RESOLUTION)[:2])
        except EspalierError as error:
            assert error.code == "bad_surface"


def t_junction():
    """Three sheets that meet along an edge of many segments."""
    side = np.linspace(-0.4, 0.4, 12)
    fins = []
    for turn in (0.0, 2.0, 4.0):
        away = np.linspace(0, 0.3, 6)[:, None]
        points = np.stack(
            [away * np.cos(turn) + 0 * side, away * np.sin(turn) + 0 * side, np.broadcast_to(side, (6, 12))], -1
        )
        fins.append((points.reshape(-1, 3), shapes.grid_faces(6, 12, False, False)))
    return shapes.merge(*fins)


def coincident():
    """Two sheets at one place with different diagonals, and a third a hair above."""
    points, faces = shapes.sphere(0.3)
    return shapes.merge((points, faces), (points, faces[:, [1, 2, 0]][::-1]), (points + 1e-7, faces[:, ::-1]))


INPUTS = {
    "one-sided band": shapes.moebius,
    "one-sided band on a body": lambda: shapes.merge(shapes.moebius(), shapes.sphere(0.25)),
    "three sheets at an edge": t_junction,
    "sheets at one place": coincident,
    "touching": lambda: shapes.merge(shapes.cube(0.3, (-0.15, 0, -0.15)), shapes.cube(0.3, (0.15, 0, 0.15))),
}


@pytest.mark.parametrize("mend", [repair, keep_as_generated])
@pytest.mark.parametrize("name", INPUTS)
def test_meshes_that_are_hard_to_wind(name, mend):
    vertices, faces = INPUTS[name]()
    assert_clean(*mend(vertices, flipped(faces), NO_CELLS, RESOLUTION)[:2])
    raw_vertices, raw_faces, material = shapes.voxel_asset(vertices, faces, RESOLUTION)
    torn = flipped(raw_faces)[np.random.default_rng(2).random(len(raw_faces)) > 0.05]
    assert_clean(*mend(raw_vertices, torn, material.coords, RESOLUTION)[:2])


@pytest.mark.parametrize("mode", REPAIRS)
def test_a_long_wire_stays_whether_it_touches_the_object_or_not(mode):
    """Thinner than a voxel, beside a body a hundred times its size."""
    bar, bar_faces = shapes.cube(1.0)
    body = shapes.sphere(0.25, (0.1, 0, 0))
    for x in (-0.3303, -0.1303):
        wire = bar * [0.012, 0.012, 0.7] + [x, 0.0003, 0], bar_faces
        vertices, faces, material = shapes.voxel_asset(*shapes.merge(body, wire), 64)
        kept, _, _ = REPAIRS[mode](vertices, faces, material.coords, 64, RepairOptions(floater_size=0.3))
        raw_reach = np.ptp(vertices[vertices[:, 0] < x + 0.05][:, 2])
        assert raw_reach > 0.6
        assert np.ptp(kept[kept[:, 0] < x + 0.05][:, 2]) > raw_reach - 1.5 / 64


def test_floaters_go_by_the_size_that_is_asked_for():
    parts = [shapes.sphere(radius, (0.35 - 0.12 * k, 0, 0.4)) for k, radius in enumerate((0.02, 0.03, 0.04))]
    vertices, faces, material = shapes.voxel_asset(*shapes.merge(shapes.cube(0.6, (0, 0, -0.15)), *parts), 96)
    longest = np.ptp(vertices[faces], axis=(0, 1)).max()
    for mend in (repair, replace_by_skin):
        for size, gone in ((0.0, 0), (0.09 / longest, 1), (0.12 / longest, 2), (0.99, 3)):
            options = RepairOptions(floater_size=size)
            kept_vertices, kept, counts = mend(vertices, faces, material.coords, 96, options)
            assert counts["floaters"] == gone
            assert vertex_components(kept, len(kept_vertices)).max() == 3 - gone


def test_openings_are_closed_up_to_the_length_that_is_asked_for():
    vertices, faces = shapes.sphere(0.4, rows=96, columns=192)
    open_faces = faces[vertices[faces].mean(1)[:, 2] < 0.37]  # A round hole, about 0.3 across and 1 around.
    raw_vertices, raw_faces, material = shapes.voxel_asset(vertices, open_faces, 64)
    for length, holes in ((None, 0), (0.5, 0), (1.6, 1)):
        _, mended, counts = repair(raw_vertices, raw_faces, material.coords, 64, RepairOptions(hole_length=length))
        assert counts["holes_filled"] == holes
        assert (edge_table(mended).count == 2).all() == bool(holes)
