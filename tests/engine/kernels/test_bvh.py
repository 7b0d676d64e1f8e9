# SPDX-License-Identifier: GPL-3.0-or-later
"""Closest points and rays on the card are those of the compiled loops, bit for bit."""

from unittest import mock

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.bake.occlusion import ray_patterns
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.surface.topology import unit
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge

MARGIN = 0.15


def surface():
    """Triangles of all sizes and directions, a cube, a flat grid, copies of a triangle, one turned over, faces without
    area."""
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(-2, -0.5, (30, 1, 1))
    corners = (rng.uniform(-0.5, 0.5, (30, 1, 3)) + size * rng.normal(size=(30, 3, 3))).reshape(-1, 3)
    soup = np.arange(90).reshape(30, 3)
    line = np.arange(4) / 8 - 0.25
    grid = np.stack([*np.meshgrid(line, line, indexing="ij"), np.full((4, 4), 0.75)], -1).reshape(-1, 3)
    vertices, faces = merge((corners, soup), cube(0.5), (grid, grid_faces(4, 4, False, False)))
    return vertices, np.concatenate([faces, np.tile(faces[-1:], (6, 1)), soup[1:2, ::-1], [[0, 1, 1], [2, 2, 2]]])


def queries():
    """Points all around, out of the cube's corners and edges, above the grid's corners, and on faces; directions, of
    which some are none."""
    rng = np.random.default_rng(1)
    vertices, faces = surface()
    middles = 0.5 * (vertices[faces[30:42, 0]] + vertices[faces[30:42, 1]])
    out = 1.125 * np.concatenate([vertices[90:98], middles])
    on = np.concatenate([vertices[:4], vertices[faces[:4]].mean(axis=1)])
    above = np.add(vertices[98::2], (0, 0, 0.125))
    points = np.concatenate([rng.uniform(-0.7, 0.7, (24, 3)), out, on, above])
    facing = unit(rng.normal(size=points.shape))
    facing[::4] = facing[-len(above) :] = 0
    return points, facing


def rays():
    """Origins, unit normals, patterns and rays, some along an axis, some too short for what they meet."""
    rng = np.random.default_rng(2)
    points, normals = rng.uniform(-0.5, 0.5, (30, 3)), unit(rng.normal(size=(30, 3)))
    points[0], normals[0], normals[1] = (0, 0, 0.7), (0, 0, 1), (0, 0, -1)
    directions = ray_patterns(0.4)[:3, :4].copy()
    directions[0, 0] = 0, 0, 1, 0.6
    return points.astype(np.float32), normals.astype(np.float32), rng.integers(0, 3, 30), directions


def finds_the_closest(kernels, device):
    from espalier.engine.kernels import bvh_triton

    points, facing = queries()
    with choice.plain_torch():
        expected = SurfaceIndex(*surface()).closest(points, facing, MARGIN)
    assert len(np.unique(expected.face)) > 20
    with mock.patch.object(bvh_triton, "closest", wraps=kernels.closest) as used:
        found = SurfaceIndex(*surface()).closest(points, facing, MARGIN)
    assert used.called
    for name in ("face", "barycentric", "position"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def takes_the_first_of_equal_ones(kernels, device):
    """Between two plates, of which the one above shares a box with a triangle that reaches around."""
    from espalier.engine.kernels import bvh_triton

    plate = np.array([[-1, -1, -0.5], [1, -1, -0.5], [0, 1, -0.5]])
    around = np.array([[-0.1, 0.9, 0], [0.9, -0.1, 0], [0.9, 0.9, 0.75]])
    faces = np.array([[0, 1, 2]] * 4 + [[3, 4, 5]] * 3 + [[6, 7, 8]])
    with mock.patch.object(bvh_triton, "closest", kernels.closest):
        index = SurfaceIndex(np.concatenate([plate, -plate, around]), faces)
        assert index.closest(np.zeros((1, 3)), np.array([[0, 0, 1.0]])).face == 0


def casts_rays(kernels, device):
    from espalier.engine.kernels import bvh_triton

    with choice.plain_torch():
        expected = SurfaceIndex(*surface()).open_share(*rays())
    assert len(np.unique(expected)) > 3
    with mock.patch.object(bvh_triton, "open_share", wraps=kernels.open_share) as used:
        found = SurfaceIndex(*surface()).open_share(*rays())
    assert used.called
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def agrees_on_a_single_leaf(kernels, device):
    triangle = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0.0]]), np.array([[0, 1, 2]])
    index = SurfaceIndex(*triangle)
    points, normals = np.array([[0.02, 0.02, -0.1], [0.3, 0.0, -0.1]]), np.array([[0, 0, 1.0]] * 2)
    found = index.closest(points, normals, MARGIN)
    assert np.allclose(found.position, [[0.02, 0.02, 0], [0.1, 0, 0]])
    shares = index.open_share(points, normals, np.zeros(2, dtype=np.int64), np.array([[[0, 0, 1.0, 1.0]]]))
    assert shares.tolist() == [0.0, 1.0]
    none = np.zeros((0, 3))
    assert len(index.closest(none, none).face) == 0
    assert len(index.open_share(none, none, np.zeros(0, dtype=np.int64), np.ones((1, 1, 4)))) == 0


