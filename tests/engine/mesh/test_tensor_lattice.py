# SPDX-License-Identifier: GPL-3.0-or-later
"""What a graphics card computes of the lattice around a surface is what the processor computes, to the last point."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.repair import lattice, tensor_lattice
from espalier.engine.mesh.repair.lattice import Lattice, walls_of
from espalier.engine.mesh.repair.sides import GridSides
from espalier.tests.engine.mesh.both_ways import assert_same, no_room
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus, voxel_asset
from hypothesis import given, settings
from hypothesis import strategies as st

POINT_FIELDS = ("walls", "steps", "inside")


def object_with_holes(share, resolution=40, seed=0):
    """Shells within each other, a sheet, a ring and a crumb, of whose faces a ``share`` is there; and their voxels."""
    shapes = sphere(0.42), sphere(0.2), torus(40, 20), moebius(), cube(0.05, (0.4, 0.4, 0.4))
    vertices, faces, material = voxel_asset(*merge(*shapes), resolution)
    return vertices.astype(np.float64), faces[np.random.default_rng(seed).random(len(faces)) < share], material.coords


def walls_between(solid):
    """The walls between the points that are ``solid``, bool [S, S, S], and the others: lower ends and axes."""
    lower = [np.argwhere(solid != np.roll(solid, -1, axis)) for axis in range(3)]
    return np.concatenate(lower), np.repeat(np.arange(3), [len(ends) for ends in lower])


def bottle(wall, neck, side=24):
    """A hollow in a box whose walls are so thick, with a neck so wide."""
    solid, hollow = np.zeros((side,) * 3, dtype=bool), slice(3 + wall, -3 - wall)
    solid[3:-3, 3:-3, 3:-3] = True
    solid[hollow, hollow, hollow] = False
    middle = slice(side // 2 - neck // 2, side // 2 - neck // 2 + neck)
    solid[middle, middle, : side // 2] = False
    return walls_between(solid)


def rooms(share, side=40):
    """Two rooms in a box, and a crevice wider below; of the walls beyond the first room a ``share`` is there."""
    solid = np.zeros((side,) * 3, dtype=bool)
    solid[3:-3, 3:-3, 3:-3] = True
    solid[5:17, 5:-5, 5:-5] = solid[23:35, 5:-5, 5:-5] = False
    solid[18:22, 5:-5, 8:20] = solid[19:21, 5:-5, 20:] = False
    lower, axis = walls_between(solid)
    kept = (np.random.default_rng(0).random(len(lower)) < share) | (lower[:, 0] < 18)
    return lower[kept], axis[kept]


def everything(grid):
    """All that is known of a lattice, and what is asked of it, as arrays."""
    arrays = [getattr(grid, name) for name in POINT_FIELDS]
    lower, axis = grid.borders(grid.inside)
    mixed = (np.arange(len(grid.inside)) * 2654435761 >> 9 & 3).astype(np.uint8)
    beside = grid.index(grid.points(lower) + 1)
    return [*arrays, lower, axis, *grid.borders(mixed), grid.ahead(lower, axis), beside, grid.exposed(3)]


@pytest.mark.parametrize("share", [1.0, 0.97, 0.8, 0.3])
def test_a_surface_has_the_same_walls_lattice_and_hints(share, card):
    vertices, faces, cells = object_with_holes(share)
    # Faces of no dual grid, too.
    faces = np.concatenate([faces, np.random.default_rng(1).integers(0, len(cells), (200, 3)), faces[:9, [0, 0, 1]]])
    with choice.plain_torch():
        sides = GridSides.of(vertices, faces, cells, 40)
        expected = [*walls_of(faces, cells), *everything(sides.lattice), sides.hints(), sides.ends]
    sides = GridSides.of(vertices, faces, cells, 40)
    assert_same([*walls_of(faces, cells), *everything(sides.lattice), sides.hints(), sides.ends], expected)


@pytest.mark.parametrize(
    "walls",
    [*(bottle(*shape) for shape in ((1, 1), (3, 1), (1, 2), (3, 2), (1, 6), (3, 6))), *map(rooms, (1.0, 0.7, 0.3))],
)
def test_the_flood_goes_as_far_into_a_hollow(walls, card):
    with choice.plain_torch():
        expected = everything(Lattice(*walls))
    assert_same(everything(Lattice(*walls)), expected)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_walls_enclose_the_same_points(data):
    """Crowded into a few blocks, so that floods meet, and some far away from the others."""
    place = st.tuples(*[st.integers(0, 12) | st.integers(0, 40)] * 3, st.integers(0, 2))
    drawn = sorted(data.draw(st.sets(place, min_size=1, max_size=200)))
    walls = np.array(drawn, dtype=np.int64)
    lower, axis = walls[:, :3].copy(), walls[:, 3].copy()
    grid = Lattice(lower, axis)
    found = tensor_lattice.flooded(torch.from_numpy(lower), torch.from_numpy(axis), lattice._LIMITS)
    expected = [grid._origin, grid._count, grid._blocks, grid._slot, grid._next, grid.walls, grid.steps, grid.inside]
    assert_same([part.numpy() for part in found], expected)


def test_regions_that_wind_through_a_block_are_one():
    """A path that goes to and fro through every other layer, and comes back: numbers have far to go."""
    far = torch.zeros((2, 8, 8, 8), dtype=torch.bool)
    far[0, ::2, ::2] = True
    far[0, ::2, 1::4, 7] = True
    far[0, ::2, 3::4, 0] = True
    far[0, 1::4, 6, 7] = True
    far[0, 3::4, 0, 0] = True
    far[1, 0, 0, 0] = far[1, 7, 7, 7] = True
    label = tensor_lattice._regions_within(far)
    assert label.unique().tolist() == [0, 511, 512]
    assert torch.equal(label[0] == 0, far[0]) and (label[1] == 0).sum() == (label[1] == 511).sum() == 1


def test_what_the_card_has_no_room_for_the_processor_floods(card, monkeypatch):
    vertices, faces, cells = object_with_holes(0.97)
    with choice.plain_torch():
        expected = everything(GridSides.of(vertices, faces, cells, 40).lattice)

    for name in ("walls_of", "flooded", "borders", "ahead", "exposed"):
        monkeypatch.setattr(tensor_lattice, name, no_room)
    assert_same(everything(GridSides.of(vertices, faces, cells, 40).lattice), expected)
