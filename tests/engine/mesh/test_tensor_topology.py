# SPDX-License-Identifier: GPL-3.0-or-later
"""What a graphics card computes of topology is what the processor computes, to the last integer."""

import numpy as np
import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.kernels import choice, host_arrays
from espalier.engine.mesh.finish_settings import REPAIRS
from espalier.engine.mesh.repair import orient, repair
from espalier.engine.mesh.repair.orient import orient_consistently
from espalier.engine.mesh.repair.repair import RepairOptions
from espalier.engine.mesh.surface import clean, tensor_topology
from espalier.engine.mesh.surface.manifold import separate_corners
from espalier.engine.mesh.surface.topology import EdgesOnCard, edge_table, label_components, vertex_components
from espalier.tests.engine.mesh.both_ways import assert_same, no_room
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus, voxel_asset
from hypothesis import given, settings
from hypothesis import strategies as st

EDGE_FIELDS = ("ends", "count", "halves", "start", "edge_of_half")


def crumbs(count=400):
    """So many tetrahedra that share nothing."""
    corners = np.random.default_rng(0).random((4 * count, 3))
    return corners, (4 * np.arange(count)[:, None, None] + [[0, 1, 2], [0, 3, 1], [1, 3, 2], [0, 2, 3]]).reshape(-1, 3)


