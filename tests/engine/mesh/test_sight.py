# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a surface from outside, and that it is its front after a repair."""

import os

import numpy as np
import pytest
from espalier.engine.mesh.compilation import load_loops
from espalier.engine.mesh.repair import sight
from espalier.engine.mesh.repair.orient import orient_consistently, part_by_sight
from espalier.engine.mesh.repair.repair import keep_as_generated, repair
from espalier.engine.mesh.repair.sight import seen_areas
from espalier.engine.mesh.surface.topology import edge_table, face_vectors, vertex_components

from . import shapes
from .test_orient import flipped, inconsistent_edges

NO_CELLS = np.zeros((0, 3), dtype=np.int64)
RESOLUTION = 48
VOXEL = 1.0 / RESOLUTION


def area_of(vertices, faces):
    return np.linalg.norm(face_vectors(vertices, faces), axis=1).sum()


def back_share(vertices, faces):
    front, back = seen_areas(vertices, faces, VOXEL).sum(axis=0)
    return back / (front + back)


def centres(vertices, faces):
    return vertices[faces].mean(axis=1)


def facing(vertices, faces, directions):
    """The share of the area that faces along the directions [F, 3]."""
    along = np.einsum("fi,fi->f", face_vectors(vertices, faces), directions)
    return along[along > 0].sum() / np.abs(along).sum()


def revolved(radius, height, columns=64):
    """The closed surface that a closed profile (radius [N] > 0, height [N]) sweeps around the z axis."""
    turn = 2 * np.pi * np.arange(columns) / columns
    points = np.stack(
        [
            np.cos(turn)[:, None] * radius,
            np.sin(turn)[:, None] * radius,
            np.broadcast_to(height, (columns, len(height))),
        ],
        -1,
    )
    return points.reshape(-1, 3), shapes.grid_faces(columns, len(radius), True, True)


def wavy_sheet():
    steps = np.linspace(-0.4, 0.4, 81)
    x, y = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([x, y, 0.08 * np.sin(16 * x)], -1).reshape(-1, 3), shapes.grid_faces(81, 81, False, False)


def test_the_compiled_loop_sees_what_the_plain_function_sees(monkeypatch):
    if load_loops("repair.compiled_sight") is None:
        pytest.skip("numba is missing")
    vertices, faces = shapes.merge(shapes.sphere(0.4), shapes.cube(0.2, (0.1, 0.3, 0.2)), wavy_sheet())
    faces = flipped(faces)
    compiled = seen_areas(vertices, faces, VOXEL)
    monkeypatch.setattr(sight, "load_loops", lambda module: None)
    assert (seen_areas(vertices, faces, VOXEL) == compiled).all()
    assert compiled.sum() > 0


def test_the_number_of_threads_changes_nothing(monkeypatch):
    vertices, faces = shapes.merge(shapes.sphere(0.4), wavy_sheet())
    seen = []
    for threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        seen.append(seen_areas(vertices, faces, VOXEL))
    assert (seen[0] == seen[1]).all()
    assert seen[0].sum() > 0


def test_of_a_convex_solid_every_front_is_seen_and_no_back():
    for vertices, faces in (shapes.sphere(0.4), shapes.cube(0.5)):
        front, back = seen_areas(vertices, faces, VOXEL).T
        assert back.sum() == 0
        assert front.sum() == pytest.approx(area_of(vertices, faces), rel=0.03)
        front, back = seen_areas(vertices, faces[:, ::-1], VOXEL).T
        assert front.sum() == 0


def test_of_a_nested_layer_nothing_is_seen():
    vertices, faces = shapes.merge(shapes.sphere(0.4), shapes.sphere(0.38))
    inner = np.arange(len(faces)) >= len(faces) // 2
    assert seen_areas(vertices, faces, VOXEL)[inner].sum() == 0


