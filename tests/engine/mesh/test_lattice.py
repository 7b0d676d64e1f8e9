# SPDX-License-Identifier: GPL-3.0-or-later
"""The lattice around a surface is the same with and without compiled loops."""

import numpy as np
import pytest
from espalier.engine.mesh.repair import lattice
from espalier.engine.mesh.repair.lattice import Lattice, walls_of
from espalier.engine.mesh.repair.sides import GridSides
from espalier.tests.engine.mesh.shapes import merge, moebius, sphere, torus, voxel_asset


def dual_surface():
    """Faces of a dual grid and the voxels of their vertices."""
    _, faces, material = voxel_asset(*merge(sphere(0.4), sphere(0.2), torus(40, 20), moebius()), 40)
    return faces, material.coords


def test_compiled_loops_give_the_same_lattice(monkeypatch):
    """A shell within a shell, both with holes, and a sheet: floods, mouths and points that change sides."""
    pytest.importorskip("numba")
    vertices, faces, material = voxel_asset(*merge(sphere(0.4), sphere(0.2), torus(40, 20), moebius()), 40)
    faces = faces[np.random.default_rng(0).random(len(faces)) < 0.97]
    found = []
    for loops in (lattice.load_loops, lambda module: None):
        monkeypatch.setattr(lattice, "load_loops", loops)
        sides = GridSides.of(vertices.astype(np.float64), faces, material.coords, 40)
        grid = sides.lattice
        everywhere = np.arange(len(grid.inside))
        arrays = [grid.inside, grid.walls, grid.steps, sides.hints()]
        for step in (grid.step, grid.open_step):
            arrays += [step(everywhere, axis, sign) for axis in range(3) for sign in (-1, 1)]
        found.append(arrays)
    assert 0 < grid.inside.sum() < len(everywhere)
    for compiled, plain in zip(*found, strict=True):
        assert compiled.dtype == plain.dtype and np.array_equal(compiled, plain)


def test_borders_are_the_same_and_in_the_same_order_without_compiled_loops(monkeypatch):
    pytest.importorskip("numba")
    faces, cells = dual_surface()
    found = []
    for loops in (lattice.load_loops, lambda module: None):
        monkeypatch.setattr(lattice, "load_loops", loops)
        grid = Lattice(*walls_of(faces, cells)[:2])
        values = np.random.default_rng(0).integers(0, 3, len(grid.steps))
        found.append((*grid.borders(grid.inside), *grid.borders(values)))
    assert len(found[0][0]) > 100
    for compiled, plain in zip(*found, strict=True):
        assert np.array_equal(compiled, plain)


def test_the_order_of_the_faces_does_not_change_the_wall_of_any():
    faces, cells = dual_surface()
    lower, axis, edge, ahead = walls_of(faces, cells)
    order = np.random.default_rng(1).permutation(len(faces))
    mixed = walls_of(faces[order], cells)
    assert np.bincount(edge).tolist() == [2] * len(lower)
    assert np.array_equal(mixed[0], lower) and np.array_equal(mixed[1], axis)
    assert np.array_equal(mixed[2], edge[order]) and np.array_equal(mixed[3], ahead[order])