def scrambled(vertices, faces, seed=0):
    """Faces in any order, many of them turned over, some edges crowded, some faces doubled."""
    rng = np.random.default_rng(seed)
    faces = faces[rng.permutation(len(faces))].astype(np.int64)
    turned = rng.random(len(faces)) < 0.4
    faces[turned] = faces[turned, ::-1]
    crowding = np.stack([faces[: len(faces) // 9, 0], faces[: len(faces) // 9, 1], faces[-(len(faces) // 9) :, 2]], 1)
    crowding = crowding[(crowding[:, 2:] != crowding[:, :2]).all(axis=1)]
    return vertices, np.concatenate([faces, crowding, faces[:3, [1, 2, 0]]])


SHAPES = {
    "one face": (np.eye(3), np.array([[0, 1, 2]])),
    "no faces": (np.eye(3), np.zeros((0, 3), dtype=np.int64)),
    "torus": scrambled(*torus(24, 12)),
    "band": scrambled(*moebius(40), seed=1),
    "pieces": scrambled(*merge(cube(), sphere(rows=8, columns=9), moebius(30), cube(0.1)), seed=2),
    "crumbs": scrambled(*crumbs(), seed=3),
}


def edge_arrays(faces):
    table = edge_table(faces)
    return [*(getattr(table, name) for name in EDGE_FIELDS), *table.pairs(), table.boundary(), table.is_open()]


def everything(vertices, faces):
    """All that is computed of a surface, as arrays."""
    table = edge_table(faces)
    arrays = [*edge_arrays(faces), *separate_corners(faces, *table.pairs())]
    surface = orient_consistently(faces, table)
    arrays += [surface.faces, surface.piece, surface.orientable, vertex_components(faces, len(vertices))]
    torn = (surface.piece % 3 < 2)[: len(faces)]
    arrays += orient._nodes(edge_table(surface.faces), torn, surface.faces[:, 0] // 7)
    arrays += [clean.find_duplicates(faces), clean.find_degenerate(vertices, faces)]
    return [*arrays, *map(np.asarray, clean.weld(vertices, faces, 0.05))]


@pytest.mark.parametrize("name", SHAPES)
def test_surfaces_have_the_same_edges_pieces_fans_windings_and_flaws(name, card):
    vertices, faces = SHAPES[name]
    assert isinstance(edge_table(faces), EdgesOnCard) == (len(faces) > 0)
    with choice.plain_torch():
        expected = everything(vertices, faces)
    assert_same(everything(vertices, faces), expected)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph_has_the_same_components(data):
    nodes = data.draw(st.integers(1, 40))
    edges = np.array(data.draw(st.lists(st.tuples(*[st.integers(0, nodes - 1)] * 2), max_size=60)), dtype=np.int64)
    left, right = edges.reshape(-1, 2).T.copy()
    expected = label_components(nodes, left, right)
    assert np.array_equal(tensor_topology.components(nodes, *map(torch.from_numpy, (left, right))), expected)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_faces_have_the_same_edges_pieces_and_doubles(data):
    count = data.draw(st.integers(3, 9))
    corner = st.lists(st.integers(0, count - 1), min_size=3, max_size=3, unique=True)
    faces = np.array(data.draw(st.lists(corner, min_size=1, max_size=30)), dtype=np.int64)
    tensor, edges = torch.from_numpy(faces), tensor_topology.Edges(torch.from_numpy(faces))
    table = edge_table(faces)
    for name in EDGE_FIELDS:
        assert np.array_equal(getattr(edges, name), getattr(table, name)), name
    assert np.array_equal(tensor_topology.pieces(tensor, count), vertex_components(faces, count))
    assert np.array_equal(tensor_topology.duplicates(tensor), clean.find_duplicates(faces))


@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_a_long_chain_is_one_component(order):
    """Labels have to travel from one end to the other."""
    chain = np.arange(5000)
    if order != "rising":
        chain = chain[::-1].copy() if order == "falling" else np.random.default_rng(0).permutation(chain)
    assert not tensor_topology.components(5000, *map(torch.from_numpy, (chain[:-1].copy(), chain[1:].copy()))).any()


@pytest.mark.parametrize("name", ["as_generated", "clean", "watertight"])
def test_a_surface_is_mended_the_same(name, card):
    """A voxel surface with single sheets, open pieces, crowded edges and crumbs."""
    vertices, faces, material = voxel_asset(
        *merge(torus(40, 20), moebius(), sphere(0.2, (0.1, 0.0, 0.0)), cube(0.05, (0.4, 0.4, 0.4))), 40
    )
    given = vertices, faces[: -len(faces) // 50], material.coords, material.resolution, RepairOptions()
    with choice.plain_torch():
        *expected, counts = REPAIRS[name](*given)
    *found, again = REPAIRS[name](*given)
    assert counts == again
    assert_same(found, expected)


def test_a_surface_has_the_same_flaws(card):
    """Impossible points, doubled vertices, faces that repeat a vertex, slivers and doubled faces, all in one."""
    vertices, faces = scrambled(*merge(torus(24, 12), sphere(rows=8, columns=9)))
    vertices = np.concatenate([vertices, vertices[:20] + 1e-9, [[np.nan, 0.0, 0.0], [0.0, 9.0, 0.0]]])
    double, bad = np.arange(20) + len(vertices) - 22, len(vertices) - 1
    faces = np.concatenate(
        [
            faces,
            np.stack([double, (double - 1), faces[:20, 2]], 1),
            faces[:5, [0, 0, 1]],
            [[bad, 0, 1], [3, bad - 1, 4]],
        ]
    )
    with choice.plain_torch():
        expected = repair._examine(vertices, faces, 40)
    assert min(value for name, value in expected.counts.items() if name != "raw_faces") > 1
    found = repair._examine(vertices, faces, 40)
    assert found.counts == expected.counts
    fields = "vertices", "all_faces", "possible", "faces", "rows"
    assert_same(*([getattr(surface, name) for name in fields] for surface in (found, expected)))
    with pytest.raises(EspalierError):
        repair._examine(vertices, faces[:5, [0, 0, 1]], 40)


def test_what_the_card_has_no_room_for_the_processor_computes(card, monkeypatch):
    _, faces = torus(24, 12)
    with choice.plain_torch():
        expected = edge_arrays(faces)

    monkeypatch.setattr(tensor_topology, "Edges", no_room)
    assert not isinstance(edge_table(faces), EdgesOnCard)
    assert_same(edge_arrays(faces), expected)


def test_small_arrays_stay_on_the_processor(card, monkeypatch):
    monkeypatch.setattr(host_arrays, "WORTHWHILE", 100)
    assert not isinstance(edge_table(cube()[1]), EdgesOnCard)
    assert isinstance(edge_table(torus(24, 12)[1]), EdgesOnCard)
