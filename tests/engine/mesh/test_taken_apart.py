# SPDX-License-Identifier: GPL-3.0-or-later
"""Shortcuts while a surface is taken apart give what starting anew would."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from espalier.engine.mesh.repair import orient, taken_apart
from espalier.engine.mesh.repair.orient import turned_faces
from espalier.engine.mesh.repair.taken_apart import take_apart
from espalier.engine.mesh.surface import topology
from espalier.engine.mesh.surface.topology import edge_table
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus


@pytest.fixture
def compiled(monkeypatch):
    """Compiled loops for surfaces of any size."""
    pytest.importorskip("numba")
    monkeypatch.setattr(topology, "WORTHWHILE", 0)


def surface(seed=0):
    """Pieces of all kinds, in disorder: closed, open, one-sided, and with crowded edges."""
    vertices, faces = merge(torus(20, 12), moebius(30), sphere(0.2, rows=8, columns=10), cube(0.1), cube(0.4))
    rng = np.random.default_rng(seed)
    fins = np.stack([*faces[rng.choice(len(faces), 30, replace=False), :2].T, np.arange(30) + len(vertices)], 1)
    vertices = np.concatenate([vertices, rng.uniform(-0.5, 0.5, (30, 3))])
    faces = rng.permutation(np.concatenate([faces[rng.random(len(faces)) > 0.05], fins]))
    return vertices, turned_faces(faces, rng.random(len(faces)) < 0.5)


def apart(seed=0):
    vertices, faces = surface(seed)
    return take_apart(vertices, faces, np.zeros(len(faces), np.int8), np.zeros((len(faces), 2)), 0.01)


def same(one, other):
    return all(np.array_equal(*columns) for columns in zip(astuple(one), astuple(other), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_the_edges_of_faces_that_stay_are_those_of_a_new_table(compiled, seed):
    parts = apart(seed)
    faces = taken_apart._corners_of_edges(parts)
    kept = np.random.default_rng(seed).random(len(parts.surface.orientable)) < 0.6
    kept = kept[parts.surface.piece]
    assert kept.any() and not kept.all()
    assert same(topology.edges_of_kept(parts.edges, faces[kept], kept), edge_table(faces[kept]))


def test_edges_may_all_stay_or_none(compiled):
    faces = surface()[1]
    every = np.ones(len(faces), dtype=bool)
    table = edge_table(faces)
    assert same(topology.edges_of_kept(table, faces, every), table)
    assert len(topology.edges_of_kept(table, faces[:0], ~every).halves) == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_edges_of_turned_faces_are_those_of_a_new_table(compiled, seed):
    faces = surface(seed)[1]
    over = np.random.default_rng(seed).random(len(faces)) < 0.5
    turned = turned_faces(faces, over)
    assert same(topology.edges_of_turned(edge_table(faces), turned, over), edge_table(turned))


@pytest.mark.parametrize("seed", range(4))
def test_half_edges_are_cut_that_are_open_and_were_not(seed):
    parts = apart(seed)
    if seed % 2:  # As if many more vertices had been copies of each other.
        count = len(parts.vertices)
        parts = replace(parts, origin=np.random.default_rng(seed).permutation(count) // 2)
    before = parts.origin[taken_apart._corners_of_edges(parts)]
    single = (before != np.roll(before, 1, axis=1)).all(axis=1)
    if not single.all():
        parts = replace(parts, origin=np.arange(len(parts.vertices)) % (len(parts.vertices) - 60))
        before = parts.origin[taken_apart._corners_of_edges(parts)]
    expected = ~edge_table(before).is_open() & parts.edges.is_open()
    assert expected.any()
    assert np.array_equal(taken_apart._cut_edges(parts), expected)


@pytest.mark.parametrize("kinds", [1, 3, 50, 10**9])
def test_the_compiled_tree_turns_the_same_faces(monkeypatch, kinds):
    """Also where most pairs cost the same, where two faces share several edges, and in several pieces."""
    pytest.importorskip("numba")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(0, 300, (2, 500))
        a, b = a[a != b], b[a != b]
        a, b = np.concatenate([a, b[:60]]), np.concatenate([b, a[:60]])
        cost, turned = rng.integers(0, kinds, len(a)) / kinds, rng.random(len(a)) < 0.5
        found = []
        for worthwhile in (10**9, 0):
            monkeypatch.setattr(topology, "WORTHWHILE", worthwhile)
            found.append(orient._turned_along_tree(a, b, cost, turned, 300))
        assert found[0].any()
        assert np.array_equal(*found)


def test_what_costs_the_same_is_sorted_by_key_and_place():
    rng = np.random.default_rng(0)
    for kinds in (1, 5, 1000):
        cost, key = rng.integers(0, kinds, 400) / 7, rng.integers(0, 30, 400)
        assert np.array_equal(orient._cheapest_first(cost, key), np.lexsort((key, cost)))
    assert len(orient._cheapest_first(np.zeros(0), np.zeros(0, dtype=int))) == 0


def test_compiled_shapes_of_pieces_are_the_same(monkeypatch):
    pytest.importorskip("numba")
    parts, found = apart(), []
    for worthwhile in (10**9, 0):
        monkeypatch.setattr(topology, "WORTHWHILE", worthwhile)
        found.append(astuple(orient._shape_of_pieces(parts.vertices, parts.surface)))
    for plain, loop in zip(*found, strict=True):
        assert np.allclose(plain, loop, rtol=1e-10, atol=1e-14)


def test_the_edges_as_wound_are_those_of_the_wound_faces(compiled):
    vertices, faces = merge(torus(20, 12), cube(0.1))
    faces = turned_faces(faces, np.random.default_rng(3).random(len(faces)) < 0.5)
    parts = take_apart(vertices, faces, np.zeros(len(faces), np.int8), np.zeros((len(faces), 2)), 0.01)
    assert parts.turned.any() and not parts.turned.all()
    assert same(taken_apart.wound_edges(parts), edge_table(parts.surface.faces))
