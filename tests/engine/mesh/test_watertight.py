# SPDX-License-Identifier: GPL-3.0-or-later
"""An independent library takes watertight results for closed solids, and nothing of the object is lost."""

import functools

import numpy as np
import pytest
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.repair.repair import replace_by_skin
from espalier.engine.mesh.surface.topology import edge_table, vertex_components
from espalier.engine.starter.asset import make_asset
from espalier.engine.starter.families import FAMILIES
from espalier.engine.training.metrics import sample_surface
from manifold3d import Error, Manifold, Mesh

from . import shapes

RESOLUTION = 32


def sheet(size=0.6, height=0.0):
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size / 2
    return corners + np.array([0, 0, height]), np.array([[0, 1, 2], [0, 2, 3]])


def bar(x, y, z):
    vertices, faces = shapes.cube(1.0)
    return vertices * [x, y, z], faces


def bowl():
    vertices, faces = shapes.sphere(0.4)
    return vertices, faces[vertices[faces].mean(1)[:, 2] < 0.1]


SHAPES = {
    "sphere": shapes.sphere,
    "torus": shapes.torus,
    "cube": shapes.cube,
    "band": shapes.moebius,
    "bowl": bowl,
    "sheet": sheet,
    "wire": lambda: bar(0.005, 0.005, 0.8),
    "board": lambda: bar(0.7, 0.05, 0.4),
    "sheet on a body": lambda: shapes.merge(shapes.sphere(0.2), sheet(0.8)),
    "nested": lambda: shapes.merge(shapes.sphere(0.4), shapes.sphere(0.35), shapes.cube(0.2)),
    "crossing": lambda: shapes.merge(shapes.sphere(0.25, (-0.15, 0, 0)), shapes.sphere(0.25, (0.15, 0, 0))),
    "apart": lambda: shapes.merge(shapes.cube(0.2, (-0.3, 0, 0)), shapes.cube(0.2, (0.3, 0, 0)), sheet(0.1, 0.4)),
    "touching": lambda: shapes.merge(shapes.cube(0.3, (-0.15, 0, -0.15)), shapes.cube(0.3, (0.15, 0, 0.15))),
}
ASSETS = [*SHAPES, *FAMILIES]


@functools.cache
def voxels_of(name):
    if name in SHAPES:
        return shapes.voxel_asset(*SHAPES[name](), RESOLUTION)
    asset = make_asset(3, name)
    return shapes.voxel_asset(asset.vertices, asset.faces, RESOLUTION)


def whole(vertices, faces, coords):
    return vertices, faces, coords


def torn(vertices, faces, coords):
    """A voxel in twelve is missing, with every face that used it."""
    kept = np.random.default_rng(0).random(len(vertices)) > 1 / 12
    return vertices, faces[kept[faces].all(1)], coords


def hedged(vertices, faces, coords):
    """A second, noisy layer two voxels below half of the first, as a decoder that hedges its bets makes it."""
    shift = np.array([0, 0, -2])
    lower = coords + shift
    new = (np.sin(20 * vertices[:, 0]) > 0) & (lower.min(1) >= 0)
    held = {tuple(cell) for cell in coords.tolist()}
    new &= [tuple(cell) not in held for cell in lower.tolist()]
    noise = np.random.default_rng(1).uniform(-0.4, 0.4, (int(new.sum()), 3))
    row = np.full(len(vertices), -1)
    row[new] = np.arange(new.sum()) + len(vertices)
    return (
        np.concatenate([vertices, vertices[new] + (shift + noise) / RESOLUTION]),
        np.concatenate([faces, row[faces[new[faces].all(1)]]]),
        np.concatenate([coords, lower[new]]),
    )


@pytest.mark.parametrize("damage", [whole, torn, hedged])
@pytest.mark.parametrize("name", ASSETS)
def test_an_independent_library_takes_the_result_for_a_solid_that_holds_the_whole_object(name, damage):
    raw_vertices, raw_faces, material = voxels_of(name)
    vertices, faces, _ = replace_by_skin(*damage(raw_vertices, raw_faces, material.coords), RESOLUTION)
    solid = Manifold(Mesh(vertices.astype(np.float32), faces.astype(np.uint32)))
    assert solid.status() == Error.NoError
    assert solid.volume() > 0
    # Whatever of the object is further from the skin than a voxel lies inside.
    points = sample_surface(raw_vertices, raw_faces, 1000, seed=0)
    away = np.linalg.norm(
        points - SurfaceIndex(vertices, faces).closest(points, np.zeros_like(points)).position, axis=1
    )
    outside = winding_numbers(points[away > 1.0 / RESOLUTION], vertices, faces) < 0.5
    assert outside.sum() <= (0 if damage is whole else 10)


@pytest.mark.parametrize("name", ASSETS)
def test_what_is_whole_keeps_every_piece(name):
    raw_vertices, raw_faces, material = voxels_of(name)
    _, faces, counts = replace_by_skin(raw_vertices, raw_faces, material.coords, RESOLUTION)
    assert counts["floaters"] == 0
    assert counts["sheets"] == 0
    # A sheet is a solid of its own beside the body that it is attached to, and a one-sided band is cut open.
    assert counts["closed_pieces"] <= vertex_components(raw_faces, len(raw_vertices)).max() + 2
    assert (edge_table(faces).count == 2).all()


def winding_numbers(points, vertices, faces):
    """How often a closed surface goes around each point: its solid angle there (Van Oosterom and Strackee, 1983)."""
    a, b, c = (vertices[faces[:, i]] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=2) for side in (a, b, c))
    volume = np.einsum("pfi,pfi->pf", a, np.cross(b, c))
    rest = la * lb * lc
    for one, other, third in ((a, b, lc), (b, c, la), (c, a, lb)):
        rest += np.einsum("pfi,pfi->pf", one, other) * third
    return np.arctan2(volume, rest).sum(1) / (2 * np.pi)
