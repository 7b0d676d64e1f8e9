# SPDX-License-Identifier: GPL-3.0-or-later
"""The wide tree that rays go down: it holds the whole of the binary one, with room for rounding."""

import numpy as np
import pytest
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.surface.topology import unit
from espalier.tests.engine.mesh.test_nearest import SURFACES

pytest.importorskip("numba")
from espalier.engine.mesh.lookup import compiled_rays as rays


def wide_tree(name):
    """The decoded children [(node, box [6] in steps, child)] of the wide tree, the grid, and the binary tree."""
    boxes, first, count = SurfaceIndex(*SURFACES[name]())._on_host._tree
    nodes, grid = rays.widen(boxes, first, count)
    sides = nodes[:, : 6 * rays.WIDTH].reshape(-1, 6, rays.WIDTH).astype(float)
    child = nodes.view(np.int32)[:, rays.CHILDREN :]
    there = np.argwhere(sides[:, 0] <= sides[:, 3])
    children = [(node, sides[node, :, lane], int(child[node, lane])) for node, lane in there]
    return children, grid, (boxes, first, count)


@pytest.mark.parametrize("name", SURFACES)
def test_every_leaf_has_one_place_and_every_node_one_parent(name):
    children, _, (_, _, count) = wide_tree(name)
    leaves = sorted(-1 - child for _, _, child in children if child < 0)
    assert leaves == np.flatnonzero(count).tolist()
    inner = sorted(child for _, _, child in children if child >= 0)
    assert inner == list(range(1, 1 + len(inner)))


@pytest.mark.parametrize("name", SURFACES)
def test_boxes_are_wider_than_what_they_hold_by_one_to_two_steps(name):
    """More than single precision loses, and little enough that rays pass by what is not near."""
    children, grid, (boxes, _, _) = wide_tree(name)
    held = {}
    for node, box, child in reversed(children):
        exact = boxes[-1 - child] if child < 0 else held[child]
        steps = (exact.reshape(2, 3) - grid[:3]) / grid[3]
        gap = np.concatenate([steps[0] - box[:3], box[3:] - steps[1]])
        assert (gap >= 1 - 1e-6).all() and (gap <= 2 + 1e-6).all()
        before = held.get(node, exact)
        held[node] = np.append(np.minimum(before, exact)[:3], np.maximum(before, exact)[3:])
    assert np.array_equal(held[0], boxes[0])


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 37])
def test_rays_cast_together_meet_what_each_meets_alone(count):
    index = SurfaceIndex(*SURFACES["soup"]())
    rng = np.random.default_rng(count)
    points, normals = rng.uniform(-0.5, 0.5, (40, 3)), unit(rng.normal(size=(40, 3)))
    directions = np.concatenate([unit(rng.normal(size=(1, count, 3))), rng.uniform(0.05, 0.6, (1, count, 1))], axis=2)
    pattern = np.zeros(40, dtype=np.int64)
    alone = [index.open_share(points, normals, pattern, directions[:, [k]]) for k in range(count)]
    together = index.open_share(points, normals, pattern, directions)
    assert 0.1 < together.mean() < 0.9
    assert np.allclose(together, np.mean(alone, axis=0), atol=1e-6)


def test_walls_along_the_axes_stop_rays_along_the_axes():
    """Boxes without thickness, and slopes that are not finite."""
    square = np.array([[0.3, -1, -1], [0.3, 1, -1], [0.3, 1, 1], [0.3, -1, 1]]) * [1, 0.2, 0.2]
    for axis in range(3):
        index = SurfaceIndex(np.roll(square, axis, axis=1), np.array([[0, 1, 2], [0, 2, 3]]))
        for sign in (1.0, -1.0):
            normal = sign * np.eye(3)[[axis]]
            for reach, open_ahead in ((0.29, 1.0), (0.31, 0.0)):
                share = index.open_share(
                    np.full((1, 3), 1e-3), normal, np.zeros(1, dtype=np.int64), np.array([[[0, 0, 1, reach]]])
                )
                assert share[0] == (open_ahead if sign > 0 else 1.0)
