# SPDX-License-Identifier: GPL-3.0-or-later
"""With a graphics card, cleaning does its large steps there: none of them is left to the processor unnoticed."""

import numpy as np
import pytest
from espalier.engine.kernels import choice
from espalier.engine.mesh.finish_settings import REPAIRS
from espalier.engine.mesh.repair import diagonals, lattice, orient, repair, taken_apart
from espalier.engine.mesh.repair.repair import RepairOptions
from espalier.engine.mesh.surface import clean, manifold, topology
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus, voxel_asset

RESOLUTION = 40

LEFT_TO_THE_PROCESSOR = {
    "flood": (lattice.Lattice, "_flood"),
    "flaws": (repair, "_without_flaws"),
    "crowded edges": (taken_apart, "split_non_manifold"),
    "seams": (taken_apart, "open_seams"),
    "winding": (taken_apart, "orient_consistently"),
    "parting by sight": (taken_apart, "part_by_sight"),
    "edges and orders": (topology, "stable_order"),
    "orders": (clean, "stable_order"),
    "graphs": (topology, "connected_components"),
    "quads": (diagonals, "_cosine"),
    "compiled loops of topology": (topology, "compiled_loops"),
    "compiled loops of winding": (orient, "compiled_loops"),
    "compiled loops of fans": (manifold, "compiled_loops"),
}


def heap():
    """Bodies, a band and a crumb, with holes: the raw surface of their voxels."""
    shapes = torus(40, 20), moebius(), sphere(0.2, (0.1, 0.0, 0.0)), cube(0.05, (0.4, 0.4, 0.4))
    vertices, faces, material = voxel_asset(*merge(*shapes), RESOLUTION)
    return vertices, faces[np.random.default_rng(0).random(len(faces)) < 0.97], material.coords, RESOLUTION


def refused(name):
    def refuse(*arguments, **options):
        pytest.fail(f"the processor was asked for {name}")

    return refuse


@pytest.mark.parametrize("mend", ["as_generated", "clean"])
def test_no_large_step_is_left_to_the_processor(mend, card, monkeypatch):
    given = *heap(), RepairOptions()
    with choice.plain_torch():
        *expected, counts = REPAIRS[mend](*given)
    for name, place in LEFT_TO_THE_PROCESSOR.items():
        monkeypatch.setattr(*place, refused(name))
    *found, again = REPAIRS[mend](*given)
    assert again == counts and counts["seam_edges"] > 0 and counts["crowded_edges"] > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_host_waits_for_the_card_no_more_often_for_a_larger_surface(card):
    """But for the rounds of a few algorithms, of which there are more for what is further apart."""
    if card is None:
        pytest.skip("a real card does not count")
    waits = []
    for resolution in (24, 48):
        vertices, faces, material = voxel_asset(*merge(torus(40, 20), sphere(0.2, (0.1, 0.0, 0.0))), resolution)
        before = sum(card.waits.values())
        repair.keep_as_generated(vertices, faces, material.coords, resolution)
        waits.append(sum(card.waits.values()) - before)
    assert waits[1] < 1.5 * waits[0] < 900, waits
