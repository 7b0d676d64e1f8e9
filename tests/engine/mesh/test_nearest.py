# SPDX-License-Identifier: GPL-3.0-or-later
"""Closest points and rays agree with trying every face, with and without compiled loops."""

import os

import numpy as np
import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.kernels import choice
from espalier.engine.mesh.compilation import PORTION
from espalier.engine.mesh.lookup import nearest
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.lookup.nearest_plain import TIE
from espalier.engine.mesh.surface.topology import face_vectors, unit
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, sphere, torus


@pytest.fixture(params=["compiled", "plain"])
def search(request, monkeypatch):
    """SurfaceIndex with compiled loops, and as it is where numba is missing."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(nearest, "load_loops", lambda module: None)
    return SurfaceIndex


def soup(count=200, seed=0):
    """Triangles of all sizes and directions."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-3, 0, (count, 1, 1))
    corners = rng.uniform(-0.5, 0.5, (count, 1, 3)) + size * rng.normal(size=(count, 3, 3))
    return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def double_sheet():
    """Two copies of a sphere in one place, one turned over: every face has a twin that faces the other way."""
    vertices, faces = sphere(0.3, rows=8, columns=12)
    return vertices, np.concatenate([faces, faces[:, ::-1]])


def slivers():
    """Faces without area among others."""
    vertices, faces = cube()
    return vertices, np.concatenate([faces, [[0, 1, 1], [2, 2, 2]]])


SURFACES = {
    "soup": soup,
    "sphere in a box": lambda: merge(sphere(0.2, rows=12, columns=16), cube()),
    "torus": lambda: torus(20, 12),
    "double sheet": double_sheet,
    "slivers": slivers,
    "crowd": lambda: (soup(3)[0], np.tile(soup(3)[1], (40, 1))),
    "one triangle": lambda: (np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0.0]]), np.array([[0, 1, 2]])),
}


def gaps(point, corners):
    """The distances of a point to triangles [F, 3, 3]: the least over their corners, their edges and their planes."""
    best = np.linalg.norm(corners - point, axis=2).min(axis=1)
    for i in range(3):
        base, edge = corners[:, i], corners[:, (i + 1) % 3] - corners[:, i]
        along = ((point - base) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-300)
        best = np.minimum(best, np.linalg.norm(base + np.clip(along, 0, 1)[:, None] * edge - point, axis=1))
    normal = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    height = ((point - corners[:, 0]) * normal).sum(1)
    foot = point - height[:, None] * normal
    turns = [np.cross(corners[:, (i + 1) % 3] - corners[:, i], foot - corners[:, i]) for i in range(3)]
    above = np.all([(turn * normal).sum(1) > 0 for turn in turns], axis=0)
    return np.where(above, np.minimum(best, np.abs(height)), best)


def measure(gap, cosine, margin):
    """How far a face counts to be, as the documentation of ``closest`` says."""
    return np.where(cosine < 0, 2 * gap + margin, gap) * np.sqrt(1 + TIE * (1 - cosine))


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("margin", [1e-6, 0.05])
def test_the_closest_face_is_the_one_that_trying_all_finds(name, margin, search):
    vertices, faces = SURFACES[name]()
    rng = np.random.default_rng(1)
    query = rng.uniform(-0.7, 0.7, (40, 3))
    facing = unit(rng.normal(size=(40, 3)))
    facing[::4] = 0
    found = search(vertices, faces).closest(query, facing, margin)
    corners = vertices[faces]
    assert np.allclose(np.einsum("nc,nci->ni", found.barycentric, corners[found.face]), found.position)
    assert (found.barycentric > -1e-6).all()
    cosine = facing @ unit(face_vectors(vertices, faces)).T
    for row, point in enumerate(query):
        expected = measure(gaps(point, corners), cosine[row], margin)
        gap = np.linalg.norm(found.position[row] - point)
        assert measure(gap, cosine[row, found.face[row]], margin) == pytest.approx(expected.min(), abs=2e-6)


