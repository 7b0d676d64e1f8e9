# SPDX-License-Identifier: GPL-3.0-or-later
"""The three repairs: what each may change, and that the account tells it."""

import numpy as np
import pytest
from espalier.engine.mesh.finish_settings import REPAIRS
from espalier.engine.mesh.repair.repair import keep_as_generated, repair, replace_by_skin
from espalier.engine.mesh.surface.topology import edge_table, vertex_components

from . import shapes
from .test_orient import flipped, inconsistent_edges

RESOLUTION = 32

FOUND = {
    "raw_faces",
    "impossible_faces",
    "welded_vertices",
    "degenerate_faces",
    "duplicate_faces",
    "open_edges",
    "crowded_edges",
    "floaters",
    "closed_pieces",
    "events",
}
CLOSED = {
    "sphere": shapes.sphere(),
    "torus": shapes.torus(),
    "cube": shapes.cube(),
    "nested": shapes.merge(shapes.sphere(0.4), shapes.sphere(0.3), shapes.cube(0.2)),
    "crossing": shapes.merge(shapes.sphere(0.25, (-0.15, 0, 0)), shapes.sphere(0.25, (0.15, 0, 0))),
    "touching": shapes.merge(shapes.cube(0.3, (-0.15, 0, -0.15)), shapes.cube(0.3, (0.15, 0, 0.15))),
    "thin wall": shapes.merge(shapes.sphere(0.4), shapes.sphere(0.38)),
}


def torn_with_crumb():
    """A sphere with small holes and a big one, doubled and empty faces, and a crumb beside it."""
    sphere_vertices, sphere_faces = shapes.sphere(0.4)
    open_faces = sphere_faces[sphere_vertices[sphere_faces].mean(1)[:, 2] < 0.2]
    crumb = shapes.cube(0.01, (0.4375, 0.4375, 0.4375))
    vertices, faces, material = shapes.voxel_asset(*shapes.merge((sphere_vertices, open_faces), crumb), RESOLUTION)
    kept = faces[np.random.default_rng(0).random(len(faces)) > 0.01]
    return vertices, np.concatenate([kept, kept[:7], kept[:3, [0, 0, 1]]]), material.coords


@pytest.mark.parametrize("mode", REPAIRS)
def test_every_repair_tells_what_it_found(mode):
    vertices, faces, cells = torn_with_crumb()
    _, _, counts = REPAIRS[mode](vertices, faces, cells, RESOLUTION)
    assert counts.keys() >= FOUND
    assert counts["raw_faces"] == len(faces)
    assert counts["duplicate_faces"] == 7
    assert counts["degenerate_faces"] >= 3
    assert counts["open_edges"] > 0


def test_as_generated_invents_nothing_and_removes_nothing():
    vertices, faces, cells = torn_with_crumb()
    kept_vertices, kept, counts = keep_as_generated(vertices, faces, cells, RESOLUTION)
    assert counts["holes_filled"] == counts["floaters"] == 0
    dropped = counts["duplicate_faces"] + counts["degenerate_faces"] + counts["impossible_faces"]
    assert len(kept) == len(faces) - dropped
    given = {tuple(point) for point in vertices.astype(np.float64).tolist()}
    assert {tuple(point) for point in kept_vertices.tolist()} <= given
    assert (edge_table(kept).count == 1).sum() >= counts["open_edges"]
    _, mended, done = repair(vertices, faces, cells, RESOLUTION)
    assert done["holes_filled"] > 5
    assert done["floaters"] == 1
    assert any("crumbs" in sentence for sentence in done["events"])
    assert (edge_table(mended).count == 1).sum() < (edge_table(kept).count == 1).sum()


@pytest.mark.parametrize("mend", [keep_as_generated, repair])
@pytest.mark.parametrize("name", CLOSED)
def test_closed_shapes_come_out_manifold_and_wound_consistently(name, mend):
    vertices, faces, material = shapes.voxel_asset(*CLOSED[name], RESOLUTION)
    mended_vertices, mended, counts = mend(vertices, flipped(faces), material.coords, RESOLUTION)
    assert (edge_table(mended).count <= 2).all()
    assert inconsistent_edges(mended) == 0
    if mend is repair:
        assert counts["closed_pieces"] > 0
    if name in ("sphere", "torus") or (name == "cube" and mend is repair):
        assert (edge_table(mended).count == 2).all()
        assert counts["closed_pieces"] == vertex_components(mended, len(mended_vertices)).max() + 1 == 1
        assert shapes.signed_volume(mended_vertices, mended) > 0


@pytest.mark.parametrize("mend", [keep_as_generated, repair])
@pytest.mark.parametrize("seed", range(8))
def test_any_heap_of_voxel_faces_comes_out_manifold_and_wound_consistently(seed, mend):
    """Random voxels with random crossed edges: crowded edges, one-sided pieces and crumbs in every combination."""
    rng = np.random.default_rng(seed)
    shape = shapes.merge(
        *(shapes.sphere(rng.uniform(0.1, 0.3), rng.uniform(-0.15, 0.15, 3), 8, 12) for _ in range(3)), shapes.moebius()
    )
    vertices, faces, material = shapes.voxel_asset(*shape, 24)
    faces = flipped(faces, seed)[rng.random(len(faces)) > rng.uniform(0, 0.3)]
    _, mended, _ = mend(vertices, faces, material.coords, 24)
    assert (edge_table(mended).count <= 2).all()
    assert inconsistent_edges(mended) == 0


def test_where_nothing_closed_could_be_made_the_account_says_so():
    sheet = np.array([[-0.3, -0.3, 0.0], [0.3, -0.3, 0.0], [0.3, 0.3, 0.0]]), np.array([[0, 1, 2]])
    vertices, faces, material = shapes.voxel_asset(*sheet, RESOLUTION)
    for mend in (keep_as_generated, repair):
        counts = mend(vertices, faces, material.coords, RESOLUTION)[2]
        assert counts["closed_pieces"] == 0
        assert any("watertight" in sentence for sentence in counts["events"])
    counts = replace_by_skin(vertices, faces, material.coords, RESOLUTION)[2]
    assert counts["closed_pieces"] == 1
    assert counts["events"] == []


@pytest.mark.parametrize(("width", "kept"), [(0.3, False), (3.0, True)])
def test_a_fin_narrower_than_a_voxel_goes_and_a_wide_one_stays(width, kept):
    steps = np.linspace(-0.4, 0.4, 21)
    x, y = np.meshgrid(steps, steps, indexing="ij")
    plate = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    line = np.arange(21) * 21 + 10
    above = plate[line] + [0, 0, width / RESOLUTION]
    low, high = line, np.arange(21) + len(plate)
    fin = np.concatenate([np.stack([low[:-1], low[1:], high[1:]], 1), np.stack([low[:-1], high[1:], high[:-1]], 1)])
    vertices, faces = np.concatenate([plate, above]), np.concatenate([shapes.grid_faces(21, 21, False, False), fin])
    _, left, counts = repair(vertices, faces, np.zeros((0, 3), int), RESOLUTION)
    assert len(left) == len(faces) - (0 if kept else len(fin))
    assert counts["flakes"] == (0 if kept else 1)
