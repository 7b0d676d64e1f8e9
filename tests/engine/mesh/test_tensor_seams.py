# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card cuts surfaces without sides of their own along the edges that the processor cuts."""

from functools import partial

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.repair import taken_apart, tensor_seams
from espalier.engine.mesh.repair.orient import open_seams, orient_consistently
from espalier.engine.mesh.surface.manifold import split_non_manifold
from espalier.engine.mesh.surface.topology import EdgesOnCard, edge_table
from espalier.tests.engine.mesh.shapes import cube, merge, moebius, sphere, torus, voxel_asset
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree


def bands():
    """Möbius bands among pieces that have sides; faces of any winding, some edges double."""
    vertices, faces = merge(cube(), moebius(30), sphere(rows=8, columns=9), moebius(80), moebius(12))
    # Two faces that share two edges: the cheaper one must stay closed.
    corner = len(vertices)
    band = faces[len(cube()[1])]
    faces = np.concatenate(
        [faces, [[band[0], band[1], corner], [band[1], band[2], corner], [band[2], band[0], corner]]]
    )
    return np.concatenate([vertices, [[0.9, 0.9, 0.9]]]), faces


def voxels():
    """Two bodies and a band that pass through each other, from their voxels: a piece with many ways to be cut."""
    shapes = torus(40, 20), moebius(), sphere(0.2, (0.1, 0.0, 0.0))
    vertices, faces, _ = voxel_asset(*merge(*shapes), 40)
    return vertices, faces


SHAPES = {"bands": bands, "voxels": voxels}


def one_sided(name, seed=0):
    """A surface without crowded edges, scrambled, and hints at random. No two edges of it are folded alike."""
    rng = np.random.default_rng(seed)
    vertices, faces = SHAPES[name]()
    vertices = vertices + 1e-3 * rng.standard_normal(vertices.shape)
    faces = faces[rng.permutation(len(faces))].astype(np.int64)
    over = rng.random(len(faces)) < 0.5
    faces[over] = faces[over, ::-1]
    vertices, faces, _, _ = split_non_manifold(vertices, faces)
    return vertices, faces, rng.integers(-1, 2, len(faces)).astype(np.int8)


def cut(vertices, faces, hints, cost=None):
    table = edge_table(faces)
    surface = orient_consistently(faces, table)
    cost = cost or partial(taken_apart._joining_cost, vertices, faces, hints)
    return table, surface, open_seams(faces, surface, table, cost)


@pytest.mark.parametrize("cost", [None, lambda left, _: np.zeros(len(left))], ids=["by hints and fold", "all alike"])
@pytest.mark.parametrize("name", SHAPES)
def test_what_has_no_sides_is_cut_along_the_same_edges(name, cost, card):
    given = one_sided(name)
    with choice.plain_torch():
        _, surface, (faces, copies, seams) = cut(*given, cost)
    assert seams > 0 and not surface.orientable.all()
    table, _, (found, again, number) = cut(*given, cost)
    assert isinstance(table, EdgesOnCard)
    assert number == seams and np.array_equal(found, faces) and np.array_equal(again, copies)
    assert found.dtype == faces.dtype and again.dtype == copies.dtype
    assert orient_consistently(found).orientable.all()


def test_faces_belong_together_as_much():
    vertices, faces, hints = one_sided("voxels")
    left, right = edge_table(faces).pairs()
    expected = taken_apart._joining_cost(vertices, faces, hints, left, right)
    found = tensor_seams.joining_cost(*map(torch.from_numpy, (vertices, faces, hints, left, right)))
    assert found.dtype == torch.float64
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-12)
    assert {int(value) for value in expected} >= {0, 1, 10}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph_has_the_cheapest_forest(data):
    nodes = data.draw(st.integers(2, 30))
    pair = st.lists(st.integers(0, nodes - 1), min_size=2, max_size=2, unique=True)
    edges = np.sort(np.array(data.draw(st.lists(pair, min_size=1, max_size=80)), dtype=np.int64), axis=1)
    a, b = edges.T.copy()
    found = tensor_seams.spanning_forest(nodes, torch.from_numpy(a), torch.from_numpy(b)).numpy()
    # The first of equal pairs is the cheapest one; the matrix would add them up.
    first = np.sort(np.unique(edges, axis=0, return_index=True)[1])
    tree = minimum_spanning_tree(coo_matrix((first + 1.0, (a[first], b[first])), shape=(nodes, nodes)).tocsr())
    assert np.array_equal(found, np.sort(tree.data.astype(np.int64) - 1))


def test_a_long_chain_is_one_tree():
    """The worst for trees that grow by one edge a round; a last edge closes the ring and stays out."""
    count = 3000
    ring = np.arange(count)
    order = np.random.default_rng(0).permutation(count - 1)
    a, b = np.append(ring[:-1][order], 0), np.append(ring[1:][order], count - 1)
    found = tensor_seams.spanning_forest(count, torch.from_numpy(a), torch.from_numpy(b))
    assert np.array_equal(found.numpy(), np.arange(count - 1))