@pytest.mark.parametrize("mend", [keep_as_generated, repair])
@pytest.mark.parametrize("seed", range(3))
def test_a_torn_sphere_with_loose_inner_layers_comes_out_outward(seed, mend):
    """Each layer has tears of its own, bridges to the next one, and faces of any winding."""
    rng = np.random.default_rng(seed)
    layers = [shapes.sphere(radius, rows=48, columns=96) for radius in (0.4, 0.375, 0.35)]
    torn = []
    for vertices, faces in layers:
        tears = rng.normal(size=(12, 3))
        tears *= 0.4 / np.linalg.norm(tears, axis=1, keepdims=True)
        gap = np.linalg.norm(centres(vertices, faces)[:, None] - tears, axis=2).min(axis=1)
        torn.append((vertices, faces[gap > 0.05]))
    bridges = [shapes.cube(0.05, 0.3875 * d / np.linalg.norm(d)) for d in rng.normal(size=(10, 3))]
    vertices, faces, material = shapes.voxel_asset(*shapes.merge(*torn, *bridges), RESOLUTION)
    vertices, faces, _ = mend(vertices, flipped(faces, seed), material.coords, RESOLUTION)
    assert (edge_table(faces).count <= 2).all()
    assert inconsistent_edges(faces) == 0
    middle = centres(vertices, faces)
    outer = np.linalg.norm(middle, axis=1) > 0.39
    assert facing(vertices, faces[outer], middle[outer]) > 0.97
    # What is left is the inside of the far wall, seen through the tears.
    assert back_share(vertices, faces) < 0.06


def test_a_solid_that_turns_inside_out_is_cut_where_it_does():
    """A figure eight swept around an axis: one closed surface, half of it inside out whichever way it is wound."""
    t = 2 * np.pi * (np.arange(48) + 0.5) / 48
    vertices, faces = revolved(0.3 + 0.13 * np.cos(t), 0.1 * np.sin(2 * t))
    before = flipped(faces)
    surface = orient_consistently(before)
    assert back_share(vertices, surface.faces) > 0.3
    assert 0.2 < (surface.faces[:, 0] != before[:, 0]).mean() < 0.8
    parted, copies, cut = part_by_sight(
        vertices, surface, before, edge_table(before), seen_areas(vertices, surface.faces, VOXEL), VOXEL
    )
    assert back_share(vertices[copies], parted) < 0.02
    assert inconsistent_edges(parted) == 0
    assert (np.sort(copies[parted], axis=1) == np.sort(faces, axis=1)).all()
    assert 128 <= cut <= 160  # Twice around, 64 edges each time.
    assert vertex_components(parted, len(copies)).max() == 1


def test_a_bowl_with_thickness_stays_whole_and_faces_out_of_its_wall():
    angle = np.linspace(0.02, 0.5 * np.pi, 30)
    radius = np.concatenate([0.4 * np.sin(angle), 0.34 * np.sin(angle[::-1])])
    height = np.concatenate([-0.4 * np.cos(angle), -0.34 * np.cos(angle[::-1])])
    vertices, faces, material = shapes.voxel_asset(*revolved(radius, height), RESOLUTION)
    vertices, faces, counts = repair(vertices, flipped(faces), material.coords, RESOLUTION)
    assert counts["seam_edges"] == counts["sheets"] == 0
    middle = centres(vertices, faces)
    out_of_wall = middle * np.where(np.linalg.norm(middle, axis=1) > 0.37, 1.0, -1.0)[:, None]
    wall = middle[:, 2] < -0.05
    assert facing(vertices, faces[wall], out_of_wall[wall]) > 0.98
    assert back_share(vertices, faces) < 0.005


@pytest.mark.parametrize("mend", [keep_as_generated, repair])
def test_a_single_sheet_keeps_its_mark_and_is_not_cut(mend):
    sheet = wavy_sheet()
    vertices, faces, material = shapes.voxel_asset(*sheet, RESOLUTION)
    vertices, faces, counts = mend(vertices, flipped(faces), material.coords, RESOLUTION)
    assert counts["sheets"] >= 1
    assert counts["seam_edges"] == 0
    assert inconsistent_edges(faces) == 0
    assert 0.4 < back_share(vertices, faces) < 0.6


def test_a_lining_that_only_shows_from_inside_faces_inside():
    shell, lining, ball = shapes.sphere(0.4), shapes.sphere(0.39), shapes.sphere(0.35)
    bowl = shell[0], shell[1][centres(*shell)[:, 2] < 0.1]
    lining = lining[0], lining[1][centres(*lining)[:, 2] < 0.1]
    for inside, sign in ((lining, -1.0), (ball, 1.0)):
        vertices, faces = shapes.merge(bowl, inside)
        vertices, faces, _ = repair(vertices, flipped(faces), NO_CELLS, RESOLUTION)
        middle = centres(vertices, faces)
        outer = np.linalg.norm(middle, axis=1) > 0.395
        assert facing(vertices, faces[outer], middle[outer]) > 0.99
        assert facing(vertices, faces[~outer], sign * middle[~outer]) > 0.99
