# SPDX-License-Identifier: GPL-3.0-or-later
"""Holes across a cut close on both sides of it; tips, long rims and what is not cut stay as they are."""

import numpy as np
import pytest
from espalier.engine.mesh.repair import repair as repair_module
from espalier.engine.mesh.repair.repair import repair
from espalier.engine.mesh.repair.tears import close_tears
from espalier.engine.mesh.surface.manifold import split_non_manifold
from espalier.engine.mesh.surface.topology import edge_table, face_vectors
from espalier.tests.engine.mesh import shapes

from .test_orient import flipped, inconsistent_edges
from .test_sight import back_share

LIMIT = 0.5


def torn_sphere(size, seed=0, places=6):
    """A sphere with holes across its equator, where the lower half was cut off and turned over.

    Returns vertices, faces, the half-edges of the cut and the area of the whole sphere.
    """
    vertices, faces = shapes.sphere(0.4, rows=48, columns=96)
    area = np.linalg.norm(face_vectors(vertices, faces), axis=1).sum()
    middle = vertices[faces].mean(axis=1)
    turn = 2 * np.pi * (np.arange(places) + np.random.default_rng(seed).random(places) * 0.4) / places
    holes = 0.4 * np.stack([np.cos(turn), np.sin(turn), np.zeros(places)], axis=1)
    faces = faces[np.linalg.norm(middle[:, None] - holes, axis=2).min(axis=1) > size]
    low = vertices[faces].mean(axis=1)[:, 2] < 0
    level = np.abs(vertices[faces][:, :, 2]) < 1e-9
    faces = np.where(low[:, None], faces[:, ::-1] + len(vertices), faces)
    level = np.where(low[:, None], level[:, ::-1], level)
    vertices = np.concatenate([vertices, vertices])
    vertices, faces, _, _ = split_non_manifold(vertices, faces)
    return vertices, faces, (level & np.roll(level, -1, axis=1)).reshape(-1), area


def area_of(vertices, faces):
    return np.linalg.norm(face_vectors(vertices, faces), axis=1).sum()


@pytest.mark.parametrize("seed", range(4))
def test_a_hole_across_a_cut_closes_on_both_sides(seed):
    vertices, faces, cut, area = torn_sphere(0.05, seed)
    assert area_of(vertices, faces) < 0.985 * area
    patches, beside, closed = close_tears(vertices, faces, cut, LIMIT)
    assert closed == 12
    whole = np.concatenate([faces, patches])
    assert area_of(vertices, whole) == pytest.approx(area, rel=2e-3)
    assert (edge_table(whole).count <= 2).all()
    assert inconsistent_edges(whole) == 0
    # Each patch goes with the half around it: outside above, turned over below.
    above = vertices[faces[beside]].mean(axis=1)[:, 2] > 0
    patch = np.einsum("fi,fi->f", face_vectors(vertices, patches), vertices[patches].mean(axis=1))
    assert ((patch > 0) == above).all()


def test_holes_over_the_limit_or_without_a_cut_stay():
    vertices, faces, cut, _ = torn_sphere(0.05)
    assert close_tears(vertices, faces, cut, 0.06)[2] == 0
    assert close_tears(vertices, faces, np.zeros_like(cut), LIMIT)[2] == 0


def test_a_tongue_beyond_a_cut_gets_no_web():
    """The rim around a tip comes back as well, but what would close it lies on the tip."""
    rows, columns = np.meshgrid(np.arange(9), np.arange(3), indexing="ij")
    vertices = 0.05 * np.stack([rows, columns, 0 * rows], axis=-1).reshape(-1, 3)
    faces = shapes.grid_faces(9, 3, False, False)
    corners = vertices[faces]
    root = (corners[:, :, 0] == 0) & (np.roll(corners, -1, axis=1)[:, :, 0] == 0)
    assert root.any()
    for size in (LIMIT, 10.0):
        assert close_tears(vertices, faces, root.reshape(-1), size)[2] == 0


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_torn_stays_manifold_and_wound(seed):
    rng = np.random.default_rng(seed)
    vertices, faces = shapes.torus(40, 20)
    vertices = vertices + rng.normal(scale=0.01, size=vertices.shape)
    vertices, faces, _, _ = split_non_manifold(vertices, faces[rng.random(len(faces)) > 0.3])
    cut = rng.random(3 * len(faces)) < 0.2
    patches, beside, closed = close_tears(vertices, faces, cut, LIMIT)
    whole = np.concatenate([faces, patches])
    assert closed > 10
    assert len(beside) == len(patches)
    assert (edge_table(whole).count <= 2).all()
    assert inconsistent_edges(whole) == 0
    assert (np.linalg.norm(face_vectors(vertices, patches), axis=1) > 0).all()


@pytest.mark.parametrize("seed", range(2))
def test_torn_layers_show_less_of_their_backs(seed, monkeypatch):
    """Three skins with holes, each hanging on the next by walls: so most rims go on along a cut."""
    rng = np.random.default_rng(seed)
    torn = []
    for radius in (0.4, 0.375, 0.35):
        vertices, faces = shapes.sphere(radius, rows=48, columns=96)
        tears = rng.normal(size=(30, 3))
        tears *= radius / np.linalg.norm(tears, axis=1, keepdims=True)
        gap = np.linalg.norm(vertices[faces].mean(axis=1)[:, None] - tears, axis=2).min(axis=1)
        torn.append((vertices, faces[gap > 0.04]))
    bridges = [shapes.cube(0.05, 0.3875 * d / np.linalg.norm(d)) for d in rng.normal(size=(60, 3))]
    vertices, faces, material = shapes.voxel_asset(*shapes.merge(*torn, *bridges), 48)
    faces = flipped(faces, seed)
    mended, wound, counts = repair(vertices, faces, material.coords, 48)
    assert (edge_table(wound).count <= 2).all()
    assert inconsistent_edges(wound) == 0
    monkeypatch.setattr(repair_module, "LAYERED", np.inf)
    left, torn, before = repair(vertices, faces, material.coords, 48)
    assert back_share(mended, wound) < 0.8 * back_share(left, torn)
    assert counts["holes_filled"] > before["holes_filled"]
