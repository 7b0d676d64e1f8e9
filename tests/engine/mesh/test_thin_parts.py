# SPDX-License-Identifier: GPL-3.0-or-later
"""Wires of about a voxel: whole where their voxels say so, never joined to others, and nothing else changes."""

import numpy as np
import pytest
from espalier.engine.mesh.repair import repair as repairing
from espalier.engine.mesh.repair.repair import repair
from espalier.engine.mesh.repair.thin_parts import Joined, join_thin_parts
from espalier.engine.mesh.surface.topology import edge_table, vertex_components

from . import shapes
from .test_orient import inconsistent_edges

RESOLUTION = 64
VOXEL = 1.0 / RESOLUTION


def rod(thickness, start, end):
    """A straight wire with closed ends; ``thickness`` in voxels."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    along = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    side /= np.linalg.norm(side)
    angle = np.arange(8) * np.pi / 4
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(along, side)
    t = np.linspace(0, 1, 61)[:, None, None]
    tube = (start + t * (end - start) + 0.5 * thickness * VOXEL * ring).reshape(-1, 3)
    j, last = np.arange(8), len(tube) - 8
    caps = [np.stack([np.full(8, len(tube) + k), at + j, at + (j + 1) % 8], 1) for k, at in enumerate((0, last))]
    return np.concatenate([tube, [start, end]]), np.concatenate([shapes.grid_faces(61, 8, False, True), *caps])


def mended(shape):
    """The vertices, faces and report of a shape that went through its voxels and the repair."""
    vertices, faces, material = shapes.voxel_asset(*shape, RESOLUTION)
    return repair(vertices, faces, material.coords, RESOLUTION)


def pieces(vertices, faces):
    return int(vertex_components(faces, len(vertices)).max()) + 1


@pytest.fixture
def without_joining(monkeypatch):
    """Repair as if no part were thin."""
    monkeypatch.setattr(repairing, "join_thin_parts", lambda v, f, c, r: Joined(v, f, c, None, 0))


ENDS = {
    "slanted": ((-0.41, -0.33, -0.26), (0.4, 0.27, 0.31)),
    "nearly along an axis": ((-0.42, 0.013, 0.02), (0.42, 0.041, -0.031)),
    "steep": ((-0.1, -0.07, -0.4), (0.13, 0.06, 0.4)),
}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("thickness", [0.95, 1.2])
def test_a_wire_of_about_a_voxel_stays_whole(ends, thickness):
    vertices, faces, counts = mended(rod(thickness, *ends))
    assert pieces(vertices, faces) == 1
    assert counts["thin_joined"] > 0
    assert any("joined" in event for event in counts["events"])
    assert edge_table(faces).count.max() == 2
    assert inconsistent_edges(faces) == 0
    # As long as it was, and nowhere much thicker.
    start, end = (np.array(point) for point in ends)
    along = (end - start) / np.linalg.norm(end - start)
    way = (vertices - start) @ along
    assert np.ptp(way) > np.linalg.norm(end - start) - 2 * VOXEL
    assert np.linalg.norm(vertices - start - way[:, None] * along, axis=1).max() < 1.5 * VOXEL


def test_such_a_wire_would_fall_to_pieces(without_joining):
    vertices, faces, _ = mended(rod(0.95, *ENDS["slanted"]))
    assert pieces(vertices, faces) > 3


def test_wires_that_cross_are_one_and_wires_side_by_side_are_not():
    wire = rod(1.0, *ENDS["slanted"])
    middle = (np.array(ENDS["slanted"][0]) + ENDS["slanted"][1]) / 2
    sideways = np.array([0.2, -0.35, 0.0])
    across = rod(1.0, middle - sideways, middle + sideways)
    vertices, faces, _ = mended(shapes.merge(wire, across))
    assert pieces(vertices, faces) == 1
    beside = wire[0] + np.array([0.0, 0.0, 3.5 * VOXEL]), wire[1]
    vertices, faces, counts = mended(shapes.merge(wire, beside))
    assert counts["thin_joined"] > 0
    assert pieces(vertices, faces) == 2


def test_ends_of_two_wires_with_room_between_them_stay_apart():
    start, end = (np.array(point) for point in ENDS["slanted"])
    along = (end - start) / np.linalg.norm(end - start)
    middle = (start + end) / 2
    halves = shapes.merge(rod(1.1, start, middle - 2 * VOXEL * along), rod(1.1, middle + 2 * VOXEL * along, end))
    vertices, faces, _ = mended(halves)
    assert pieces(vertices, faces) == 2


def opened(shape):
    vertices, faces = shape
    return vertices, faces[vertices[faces].mean(1)[:, 2] < 0.2]


def leaf():
    """A pointed single sheet that bends."""
    u, v = np.meshgrid(np.linspace(0, 1, 40), np.linspace(-1, 1, 15), indexing="ij")
    across = 0.15 * np.sin(np.pi * u) * v
    points = np.stack([0.8 * u - 0.4, across, 0.3 * u * (1 - u) + 0.4 * np.abs(across)], -1).reshape(-1, 3)
    return points, shapes.grid_faces(40, 15, False, False)


OTHERS = {
    "sphere": shapes.sphere(),
    "sphere with a window": opened(shapes.sphere()),
    "thick wire": rod(4.0, *ENDS["slanted"]),
    "cubes that touch": shapes.merge(shapes.cube(0.3, (-0.15, 0, -0.15)), shapes.cube(0.3, (0.15, 0, 0.15))),
    "walls a voxel apart": shapes.merge(shapes.sphere(0.4), shapes.sphere(0.38)),
    "plate of a voxel": (shapes.cube()[0] * [1.0, 1.0, 1.6 * VOXEL] + [0.0, 0.0, 0.3 * VOXEL], shapes.cube()[1]),
    "leaf": leaf(),
    "band": shapes.moebius(),
}


@pytest.mark.parametrize("shape", OTHERS.values(), ids=OTHERS)
def test_whatever_is_no_thin_tube_stays_as_it_is(shape):
    vertices, faces, material = shapes.voxel_asset(*shape, RESOLUTION)
    joined = join_thin_parts(vertices, faces, material.coords, RESOLUTION)
    assert joined.places == 0
    assert joined.vertices is vertices and joined.faces is faces and joined.cells is material.coords


def test_a_surface_that_is_not_of_its_voxels_stays_as_it_is():
    vertices, faces, material = shapes.voxel_asset(*rod(0.95, *ENDS["slanted"]), RESOLUTION)
    for cells in (material.coords[:-1], material.coords[::-1]):
        assert join_thin_parts(vertices, faces, cells, RESOLUTION).sides is None
    broken = vertices.copy()
    broken[0] = np.nan
    assert join_thin_parts(broken, faces, material.coords, RESOLUTION).places == 0
