# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures taken on the card show the faces that pictures taken on the processor show."""

from unittest import mock

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.repair import sight
from espalier.tests.engine.mesh.shapes import cube, merge, sphere

VOXEL = 1 / 12


def surface():
    """Layers around each other, faces twice in a place, turned over, without area, and larger than the rest."""
    vertices, faces = merge(sphere(0.3, rows=4, columns=6), cube(0.3, (0.2, 0.3, 0.1)), cube(0.75))
    faces[::3] = faces[::3, ::-1]
    # Without its lid and one wall, so that what is inside shows.
    faces = faces[: len(faces) - 4]
    return vertices, np.concatenate([faces, faces[:4], faces[4:6, ::-1], [[0, 1, 1], [2, 2, 2]]])


def agrees(kernels, device):
    from espalier.engine.kernels import sight_triton

    with mock.patch.multiple(sight, WORK=1, FEWEST=2), choice.plain_torch():
        expected = sight.seen_areas(*surface(), VOXEL)
    assert ((expected > 0).sum(axis=0) > 10).all()
    with (
        mock.patch.multiple(sight, WORK=1, FEWEST=2),
        mock.patch.object(sight_triton, "picture", wraps=kernels.picture) as used,
    ):
        found = sight.seen_areas(*surface(), VOXEL)
    assert used.called
    assert np.array_equal(found, expected)


def shows_the_nearest(kernels, device):
    """Parallel sheets before and behind the middle, at depths of either sign and of none, and one of two in a place."""
    sheet = np.array([[-6.5, -6.5], [-0.5, -6.5], [-0.5, -0.5], [-6.5, -0.5]])
    depths = (-3.0, -0.5, 0.0, -0.0, 0.25, 4.0, 4.0)
    vertices = np.concatenate([np.column_stack([sheet, np.full(4, depth)]) for depth in depths])
    faces = np.array([[4 * i, 4 * i + j, 4 * i + j + 1] for i in range(len(depths)) for j in (1, 2)], dtype=np.int32)
    for chosen in (slice(None), slice(2, 10), slice(4, 8), slice(2, 6), slice(8, 10), slice(0, 2)):
        expected = np.zeros((len(faces[chosen]), 2), dtype=np.int32)
        sight.plain_picture(vertices, faces[chosen], np.eye(3), 14, expected)
        assert expected.sum() > 40
        found = torch.zeros(expected.shape, dtype=torch.int32, device=device)
        parts = (torch.from_numpy(part).to(device) for part in (vertices, faces[chosen]))
        kernels.picture(*parts, np.eye(3).tolist(), 14, found)
        assert np.array_equal(found.cpu().numpy(), expected)


def serves_nothing(kernels, device):
    points, faces = torch.zeros((3, 3), dtype=torch.float64), torch.zeros((2, 3), dtype=torch.int32)
    seen = torch.zeros((2, 2), dtype=torch.int32, device=device)
    kernels.picture(points.to(device), faces.to(device), np.eye(3).tolist(), 4, seen)
    assert not seen.any()


def launches(kernels):
    points, faces = torch.rand((77, 3), dtype=torch.float64), torch.zeros((50, 3), dtype=torch.int32)
    boxes, counts, seen = faces.clone(), torch.ones(50, dtype=torch.int64), faces[:, :2].clone()
    with mock.patch.object(kernels, "last", lambda ends: 0):
        kernels.picture(points, faces, np.eye(3).tolist(), 20, seen)
    kernels.draw(points, faces, boxes, counts, counts.cumsum(0), 20, seen, 50)


CHANGES = {
    "last column left out": ("tl.maximum(right - left + 1, 0.0)", "tl.maximum(right - left, 0.0)"),
    "last row left out": ("tl.maximum(high - low + 1, 0.0)", "tl.maximum(high - low, 0.0)"),
    "width and height exchanged": (
        "row = tl.load(boxes + face * 3 + 1) + offset // width",
        "row = tl.load(boxes + face * 3 + 1) + offset % width",
    ),
    "one weight not tested": ("tl.minimum(first, tl.minimum(second, third))", "tl.minimum(second, third)"),
    "depth of a corner left out": ("first * az + second * bz + third * cz", "first * az + second * bz"),
    "distance not asked": ("mask=within & (tl.load(distance + pixel) == near)", "mask=within"),
    "distance from behind not asked": ("mask=within & (tl.load(distance + pixel + 1) == far)", "mask=within"),
    "front for back": ("is_back = along == from_near", "is_back = along != from_near"),
    "one end only": ("from_near = item % 2 == 0", "from_near = item >= 0"),
}
DEPTHS = {
    "bits of negative numbers not turned": ("bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)", "bits"),
    "zeros of two signs": ("_sortable(0.0 + away), _sortable(0.0 - away)", "_sortable(away), _sortable(-away)"),
    "last of equal ones": ("tl.atomic_min(shown + pixel, owner,", "tl.atomic_xchg(shown + pixel, owner,"),
    "edges left out": (">= -_SLACK)", "> _SLACK)"),
}


@pytest.mark.parametrize("function", [agrees, shows_the_nearest])
def test_shows_what_the_processor_shows(place, function):
    place.check("sight_triton", function)


def test_serves_faces_without_area(place):
    place.check("sight_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("sight_triton", agrees, change)


@pytest.mark.parametrize("change", DEPTHS.values(), ids=DEPTHS)
def test_a_part_left_out_of_the_depths_is_noticed(interpreter, change):
    interpreter.check_notices("sight_triton", shows_the_nearest, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("sight_triton", launches)
