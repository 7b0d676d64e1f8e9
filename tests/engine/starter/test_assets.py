# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural assets: reproducible, in the box, upright, facing -Y, labelled by position."""

import numpy as np
import pytest
import torch
from espalier.engine.starter.asset import LONGEST_SIDE, join, label_points, make_asset, sample_surface
from espalier.engine.starter.families import FAMILIES
from espalier.engine.starter.materials import GLASS_SLOT, LABELS, SLOTS, draw_materials
from espalier.engine.starter.parts import box, ellipsoid, lathe, prism, shell, torus, tube

NAMES = list(FAMILIES)


def volume(mesh):
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def boundary_edges(mesh):
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return int((np.unique(edges, axis=0, return_counts=True)[1] == 1).sum())


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (box(1, 2, 3, bevel=0.01), 6.0),
        (ellipsoid(1, 0.5, 0.5, rings=40, segments=60), np.pi / 3),
        (torus(1, 0.2, rings=40, segments=80), 2 * np.pi**2 * 0.04),
        (tube(np.linspace([0, 0, 0], [0, 0, 2], 5), 0.1, segments=40), np.pi * 0.02 + np.pi * 0.004 / 3),
        (prism([(0, 0), (1, 0), (1, 1), (0, 1)], 0.5), 0.5),
    ],
)
def test_parts_are_closed_and_face_outward(mesh, expected):
    assert boundary_edges(mesh) == 0
    assert volume(mesh) == pytest.approx(expected, rel=0.03)


def test_a_vessel_is_one_closed_surface_with_an_inside():
    profile = shell(np.array([[0.3, 0.0], [0.3, 0.5], [0.3, 1.0]]), 0.05, 0.1)
    mesh = lathe(profile, segments=64)
    assert boundary_edges(mesh) == 0
    assert 0 < volume(mesh) < 0.45 * np.pi * 0.09


@pytest.mark.parametrize("family", NAMES)
def test_every_family_fills_its_box_and_repeats(family):
    for seed in range(500, 506):
        asset, again = make_asset(seed, family), make_asset(seed, family)
        assert asset.family == family
        for name in ("vertices", "faces", "slots", "patterns"):
            np.testing.assert_array_equal(getattr(asset, name), getattr(again, name))
        low, high = asset.vertices.min(0), asset.vertices.max(0)
        assert (high - low).max() == pytest.approx(LONGEST_SIDE, abs=1e-5)
        np.testing.assert_allclose(low + high, 0, atol=1e-5)
        assert 500 <= len(asset.faces) <= 13_000
        assert asset.faces.min() == 0
        assert asset.faces.max() == len(asset.vertices) - 1
        assert asset.slots.max() < SLOTS
        assert (GLASS_SLOT in asset.slots) == (family == "potion")


def test_families_take_turns_and_seeds_differ():
    assert [make_asset(seed).family for seed in range(len(NAMES))] == NAMES
    assert not np.array_equal(make_asset(0).vertices[:50], make_asset(len(NAMES)).vertices[:50])


@pytest.mark.parametrize("seed", range(600, 604))
def test_objects_face_front_and_stand_upright(seed):
    def centre(asset, slot):
        return asset.vertices[asset.faces[asset.slots == slot]].reshape(-1, 3).mean(0)

    chair = make_asset(seed, "chair")
    assert centre(chair, 2)[1] > 0.05, "the back of a chair is at the back"
    assert centre(chair, 2)[2] > centre(chair, 0)[2]
    snowman = make_asset(seed, "snowman")
    assert centre(snowman, 1)[1] < -0.05, "the carrot points at the viewer of the front"
    house = make_asset(seed, "house")
    assert centre(house, 2)[1] < -0.1, "the door is in front"
    assert centre(house, 1)[2] > centre(house, 0)[2]
    assert centre(make_asset(seed, "mug"), 1)[0] > 0.1, "the handle is on the right"
    rocket = make_asset(seed, "rocket")
    assert centre(rocket, 4)[1] < 0
    assert centre(rocket, 1)[2] > 0.2


def test_some_assets_are_open_and_some_are_nested():
    lamps = [make_asset(seed, "lamp") for seed in range(12)]
    assert any(boundary_edges(lamp) for lamp in lamps)
    potion = make_asset(1, "potion")
    radius = np.linalg.norm(potion.vertices[:, :2], axis=1)
    glass = np.unique(potion.faces[potion.slots == GLASS_SLOT])
    liquid = np.unique(potion.faces[potion.slots == 0])
    assert radius[liquid].max() < radius[glass].max() - 1.5 / 64


def test_labels_follow_slot_and_position():
    seen = set()
    for seed in range(60):
        asset = make_asset(seed)
        points, labels = sample_surface(asset, 2000, seed)
        seen |= set(labels.tolist())
        face = np.arange(len(asset.faces))
        centres = asset.vertices[asset.faces].mean(1)
        assert np.array_equal(label_points(asset, centres, face) // 2, asset.slots)
        assert np.abs(points).max() <= 0.5
        plain = asset.patterns[:, 0] == 0
        assert not (labels % 2 & plain[labels // 2]).any()
    assert seen == set(range(LABELS)) - {2 * GLASS_SLOT + 1}


def test_join_keeps_every_part():
    parts = [box(1, 1, 1, 0), ellipsoid(1, 1, 1, 3)]
    mesh = join(parts)
    assert len(mesh.faces) == sum(len(p.faces) for p in parts)
    assert volume(mesh) == pytest.approx(sum(volume(p) for p in parts))


def test_material_tables_are_in_range_and_patterns_change_colour_only():
    tables = draw_materials(400, torch.Generator().manual_seed(3))
    assert tables.shape == (400, LABELS, 6)
    assert tables.min() >= 0 and tables.max() <= 1
    assert torch.equal(tables[:, 0::2, 3:], tables[:, 1::2, 3:])
    assert set(tables[..., 3].unique().tolist()) == {0.0, 1.0}
    assert tables[:, :-2, 3].mean() == pytest.approx(0.3, abs=0.04)
    glass, rest = tables[:, -2:, 5], tables[:, :-2, 5]
    assert (rest == 1).all() and glass.min() >= 0.3 and glass.max() <= 0.8
    grey = (tables[..., :3].amax(-1) - tables[..., :3].amin(-1)) < 1e-6
    assert grey.float().mean() == pytest.approx(0.12, abs=0.03)
    distance = (tables[:, 0, :3] - tables[:, 2, :3]).abs().sum(-1)
    assert (distance > 0.2).float().mean() > 0.9