def launches(kernels):
    def empty(*shape, dtype=torch.float64):
        return torch.empty(shape, dtype=dtype, device="meta")

    single, number = {"dtype": torch.float32}, {"dtype": torch.int32}
    nodes = [empty(99, **number) for _ in range(3)]
    tree = kernels.Tree(empty(99, 6, **single), *nodes, empty(150, 9, **single), empty(150, 3, **single))
    points, order = empty(77, 3), empty(77, dtype=torch.int64)
    kernels.closest(tree, points, points, order, MARGIN)
    kernels.open_share(tree, points, points, order, empty(16, 16, 4), order)


CLOSEST = {
    "boxes without their height": (
        "    return dx * dx + dy * dy + dz * dz\n\n\n@triton.jit\ndef _edges",
        "    return dx * dx + dy * dy + 1.0\n\n\n@triton.jit\ndef _edges",
    ),
    "only the leaf that the nearer children lead to": ("node = tl.where(listed, 0, nodes)", "node = leaf * 0 + nodes"),
    "what comes after a box left out": (
        "near | (after < 0), node + 1, after)",
        "near | (after < 0), node + 1, after + 3)",
    ),
    "one triangle of a leaf left out": (
        "live = step < number\n            gap",
        "live = step < number - 1\n            gap",
    ),
    "corner a left out": ("tl.where(at_a, 0.0, weight_b), tl.where(at_a, 0.0, weight_c)", "weight_b, weight_c"),
    "corner b left out": ("tl.where(at_b, 1.0, weight_b), tl.where(at_b, 0.0, weight_c)", "weight_b, weight_c"),
    "corner c left out": ("tl.where(at_c, 0.0, weight_b), tl.where(at_c, 1.0, weight_c)", "weight_b, weight_c"),
    "edge ab left out": ("on_ab = (vc <= 0)", "on_ab = (vc <= -1e9)"),
    "edge ac left out": ("on_ac = (vb <= 0)", "on_ac = (vb <= -1e9)"),
    "edge bc left out": ("on_bc = (va <= 0)", "on_bc = (va <= -1e9)"),
    "far sides not asked": ("gap = tl.where(cosine < 0, turned * turned, gap)", "pass"),
    "margin left out": ("2.0 * tl.sqrt(gap) + beyond", "2.0 * tl.sqrt(gap)"),
    "turned faces as near": ("_TIE = tl.constexpr(1e-4)", "_TIE = tl.constexpr(0.0)"),
    "lanes beyond the last query": ("chosen.to(tl.int64), mask=listed", "chosen.to(tl.int64)"),
}
EQUAL = {
    "last of equal ones": ("(tried < chosen)", "(tried > chosen)"),
    "equal boxes left out": ("node, x, y, z, walking) <= bound)", "node, x, y, z, walking) < best)"),
}
RAYS = {
    "boxes without their height": ("tl.minimum(out_z, reach))", "in_z)"),
    "one ray for all": ("        direction += 4", "        pass"),
    "one pattern for all": (
        "direction = directions + tl.load(pattern + query) * rays * 4",
        "direction = directions + query * 0",
    ),
    "normals downward": ("tl.where(nz >= 0, 1.0, -1.0)", "tl.where(nz >= 0, 1.0, 1.0)"),
    "frame not turned": ("dx * (sign * b) + dy", "dx * b + dy"),
    "before edge ab": (" & (v >= 0)", ""),
    "before edge ac": ("crossed & (u >= 0)", "crossed"),
    "beyond edge bc": (" & (u + v <= 1)", ""),
    "behind the origin": (" & (t > 0)", ""),
    "out of reach": (" & (t < reach)", ""),
    "one triangle of a leaf left out": ("reach, step < number)", "reach, step < number - 1)"),
    "lanes beyond the last query": ("tl.float32), mask=listed", "tl.float32)"),
}


def test_finds_the_closest_points_that_compiled_loops_find(place):
    place.check("bvh_triton", finds_the_closest)


def test_of_equal_triangles_the_first_is_found(place):
    place.check("bvh_triton", takes_the_first_of_equal_ones)


def test_rays_meet_what_they_meet_in_compiled_loops(place):
    place.check("bvh_triton", casts_rays)


def test_serves_a_single_triangle_and_no_queries(place):
    place.check("bvh_triton", agrees_on_a_single_leaf)


@pytest.mark.parametrize("change", CLOSEST.values(), ids=CLOSEST)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("bvh_triton", finds_the_closest, change)


@pytest.mark.parametrize("change", EQUAL.values(), ids=EQUAL)
def test_a_part_left_out_of_the_rule_for_equal_ones_is_noticed(interpreter, change):
    interpreter.check_notices("bvh_triton", takes_the_first_of_equal_ones, change)


@pytest.mark.parametrize("change", RAYS.values(), ids=RAYS)
def test_a_part_left_out_of_rays_is_noticed(interpreter, change):
    interpreter.check_notices("bvh_triton", casts_rays, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("bvh_triton", launches)
