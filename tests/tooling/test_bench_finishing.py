# SPDX-License-Identifier: GPL-3.0-or-later
"""What measures finishing, on layouts and surfaces whose figures are known by hand; then the whole at its smallest."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from espalier.tooling import reliability
from espalier.tooling.bench_record import DOCUMENT, document
from espalier.tooling.console import ROOT, CommandError
from espalier.tooling.engine_bench import command as engine
from espalier.tooling.finishing_bench import command as finishing
from espalier.tooling.finishing_bench import objects, parts, rerender, surfaces
from espalier.tooling.finishing_bench.atlas import measure_atlas
from espalier.tooling.finishing_bench.figures import figures_of
from espalier.tooling.finishing_bench.painting import paint
from espalier.tooling.finishing_bench.rerender import Voxels, decibels, map_fidelity, seen_pixels
from espalier.tooling.finishing_bench.surfaces import (
    DIRECTIONS,
    Surface,
    distances,
    edge_counts,
    inside_out_components,
    views,
)
from espalier.tooling.finishing_bench.watch import run_task


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(surfaces, "SAMPLES", 5000)
    monkeypatch.setattr(rerender, "SIDE", 64)


SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def layout(*boxes, size=64):
    """One unit square a box (left, low, right, high in texels), each mapped to its box."""
    vertices = np.concatenate([SQUARE + np.array([2.0 * n, 0, 0]) for n in range(len(boxes))])
    faces = np.concatenate([HALVES + 4 * n for n in range(len(boxes))])
    low, high = np.array([b[:2] for b in boxes]), np.array([b[2:] for b in boxes])
    corners = np.concatenate([a + SQUARE[:, :2] * (b - a) for a, b in zip(low, high)]) / size
    return measure_atlas(vertices, faces, corners[faces].astype(np.float32), size)


def test_two_apart_squares_are_two_charts_with_their_gap_and_use():
    figures = layout((4, 4, 20, 20), (23, 4, 39, 20))
    assert figures["charts"] == 2 and figures["thin_share"] == 0 and figures["overlap_texels"] == 0
    assert figures["gap"] == 3
    assert figures["use"] == 2 * 16 * 16 / 64**2
    assert figures["density"] == pytest.approx(16) and figures["density_spread"] == pytest.approx(0, abs=1e-6)


def test_what_lies_twice_on_a_texel_is_overlap():
    assert layout((4, 4, 20, 19), (14, 4, 30, 19))["overlap_texels"] == 6 * 15


def test_a_mirrored_half_overlaps_the_other():
    corners = np.array([[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.5, 0.15]])
    assert measure_atlas(SQUARE, HALVES, corners[HALVES], 64)["overlap_texels"] > 50


def test_a_strip_of_three_texels_is_thin_in_any_direction():
    assert layout((4, 4, 7, 60), (12, 4, 40, 40))["thin_share"] == 0.5
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    corners = (SQUARE[:, :2] * [3, 40]) @ turn / 64 + 0.55
    assert measure_atlas(SQUARE, HALVES, corners[HALVES], 64)["thin_share"] == 1.0


def test_a_cut_along_the_diagonal_makes_two_charts_of_a_square():
    uv = SQUARE[HALVES][..., :2] * 0.4
    uv[1] += 0.5
    assert measure_atlas(SQUARE, HALVES, uv, 64)["charts"] == 2


def test_edges_of_a_cube_a_flipped_face_and_a_fin():
    vertices, faces = cube()
    assert edge_counts(faces) == {
        "faces": 12,
        "boundary_edges": 0,
        "non_manifold_edges": 0,
        "flipped_edges": 0,
        "degenerate_faces": 0,
        "components": 1,
    }
    flipped = faces.copy()
    flipped[0] = flipped[0, ::-1]
    assert edge_counts(flipped)["flipped_edges"] == 3
    assert edge_counts(faces[1:])["boundary_edges"] == 3
    fin = np.concatenate([faces, [[*faces[0, :2], 8]]])
    assert edge_counts(fin)["non_manifold_edges"] == 1
    assert inside_out_components(vertices, faces) == 0
    assert inside_out_components(vertices, faces[:, ::-1]) == 1


def cube():
    points = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return points, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


def test_distance_of_two_parallel_squares_is_the_space_between():
    one, other = Surface(SQUARE, HALVES), Surface(SQUARE + np.array([0, 0, 0.01]), HALVES[:, ::-1])
    figures = distances(one, other, 2.0)
    assert figures["chamfer"] == pytest.approx(5.0, rel=1e-3) and figures["farthest"] == pytest.approx(5.0, rel=0.1)
    assert figures["normal_degrees"] == pytest.approx(0.0, abs=1e-3)


def test_views_from_outside_see_no_inner_face():
    vertices, faces = cube()
    inner = np.concatenate([vertices, 0.5 * vertices]), np.concatenate([faces, faces + 8])
    seen, weight = views(*inner, DIRECTIONS, 32)
    assert set(seen) == set(range(12))
    assert weight.min() >= 0 and weight.sum(axis=1) == pytest.approx(1.0)


def test_maps_of_the_voxels_colours_reproduce_them_and_others_do_not():
    side = 32
    coords = np.stack(np.meshgrid(np.arange(side), np.arange(side), [side // 2], indexing="ij"), -1).reshape(-1, 3)
    attrs = paint(coords, side, transparent=False)
    voxels = Voxels(coords, attrs, side)
    vertices = SQUARE - np.array([0.5, 0.5, -0.5 / side])
    image = np.zeros((side, side, 6))
    image[side - 1 - coords[:, 1], coords[:, 0]] = attrs
    bytes_ = np.rint(image * 255).astype(np.uint8)
    maps = {"base_color": bytes_[..., :3], "orm": bytes_[..., [5, 4, 3]]}
    mesh, surface = {"vertices": vertices, "faces": HALVES, "uv": SQUARE[HALVES][..., :2]}, Surface(vertices, HALVES)
    pixels = seen_pixels(vertices, HALVES)
    good = map_fidelity(mesh, *pixels, maps, surface, voxels)
    assert min(good.values()) > 50 and set(good) == {"base_color", "roughness", "metallic"}
    turned = {name: image[::-1] for name, image in maps.items()}
    assert map_fidelity(mesh, *pixels, turned, surface, voxels)["base_color"] < 25
    assert decibels(np.full(4, 0.6), np.full(4, 0.5)) == pytest.approx(20.0)


@pytest.mark.blender
def test_a_normal_map_of_a_lean_brings_the_shading_of_a_flat_square_to_that_of_a_leaning_one():
    pytest.importorskip("bpy")
    from espalier.tooling.finishing_bench.shading import normal_error

    lean = np.array([0.3, -0.2, 0.9]) / np.linalg.norm([0.3, -0.2, 0.9])
    leaning = SQUARE - np.outer(SQUARE[:, :2] @ (lean[:2] / lean[2]), [0, 0, 1]) * [0, 0, 1]
    mesh = {"vertices": SQUARE, "faces": HALVES, "uv": SQUARE[HALVES][..., :2].astype(np.float32)}
    mesh["normals"] = np.broadcast_to(np.array([0, 0, 1], np.float32), (2, 3, 3)).copy()
    image = np.broadcast_to(np.rint(255 * (0.5 * lean + 0.5)).astype(np.uint8), (8, 8, 3))
    pixels = np.array([0, 1]), np.full((2, 3), 1 / 3)
    angles = normal_error(mesh, *pixels, image, Surface(leaning, HALVES))
    assert angles["without_map"] == pytest.approx(np.degrees(np.arccos(lean[2])), abs=0.1)
    assert angles["with_map"] < 0.5


@pytest.mark.parametrize("name", objects.OBJECTS)
def test_every_object_fits_the_unit_box_and_repeats(name):
    vertices, faces = objects.OBJECTS[name](0.1)
    again, _ = objects.OBJECTS[name](0.1)
    assert np.ptp(vertices, axis=0).max() == pytest.approx(objects.LONGEST_SIDE)
    assert np.abs(vertices).max() <= 0.4701 and np.isfinite(vertices).all()
    assert faces.min() >= 0 and faces.max() < len(vertices)
    assert (vertices == again).all()
    counts = edge_counts(faces)
    assert counts["non_manifold_edges"] == counts["flipped_edges"] == 0
    assert (counts["boundary_edges"] > 0) == (name in ("knot", "shells", "foliage"))
    assert inside_out_components(vertices, faces) == 0


def test_figures_name_the_worst_and_say_what_was_not_measured():
    def measured(color, flipped):
        mesh = {"faces": 1000, "non_manifold_edges": 0, "flipped_edges": flipped}
        atlas = {"charts": 10, "thin_share": 0.01, "overlap_texels": 0, "use": 0.7}
        return {
            "request_target": 1000,
            "measure": {"answer": {"finished": mesh, "atlas": atlas, "fidelity": {"base_color": color}}},
        }

    figures = {f.name: f for f in figures_of({"knot-512": measured(40.0, 0), "csg-512": measured(37.0, 2)})}
    worst = figures["Re-render of base colour, lowest"]
    assert worst.value == 37.0 and worst.detail == "csg-512" and worst.reached is False
    assert figures["Clean: edges with inconsistent winding"].reached is False
    assert figures["Clean: non-manifold edges"].reached is True
    assert figures["Charts at 200 000 faces, organic objects"].detail == "knot-512"
    assert figures["Unwrap of a mesh of the set"].reached is None


def test_a_task_over_its_limit_is_ended_and_said(tmp_path):
    begin = time.monotonic()
    request = {"object": "sphere", "resolution": 2048, "detail": 4.0}
    outcome = run_task("codec_task", tmp_path, 1.0, **request)
    assert outcome["status"] == "did not finish in 1 s" and outcome["answer"] == {}
    assert time.monotonic() - begin < 30


def test_a_task_that_fails_says_why(tmp_path):
    outcome = run_task("xatlas_task", tmp_path / "xatlas", 300.0, texture_size=64, padding=1)
    assert outcome["status"].startswith("crashed (FileNotFoundError")
    assert outcome["peak_gb"] > 0.01


def test_an_unknown_part_is_refused_with_the_names_of_all():
    every = parts.parts_of(parts.QUICK, lambda folder, seed: folder)
    with pytest.raises(CommandError, match=r"no part “teapot”: choose from codec-sphere"):
        parts.chosen(every, ["teapot"])
    assert [part.name for part in parts.chosen(every, ["watertight-1", "knot"])] == [
        "knot-40",
        "knot-56",
        "knot-2m",
        "watertight-1",
    ]


@pytest.mark.parametrize("owner", [finishing, engine, reliability])
def test_the_tables_take_their_place_in_the_document_and_nothing_else_changes(tmp_path, owner):
    path, marks = tmp_path / "benchmarks.md", owner.MARKS
    path.write_text(f"before\n{marks[0]}old\n{marks[1]}\nafter\n", encoding="utf-8")
    for text in ("new\n", "newer\n"):
        document(path, text, marks)
    assert path.read_text(encoding="utf-8") == f"before\n{marks[0]}\nnewer\n{marks[1]}\nafter\n"
    assert all(mark in DOCUMENT.read_text(encoding="utf-8") for mark in marks)
    path.write_text("no marks", encoding="utf-8")
    with pytest.raises(CommandError, match="lacks the marks"):
        document(path, "new", marks)


def bench(*arguments):
    command = [sys.executable, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", "bench", "finishing", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_the_quick_run_measures_prints_and_goes_on_where_it_was(tmp_path):
    only = ["--quick", "--output", tmp_path / "run", "--only", "foliage-40", "--only", "watertight-1"]
    done = bench(*only)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    tools = record["parts"]["foliage-40"]
    assert all(tools[tool]["status"] == "finished" for tool in ("finish", "measure", "engine", "compared")), tools
    assert {"alpha", "base_color"} <= set(tools["measure"]["answer"]["fidelity"])
    assert "| foliage-40 |" in done.stdout and "Plain" not in done.stderr
    rows = record["parts"]["watertight-1"]["watertight"]["answer"]["rows"]
    assert {row["damage"] for row in rows} <= {"whole", "torn", "doubled"} and rows
    again = bench(*only)
    assert again.stdout.count("kept from an earlier run") == 2
    assert (tmp_path / "run.md").read_text(encoding="utf-8").startswith("Machine: ")