def test_points_on_the_surface_are_their_own_closest_points(search):
    vertices, faces = torus()
    rng = np.random.default_rng(2)
    face = rng.integers(0, len(faces), 300)
    query = np.einsum("nc,nci->ni", rng.dirichlet(np.ones(3), 300), vertices[faces[face]])
    found = search(vertices, faces).closest(query, unit(face_vectors(vertices, faces))[face])
    assert np.abs(found.position - query).max() < 1e-6


def test_the_side_of_a_thin_wall_is_chosen_by_the_normal(search):
    vertices, faces = cube(1.0)
    vertices = vertices * [0.5, 0.5, 0.002]
    up = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    index = search(vertices, faces)
    inside = np.array([[0.05, 0.1, -0.0002], [0.05, 0.1, 0.0002]])
    assert np.allclose(index.closest(inside, up).position[:, 2], [0.001, -0.001])
    beyond = np.array([[0.05, 0.1, -0.0015], [0.05, 0.1, 0.0015]])
    assert np.allclose(index.closest(beyond, up, margin=0.01).position[:, 2], [0.001, -0.001])


def test_a_single_sheet_is_found_from_behind(search):
    vertices, faces = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), np.array([[0, 1, 2]])
    found = search(vertices, faces).closest(np.array([[0.2, 0.2, -0.1]]), np.array([[0, 0, -1.0]]), margin=0.01)
    assert np.allclose(found.position, [[0.2, 0.2, 0]])


def test_above_a_sharp_edge_the_face_along_the_normal_is_taken(search):
    vertices, faces = cube(0.6)
    index = search(vertices, faces)
    along = np.linspace(-0.25, 0.25, 21)
    query = np.stack([np.full(21, 0.31), along, np.full(21, 0.31)], axis=1)
    normal = unit(face_vectors(vertices, faces))
    for lean, axis in (([0.9, 0, 0.1], 0), ([0.1, 0, 0.9], 2)):
        found = index.closest(query, unit(np.tile(lean, (21, 1))))
        assert np.allclose(normal[found.face][:, axis], 1)


def test_many_faces_in_one_place_are_searched_all(search):
    vertices, faces = soup(3)
    crowd = np.tile(faces, (100, 1))
    found = search(vertices, crowd).closest(np.zeros((5, 3)), np.zeros((5, 3)))
    alone = search(vertices, faces).closest(np.zeros((5, 3)), np.zeros((5, 3)))
    assert np.allclose(found.position, alone.position)


def test_the_order_of_the_queries_changes_nothing():
    """Above the corners of a flat grid six faces are equally close."""
    pytest.importorskip("numba")
    line = np.arange(17) / 16 - 0.5
    grid = np.stack([*np.meshgrid(line, line, indexing="ij"), np.zeros((17, 17))], -1).reshape(-1, 3)
    index = SurfaceIndex(grid, grid_faces(17, 17, False, False))
    query, facing = np.add(grid, (0, 0, 0.25)), np.zeros_like(grid)
    order = np.random.default_rng(4).permutation(len(query))
    assert (index.closest(query[order], facing).face == index.closest(query, facing).face[order]).all()


@pytest.mark.parametrize("name", SURFACES)
def test_the_tree_built_in_torch_is_that_of_the_compiled_loops(name):
    pytest.importorskip("numba")
    pytest.importorskip("triton")
    from espalier.engine.mesh.lookup.nearest_device import DeviceIndex

    surface = SURFACES[name]()
    ours, theirs = DeviceIndex(*surface, torch.device("cpu"))._tree, SurfaceIndex(*surface)._on_host
    for found, expected in zip((ours.boxes, ours.first, ours.count), theirs._tree, strict=True):
        assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(ours.corners.numpy(), theirs._corners)
    assert np.allclose(ours.normals.numpy(), theirs._normals, atol=1e-7)


