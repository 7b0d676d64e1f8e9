"""Wires become strips: lengths of tube, cut across and opened along one line, without loss of anything else."""

import numpy as np
import pytest
from espalier.engine.mesh.surface.topology import edge_table, face_vectors
from espalier.engine.mesh.unwrap.charts import winding_pairs
from espalier.engine.mesh.unwrap.outlines import chart_points
from espalier.engine.mesh.unwrap.relax import _Relaxation, relax
from espalier.engine.mesh.unwrap.tubes import find_tubes, thin_share
from espalier.engine.mesh.unwrap.unwrap import unwrap

from .shapes import cube, grid_faces, merge, moebius, sphere, torus
from .test_relax import check
from .test_unwrap import check_layout, never

RADIUS = 0.008
AROUND = 2 * np.pi * RADIUS


def wire(rows=300, columns=9, closed=True, lean=0.0):
    """A ring of wire that waves, or three quarters of one."""
    turn = 2 * np.pi * np.arange(rows) / rows * (1.0 if closed else 0.75)
    wave = 0.02 * np.sin(5 * turn)
    vertices, faces = torus(rows, columns, 0.4, RADIUS)
    u = turn.repeat(columns)
    ring = vertices - 0.4 * np.stack([np.cos(u0 := 2 * np.pi * np.arange(rows) / rows), np.sin(u0), 0 * u0], 1).repeat(
        columns, 0
    )
    across = np.hypot(ring[:, 0], ring[:, 1]) * np.sign(
        ring[:, 0] * np.cos(u0).repeat(columns) + ring[:, 1] * np.sin(u0).repeat(columns)
    )
    around = 0.4 + wave.repeat(columns) + across
    points = np.stack([around * np.cos(u), around * np.sin(u), ring[:, 2] + 0.03 * np.sin(3 * u)], 1)
    spin = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    return points @ spin.T, faces if closed else grid_faces(rows, columns, False, True)


def pairs(faces):
    return winding_pairs(faces, edge_table(faces))


def double_areas(uv):
    edges = uv[:, 1:] - uv[:, :1]
    return edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]


@pytest.mark.parametrize("closed", [True, False])
def test_a_wire_is_cut_into_lengths_that_are_each_one_strip(closed):
    vertices, faces = wire(closed=closed)
    left, right = pairs(faces)
    tubes = find_tubes(vertices, faces, left, right, 0.3, 2 * AROUND)
    assert np.array_equal(np.sort(tubes.faces), np.arange(len(faces)))
    around = 2.5 if closed else 1.9
    assert around / 0.3 - 1 < tubes.label.max() + 1 < around / 0.3 + 4
    points = chart_points(tubes.label, tubes.left, tubes.right)
    rims = 3 * len(faces) - 2 * len(tubes.left)
    inner = len(tubes.left)
    # Each is a disk: vertices, less edges, plus faces is one.
    assert len(points.chart) - (rims + inner) + len(faces) == tubes.label.max() + 1
    assert tubes.cut.sum() >= tubes.label.max() + 1
    assert double_areas(tubes.start).min() > -1e-12
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1).sum()
    assert 0.8 * area < 0.5 * double_areas(tubes.start).sum() < 2.0 * area


def test_only_pieces_with_two_rims_and_narrow_enough_are_tubes():
    ball, ring = sphere(0.2), torus(40, 20, 0.3, 0.1)
    for vertices, faces in (ball, cube(), moebius(), ring):
        found = find_tubes(vertices, faces, *pairs(faces), 0.25, 0.2)
        assert len(found.faces) == 0 and not found.cut.any()


def test_what_is_thin_is_told_from_what_is_not():
    vertices, faces = merge(wire(), sphere(0.1))
    share = thin_share(vertices, faces, *pairs(faces), 1.5 * AROUND)
    parts = [np.linalg.norm(face_vectors(*part), axis=1).sum() for part in (wire(), sphere(0.1))]
    assert share == pytest.approx(parts[0] / sum(parts), rel=1e-6)


def test_an_object_of_wires_becomes_long_strips_and_its_ball_stays_as_it_is():
    vertices, faces = merge(wire(), wire(lean=1.0), wire(lean=2.0), sphere(0.06))
    texel = AROUND / 16
    uv, chart, rest = relax(vertices, faces, texel, lambda: None)
    assert (rest < 0).all()
    check(uv, chart, faces)
    strips = np.unique(chart[: 3 * len(wire()[1])])
    assert len(strips) < 90
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1)
    assert 0.5 * double_areas(uv) == pytest.approx(area, rel=0.5, abs=1e-7)


def test_objects_that_are_not_made_of_wires_are_left_alone():
    for vertices, faces in (sphere(), torus(), merge(sphere(), wire())):
        work = _Relaxation(vertices, faces, 0.004, lambda: None)
        work.open_tubes()
        assert work.tubes == 0 and (work.chart < 0).all()


def test_a_cage_of_wires_uses_the_square_well():
    vertices, faces = merge(*(wire(lean=lean) for lean in np.pi * np.arange(6) / 6))
    layout = unwrap(vertices, faces, 512, never)
    check_layout(layout, faces, 512)
    assert layout.method == "relaxed" and layout.events == []
    covered = 0.5 * double_areas(layout.uv.astype(np.float64)).sum()
    assert covered > 0.5
    assert layout.chart.max() + 1 < 150
