# SPDX-License-Identifier: GPL-3.0-or-later
"""Quads that would be dropped for a missing voxel are completed where the surface goes on, and nowhere else."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.repair.completion import complete_quads
from espalier.engine.mesh.surface.topology import edge_table
from espalier.engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid
from espalier.engine.pipelines.asset import VoxelAsset
from espalier.engine.starter.asset import make_asset
from espalier.engine.training.metrics import sample_surface

from . import shapes

RESOLUTION = 40
SHAPES = {"sphere": shapes.sphere, "torus": shapes.torus, "mug": None, "house": None}


def voxels_of(vertices, faces, lost=0.0, seed=0):
    """Coordinates, dual vertices, crossings and one quantity (the height), with a share of the voxels missing."""
    grid = mesh_to_dual_grid(
        torch.as_tensor(np.asarray(vertices), dtype=torch.float32), torch.as_tensor(np.asarray(faces)), RESOLUTION
    )
    kept = np.random.default_rng(seed).random(len(grid.coords)) >= lost
    coords = grid.coords.numpy()[kept]
    return coords, grid.local.numpy()[kept], grid.intersected.numpy()[kept], coords[:, 2:].astype(np.float32)


def mesh_of(coords, local, intersected):
    vertices, faces = dual_grid_to_mesh(*map(torch.from_numpy, (coords, local, intersected)), None, RESOLUTION)
    return vertices.numpy().astype(float), faces.numpy()


def open_edges(faces):
    return int((edge_table(faces).count == 1).sum())


def shape(name):
    if SHAPES[name]:
        return SHAPES[name]()
    asset = make_asset(3, name)
    return asset.vertices, asset.faces


@pytest.mark.parametrize("name", SHAPES)
def test_a_surface_with_missing_voxels_comes_back_closer_to_the_truth_and_almost_without_holes(name):
    whole = mesh_of(*voxels_of(*shape(name))[:3])
    given = voxels_of(*shape(name), lost=0.03)
    torn, mended = mesh_of(*given[:3]), mesh_of(*complete_quads(*given, RESOLUTION)[:3])
    before = open_edges(whole[1])
    assert open_edges(mended[1]) - before < 0.15 * (open_edges(torn[1]) - before)
    points = sample_surface(*whole, 4000, seed=0)

    def distance(surface, queries):
        found = SurfaceIndex(*surface).closest(queries, np.zeros_like(queries)).position
        return np.linalg.norm(found - queries, axis=1)

    assert distance(mended, points).mean() < 0.15 * distance(torn, points).mean()
    # Nothing is invented where there was no surface.
    assert distance(whole, sample_surface(*mended, 4000, seed=1)).max() < 0.7 / RESOLUTION


@pytest.mark.parametrize("lost", [0.0, 0.05])
def test_given_voxels_stay_and_added_ones_lie_in_their_voxel_with_values_from_around(lost):
    given = voxels_of(*shapes.sphere(), lost=lost)
    coords, local, intersected, values = complete_quads(*given, RESOLUTION)
    for before, after in zip(given, (coords, local, intersected, values), strict=True):
        assert (after[: len(before)] == before).all()
        assert after.dtype == before.dtype
    added = slice(len(given[0]), None)
    assert (len(coords) > len(given[0])) == (lost > 0)
    assert len(np.unique(coords, axis=0)) == len(coords)
    assert (local[added] >= 0).all() and (local[added] <= 1).all()
    assert (np.abs(values[added, 0] - coords[added, 2]) <= 1).all()


def test_a_lone_crossing_is_not_completed():
    coords, local, intersected, values = voxels_of(*shapes.sphere(0.2))
    lone = np.array([[2, 2, 2], [35, 35, 35]], dtype=coords.dtype)
    given = (
        np.concatenate([coords, lone]),
        np.concatenate([local, np.full((2, 3), 0.5, np.float32)]),
        np.concatenate([intersected, np.ones((2, 3), bool)]),
        np.concatenate([values, np.ones((2, 1), np.float32)]),
    )
    assert len(complete_quads(*given, RESOLUTION)[0]) == len(given[0])


def test_crossings_on_the_border_of_the_grid_add_no_voxel_outside():
    rng = np.random.default_rng(0)
    coords = np.argwhere(rng.random((6, 6, 6)) < 0.6).astype(np.int32)
    given = (
        coords,
        rng.random((len(coords), 3), np.float32),
        rng.random((len(coords), 3)) < 0.8,
        np.ones((len(coords), 1)),
    )
    added = complete_quads(*given, 6)[0]
    assert len(added) > len(coords)
    assert added.min() >= 0
    assert added.max() < 6
    dual_grid_to_mesh(*map(torch.from_numpy, complete_quads(*given, 6)[:3]), None, 6)


def test_an_asset_is_completed_with_all_its_quantities():
    coords, local, intersected, _ = voxels_of(*shapes.torus(), lost=0.03)
    weight = np.random.default_rng(1).random(len(coords), np.float32)
    for split in (None, weight):
        asset = VoxelAsset(RESOLUTION, coords, local, intersected, split, shapes.colours_at(coords / RESOLUTION - 0.5))
        completed = asset.completed()
        vertices, faces = completed.surface()
        assert len(vertices) == len(completed.attrs) == len(completed.coords) > len(coords)
        assert open_edges(faces) < open_edges(asset.surface()[1])
        assert (completed.split_weight is None) == (split is None)
        assert np.isfinite(completed.attrs).all()


@pytest.mark.parametrize("lost", [0.0, 0.05, 0.4])
def test_a_card_completes_the_same(lost, card):
    given = voxels_of(*shapes.torus(), lost=lost)
    with choice.plain_torch():
        expected = complete_quads(*given, RESOLUTION)
    found = complete_quads(*given, RESOLUTION)
    assert (len(expected[0]) > len(given[0])) == (lost > 0)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    assert not card or card.operations > 30