def test_where_the_card_has_no_room_the_processor_searches(monkeypatch):
    pytest.importorskip("numba")
    pytest.importorskip("triton")
    from espalier.engine.mesh.lookup import nearest_device

    tried = []

    def no_room(vertices, faces, device):
        tried.append(device.type)
        raise torch.OutOfMemoryError("no room")

    points, facing = np.random.default_rng(6).uniform(-0.5, 0.5, (2, 20, 3))
    facing = unit(facing)
    given = points, facing, np.zeros(20, dtype=np.int64), np.array([[[0, 0, 1, 0.3]]])
    expected = SurfaceIndex(*torus()).closest(points, facing), SurfaceIndex(*torus()).open_share(*given)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(choice, "serve", lambda device: device.type == "cuda")
    monkeypatch.setattr(nearest_device, "DeviceIndex", no_room)
    index = SurfaceIndex(*torus())
    assert np.array_equal(index.closest(points, facing).position, expected[0].position)
    assert np.array_equal(index.open_share(*given), expected[1])
    assert tried == ["cuda", "cuda"]


def test_the_number_of_threads_changes_nothing(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(5)
    points, facing = rng.uniform(-0.5, 0.5, (2 * PORTION + 5, 3)), unit(rng.normal(size=(2 * PORTION + 5, 3)))
    pattern, rays = rng.integers(0, 2, len(points)), np.array([[[0, 0, 1, 0.3]], [[0.6, 0, 0.8, 0.5]]])
    index = SurfaceIndex(*soup(30))
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        found = index.closest(points, facing)
        results.append((found.face, found.barycentric, found.position, index.open_share(points, facing, pattern, rays)))
    for one, several in zip(*results, strict=True):
        assert np.array_equal(one, several)


def test_rays_meet_what_trying_every_face_finds():
    pytest.importorskip("numba")
    vertices, faces = SURFACES["soup"]()
    rng = np.random.default_rng(3)
    count, rays = 30, 16
    points, normals = rng.uniform(-0.5, 0.5, (count, 3)), unit(rng.normal(size=(count, 3)))
    normals[0], normals[1] = (0, 0, 1), (0, 0, -1)
    directions = np.concatenate(
        [unit(rng.normal(size=(2, rays, 3))) * [1, 1, 0.2], rng.uniform(0.05, 0.6, (2, rays, 1))], axis=2
    )
    directions[..., :3] = unit(np.abs(directions[..., :3]))
    pattern = np.arange(count) % 2
    shares = SurfaceIndex(vertices, faces).open_share(points, normals, pattern, directions)
    corners = vertices[faces].astype(np.float32).astype(float)
    for row in range(count):
        # Any frame around the normal would do; the rays' angles to the normal and to each other tell them apart.
        rays_here = turned(directions[pattern[row]], normals[row])
        hit = [meets(points[row], ray[:3], ray[3], corners) for ray in rays_here]
        assert shares[row] == pytest.approx(1 - np.mean(hit))


def test_without_numba_there_are_no_rays_and_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(nearest, "load_loops", lambda module: None)
    index = SurfaceIndex(*cube())
    assert not index.casts_rays
    with pytest.raises(EspalierError, match="install the engine again"):
        index.open_share(np.zeros((1, 3)), np.eye(3)[:1], np.zeros(1, int), np.ones((1, 1, 4)))


def turned(directions, normal):
    """Rays about z turned to be about a normal, by the frame of Duff et al. (2017)."""
    x, y, z = normal
    sign = np.copysign(1.0, z)
    a = -1 / (sign + z)
    tangent = np.array([1 + sign * x * x * a, sign * x * y * a, -sign * x])
    bitangent = np.array([x * y * a, sign + y * y * a, -y])
    frame = np.stack([tangent, bitangent, normal])
    assert np.allclose(frame @ frame.T, np.eye(3))
    return np.concatenate([directions[:, :3] @ frame, directions[:, 3:]], axis=1)


def meets(origin, direction, reach, corners):
    """Whether a ray hits any triangle of [F, 3, 3]: its point in the plane lies on the inner side of the edges."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along = ((corners[:, 0] - origin) * normal).sum(1) / (normal @ direction)
    hit = origin + along[:, None] * direction
    turns = [np.cross(corners[:, (i + 1) % 3] - corners[:, i], hit - corners[:, i]) for i in range(3)]
    return bool((np.all([(turn * normal).sum(1) > 0 for turn in turns], axis=0) & (along > 0) & (along < reach)).any())
