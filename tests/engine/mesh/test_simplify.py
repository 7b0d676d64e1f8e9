"""Fewer faces: the exact number, nothing torn or folded, rims and teeth kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from espalier.engine.kernels import host_arrays
from espalier.engine.mesh.simplify import simplify as simplifying
from espalier.engine.mesh.simplify.simplify import mend_folds, reduce_faces, simplify, turned_back
from espalier.engine.mesh.surface.topology import edge_table, vertex_components
from hypothesis import given, settings
from hypothesis import strategies as st

from .leaning import NONE, bumpy_patch, dense, departure, flaws, gear, rim_edges
from .shapes import cube, merge, signed_volume, sphere, torus

BIG_TORUS = torus(300, 120)  # 72 000 faces: enough for the library to take part


@pytest.mark.parametrize("target", [1000, 1001, 5000, 20_000, 60_000])
def test_the_number_of_faces_is_exact(target):
    _, faces = simplify(*BIG_TORUS, target)
    assert target - 1 <= len(faces) <= target


@pytest.mark.parametrize("target", [500, 8000, 30_000])
def test_a_closed_surface_stays_closed_and_clean(target):
    vertices, faces = simplify(*BIG_TORUS, target)
    assert flaws(vertices, faces) == NONE
    assert rim_edges(faces) == 0
    assert len(vertices) - len(faces) // 2 == 0  # Euler's number of a torus
    assert signed_volume(vertices, faces) == pytest.approx(signed_volume(*BIG_TORUS), rel=0.02)


@settings(max_examples=15, deadline=None)
@given(target=st.integers(-3, 3000), noise=st.floats(0, 0.01), seed=st.integers(0, 5))
def test_any_target_gives_a_clean_result_with_no_more_faces_than_asked_for(target, noise, seed):
    vertices, faces = torus(40, 30)
    vertices = vertices + noise * np.random.default_rng(seed).normal(size=vertices.shape)
    lean_vertices, lean_faces = simplify(vertices, faces, target)
    assert flaws(lean_vertices, lean_faces) == NONE
    assert rim_edges(lean_faces) == 0
    assert len(lean_faces) <= max(target, 200)
    assert len(lean_faces) >= min(target - 1, len(faces))


def test_a_target_that_is_no_smaller_than_the_mesh_returns_it_as_it_is():
    vertices, faces = cube()
    assert simplify(vertices, faces, 12)[1] is faces
    assert reduce_faces(vertices, faces, 1000)[0] is vertices


@pytest.mark.parametrize("target", [0, 1, 4])
def test_the_least_that_remains_of_solids_is_a_tetrahedron_each(target):
    solids = merge(sphere(0.2, (-0.25, 0, 0)), sphere(0.2, (0.25, 0, 0)))
    vertices, faces = simplify(*solids, target)
    assert len(faces) == 8
    assert flaws(vertices, faces) == NONE
    assert rim_edges(faces) == 0


def test_a_single_triangle_and_a_tetrahedron_survive_any_target():
    points = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0], [0, 0, 0.3]])
    assert len(simplify(points[:3], np.array([[0, 1, 2]]), 0)[1]) == 1
    assert len(simplify(points, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]), 0)[1]) == 4


def test_open_rims_stay_where_they_are():
    vertices, faces = bumpy_patch()
    lean_vertices, lean_faces = simplify(vertices, faces, 300)
    assert len(lean_faces) in (299, 300)
    assert flaws(lean_vertices, lean_faces) == NONE
    for corner in ((-0.4, -0.4), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4)):
        assert np.linalg.norm(lean_vertices[:, :2] - corner, axis=1).min() < 0.01
    inside = np.abs(lean_vertices[:, :2]).max(axis=1) < 0.4 + 0.005
    assert inside.all()
    assert len(lean_vertices) - (3 * len(lean_faces) + rim_edges(lean_faces)) // 2 + len(lean_faces) == 1  # one disc


@pytest.mark.parametrize(
    "target, farthest, turned", [(20_000, 4e-4, 12), (5000, 4e-4, 4), (2000, 6e-4, 3), (600, 1e-3, 4)]
)
def test_the_teeth_of_a_gear_stay_at_any_number_of_faces(target, farthest, turned):
    full = dense(*gear(), 3)  # 30 720 faces
    noisy = full[0] + 3e-4 * np.random.default_rng(0).normal(size=full[0].shape)
    lean = simplify(noisy, full[1], target)
    assert len(lean[1]) in (target - 1, target)
    gap, angle = departure(full, lean)
    assert gap < farthest
    assert angle < turned  # the noise itself remains where many faces do
    tip = np.hypot(lean[0][:, 0], lean[0][:, 1]) > 0.44
    assert len(np.unique(np.round(np.arctan2(lean[0][tip, 1], lean[0][tip, 0]) / (2 * np.pi) * 12 - 0.5) % 12)) == 12


def test_pieces_stay_while_the_target_can_show_them_and_crumbs_go_first():
    crumbs = [sphere(0.002, (0.45, 0.3 - 0.01 * n, 0.4), 6, 8) for n in range(60)]
    full = merge(torus(120, 60), *crumbs)
    many = simplify(*full, 5000)
    assert vertex_components(many[1], len(many[0])).max() + 1 == 61
    few = simplify(*full, 400)
    assert len(few[1]) in (399, 400)
    assert vertex_components(few[1], len(few[0])).max() + 1 <= 10
    assert departure(torus(120, 60), few)[0] < 3e-3


def test_what_crumbs_would_have_cost_goes_to_the_rest():
    random = np.random.default_rng(0)
    crumbs = [sphere(0.002, centre, 6, 8) for centre in 0.3 + 0.15 * random.random((700, 3))]
    full = merge(torus(300, 160), *crumbs)  # 96 000 faces and 56 000 of crumbs: the sweeps take part
    vertices, faces = simplify(*full, 20_000)
    assert len(faces) in (19_999, 20_000)
    assert vertex_components(faces, len(vertices)).max() + 1 < 600


def test_solids_that_touch_at_a_vertex_come_apart():
    first, second = cube(0.2, (-0.1, -0.1, -0.1)), cube(0.2, (0.1, 0.1, 0.1))
    vertices, faces = dense(*merge(first, second), 3)
    same = np.linalg.norm(vertices[:, None] - np.zeros(3), axis=2).reshape(-1) < 1e-9
    faces = np.where(same[faces], np.flatnonzero(same)[0], faces)
    lean_vertices, lean_faces = reduce_faces(vertices, faces, 200)
    assert vertex_components(lean_faces, len(lean_vertices)).max() == 1
    assert flaws(lean_vertices, lean_faces) == NONE


def test_the_same_surface_gives_the_same_bytes():
    first, second = simplify(*BIG_TORUS, 3001), simplify(*BIG_TORUS, 3001)
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()


def test_faces_folded_onto_each_other_go_and_the_rest_stays_manifold():
    vertices, faces = sphere()
    flap = np.array([[0, 1, 2], [2, 1, 0]]) + len(vertices)
    points = np.concatenate([vertices, vertices[:3] + 1.0])
    # A flap on an edge of the sphere, a flap on its own, a face doubled with the same winding, one without area.
    folded = np.array([[faces[0, 1], faces[0, 0], len(vertices)], [faces[0, 0], faces[0, 1], len(vertices)]])
    more = np.concatenate([faces, flap, folded, faces[5:6, [1, 2, 0]], [[3, 3, 4]]])
    _, kept = mend_folds(points, more)
    assert sorted(map(sorted, kept.tolist())) == sorted(map(sorted, faces.tolist()))
    assert (edge_table(kept).count == 2).all()
    fan = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    points, kept = mend_folds(np.eye(5, 3), fan)
    assert len(kept) == 3 and (edge_table(kept).count == 1).all()
    assert np.array_equal(points[kept], np.eye(5, 3)[fan])


def test_a_closed_piece_that_comes_out_inside_out_is_turned_back():
    outer, inner = sphere(), sphere(0.2)
    vertices, faces = merge(outer, (inner[0], inner[1][:, ::-1]), cube(0.1, (0.4, 0.4, 0.4)))
    hollow = slice(len(outer[1]), len(outer[1]) + len(inner[1]))
    wrong = faces.copy()
    wrong[hollow.stop :] = wrong[hollow.stop :, ::-1]
    assert np.array_equal(turned_back((vertices, faces), vertices, wrong), faces)
    # What was a hollow stays one.
    assert np.array_equal(turned_back((vertices, faces), vertices, faces), faces)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 400.0])
def test_the_cheapest_edges_go_first_in_any_unit(unit):
    # Fine enough that a threshold for any shape would let all its edges go at once, in the order of the file.
    vertices, faces = torus(800, 320)
    lean, less = reduce_faces(vertices * unit, faces, 40_000)
    # Distance to the torus in thousandths of its size, at the middles of edges, where it is largest.
    middle = (lean[less] + lean[np.roll(less, 1, axis=1)]) / (2 * unit)
    off = np.hypot(np.hypot(middle[..., 0], middle[..., 1]) - 0.3, middle[..., 2]) - 0.12
    assert np.sqrt(np.mean((off / 0.84 * 1000) ** 2)) < 0.045


@pytest.mark.parametrize(("size", "fits"), [(8 << 30, False), (24 << 30, True), (80 << 30, True)])
def test_a_card_is_taken_by_its_size_and_the_processor_where_others_have_filled_it(size, fits, monkeypatch):
    asked = []

    def collapse(vertices, faces, target, device="cpu"):
        asked.append(torch.device(device).type)
        if asked[-1] == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return vertices, faces

    monkeypatch.setattr(simplifying, "_CUDA_FACES", 50_000)
    monkeypatch.setattr(simplifying, "collapse", collapse)
    monkeypatch.setattr(host_arrays, "card", lambda: torch.device("cuda", 0))
    monkeypatch.setattr(host_arrays, "WORTHWHILE", 10**9)  # smaller steps stay on the processor
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("emptied"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=size))
    simplify(*BIG_TORUS, 5000)
    assert asked == (["cuda", "emptied", "cpu"] if fits else ["cpu"])
