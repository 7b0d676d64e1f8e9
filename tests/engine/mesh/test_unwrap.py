# SPDX-License-Identifier: GPL-3.0-or-later
"""UV layouts fill the unit square without overlap, whatever becomes of the child process."""

import os
import subprocess
import sys

import numpy as np
import pytest
from espalier.engine.errors import Cancelled
from espalier.engine.mesh.lookup.raster import overlapping_texels, rasterise
from espalier.engine.mesh.unwrap import judge, relax, xatlas_process
from espalier.engine.mesh.unwrap import unwrap as unwrapping
from espalier.engine.mesh.unwrap.packing import pack_rectangles
from espalier.engine.mesh.unwrap.unwrap import PADDING, badly_flattened, split_spatially, time_limit, unmirrored, unwrap
from espalier.tests.engine.mesh.shapes import cube, grid_faces, merge, moebius, sphere, torus

SIZE = 256


def never():
    return False


def charts_too_near(layout, size, gap):
    """How many pairs of texels of different charts have fewer than ``gap`` texels between them."""
    raster = rasterise(layout.uv, size)
    owner = np.full(size * size, -1)
    owner[raster.texel] = layout.chart[raster.face]
    owner = np.pad(owner.reshape(size, size), gap, constant_values=-1)
    near = 0
    for down in range(gap + 1):
        for right in range(-gap, gap + 1):
            moved = np.roll(owner, (down, right), (0, 1))
            near += ((owner >= 0) & (moved >= 0) & (owner != moved)).sum()
    return near


def check_layout(layout, faces, size=SIZE):
    """All faces in the unit square, no overlap, no mirrored face, charts at least PADDING texels apart."""
    assert layout.uv.shape == (len(faces), 3, 2)
    assert layout.uv.dtype == np.float32
    assert layout.uv.min() >= 0
    assert layout.uv.max() <= 1
    assert np.array_equal(np.unique(layout.chart), np.arange(layout.chart.max() + 1))
    assert len(overlapping_texels(layout.uv, size)[0]) == 0
    edges = layout.uv[:, 1:].astype(np.float64) - layout.uv[:, :1]
    assert (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).min() > -1e-9
    assert charts_too_near(layout, size, PADDING) == 0


@pytest.fixture
def nothing_flattens(monkeypatch):
    """Every chart counts as badly flattened, so xatlas gets them all, as they are."""
    monkeypatch.setattr(judge, "STRETCHED_SHARE", -1.0)
    monkeypatch.setattr(relax, "CUTS", 0)


def worker_that(monkeypatch, tmp_path, code):
    script = tmp_path / "worker.py"
    script.write_text(code, encoding="utf-8")
    monkeypatch.setattr(xatlas_process, "WORKER", script)


def test_a_torus_gets_a_few_charts_that_use_the_square():
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "relaxed"
    assert layout.events == layout.shows == []
    assert layout.chart.max() < 30
    assert rasterise(layout.uv, SIZE).mask().mean() > 0.4


@pytest.mark.parametrize("shape", [sphere, cube, moebius, lambda: merge(sphere(0.2), cube(0.1, (0.4, 0.4, 0.4)))])
def test_texels_are_as_dense_everywhere_and_stretch_is_bounded(shape):
    vertices, faces = shape()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    rim = vertices[faces] - np.roll(vertices[faces], 1, axis=1)
    flat = layout.uv.astype(np.float64) - np.roll(layout.uv.astype(np.float64), 1, axis=1)
    density = np.linalg.norm(flat, axis=2) / np.linalg.norm(rim, axis=2)
    assert density.max() / density.min() < 2.0


@pytest.mark.parametrize("size", [64, 100, 1024])
def test_the_layout_is_made_for_the_texture_asked_for(size):
    vertices, faces = sphere()
    layout = unwrap(vertices, faces, size, never)
    check_layout(layout, faces, size)
    # The charts reach the border of the square on at least two sides but for half the padding.
    assert layout.uv.max() * size > size - PADDING - 2
    assert layout.uv.min() * size < PADDING


def test_a_cell_of_several_texels_keeps_the_gap(monkeypatch):
    from espalier.engine.mesh.unwrap import bitmap_packing

    monkeypatch.setattr(bitmap_packing, "_LARGEST_GRID", 128)
    vertices, faces = torus()
    check_layout(unwrap(vertices, faces, 512, never), faces, 512)


def test_the_same_mesh_gives_the_same_bytes():
    vertices, faces = torus()
    first, second = (unwrap(vertices, faces, SIZE, never) for _ in range(2))
    assert first.uv.tobytes() == second.uv.tobytes()


def test_the_order_of_faces_and_vertices_hardly_matters():
    vertices, faces = torus()
    rng = np.random.default_rng(3)
    to = rng.permutation(len(vertices))
    shuffled = np.empty_like(vertices)
    shuffled[to] = vertices
    other = unwrap(shuffled, to[faces][rng.permutation(len(faces))], SIZE, never)
    counts = [unwrap(vertices, faces, SIZE, never).chart.max() + 1, other.chart.max() + 1]
    assert max(counts) <= 2 * min(counts)


def test_faces_wound_against_each_other_are_in_different_charts_and_none_is_mirrored():
    points, faces = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]]), np.array([[0, 1, 2], [0, 3, 2]])
    layout = unwrap(points, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.chart.max() == 1


def test_crowded_edges_flat_faces_and_loose_crumbs_are_unwrapped(monkeypatch):
    fan = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, -1], [0.5, 0, 0], [2, 2, 2.0]])
    faces = np.concatenate([fan, [[0, 5, 1], [6, 2, 3]]])
    check_layout(unwrap(points, faces, SIZE, never), faces)


def test_charts_that_do_not_flatten_here_go_to_xatlas_in_several_processes(nothing_flattens, monkeypatch):
    monkeypatch.setattr(unwrapping, "PIECE_FACES", 600)
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "xatlas"
    alone = lambda workers: unwrapping_pool(1)  # noqa: E731
    unwrapping_pool = unwrapping.ThreadPoolExecutor
    monkeypatch.setattr(unwrapping, "ThreadPoolExecutor", alone)
    assert np.array_equal(unwrap(vertices, faces, SIZE, never).uv, layout.uv)


def test_a_child_that_crashes_leads_to_smaller_pieces_and_then_to_box_projection(
    nothing_flattens, monkeypatch, tmp_path
):
    worker_that(monkeypatch, tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    vertices, faces = torus(24, 12)
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"
    assert any("tried again" in event for event in layout.events)
    assert any("box-projected" in event for event in layout.events)
    assert layout.shows == [
        "100% of the surface could not be unfolded and was projected from six sides: more seams show."
    ]


@pytest.mark.parametrize(
    ("code", "reason", "seconds", "patience"),
    [
        ("import time\ntime.sleep(60)\n", "did not answer", 40.0, 0.01),
        ("while True: pass\n", "needed more than", 0.2, 1e4),
    ],
    ids=["hangs", "works forever"],
)
def test_a_child_without_end_is_killed_and_replaced(
    nothing_flattens, monkeypatch, tmp_path, code, reason, seconds, patience
):
    worker_that(monkeypatch, tmp_path, code)
    monkeypatch.setattr(unwrapping, "time_limit", lambda faces: seconds)
    monkeypatch.setattr(xatlas_process, "_PATIENCE", patience)
    vertices, faces = cube()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"
    assert reason in layout.events[0]


def test_a_child_that_only_fails_on_a_large_piece_is_retried(nothing_flattens, monkeypatch, tmp_path):
    real = xatlas_process.WORKER
    worker_that(
        monkeypatch,
        tmp_path,
        "import os, runpy, sys\nimport numpy as np\n"
        "work = np.load(os.path.join(sys.argv[1], 'work.npz'))\n"
        "if str(work['task']) == 'parametrise' and len(work['faces']) > 1500: os._exit(3)\n"
        f"runpy.run_path({str(real)!r}, run_name='__main__')\n",
    )
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "xatlas"
    assert len(layout.events) == 1


def test_a_child_that_stands_still_is_started_again_and_gives_what_it_would_have_given(
    nothing_flattens, monkeypatch, tmp_path
):
    vertices, faces = torus(24, 12)
    expected = unwrap(vertices, faces, SIZE, never)
    real, mark = xatlas_process.WORKER, tmp_path / "stood still"
    worker_that(
        monkeypatch,
        tmp_path,
        "import runpy, time\nfrom pathlib import Path\n"
        f"mark = Path({str(mark)!r})\n"
        "if not mark.exists():\n    mark.touch()\n    time.sleep(600)\n"
        f"runpy.run_path({str(real)!r}, run_name='__main__')\n",
    )
    monkeypatch.setattr(xatlas_process, "_STALL_SECONDS", 3.0)
    layout = unwrap(vertices, faces, SIZE, never)
    assert mark.exists() and layout.events == []
    assert np.array_equal(layout.uv, expected.uv)


def test_a_child_that_always_stands_still_is_replaced(nothing_flattens, monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "import time\ntime.sleep(600)\n")
    monkeypatch.setattr(xatlas_process, "_STALL_SECONDS", 0.5)
    vertices, faces = cube()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection" and "stood still" in layout.events[0]


def test_cancelling_kills_the_children(nothing_flattens, monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(unwrapping, "PIECE_FACES", 600)
    children = []
    popen = subprocess.Popen

    def remembering(*arguments, **options):
        children.append(popen(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(xatlas_process.subprocess, "Popen", remembering)
    vertices, faces = torus()
    with pytest.raises(Cancelled):
        unwrap(vertices, faces, SIZE, lambda: bool(children))
    assert all(child.poll() is not None for child in children)


def test_a_missing_python_leads_to_box_projection(nothing_flattens, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    vertices, faces = cube()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"


def test_box_projection_of_a_surface_that_passes_above_itself_does_not_overlap(nothing_flattens, monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "raise SystemExit(1)\n")
    vertices, faces = helix_ramp()
    layout = unwrap(vertices, faces, SIZE, never)
    assert len(overlapping_texels(layout.uv, SIZE)[0]) == 0
    assert layout.method == "box projection"


def helix_ramp():
    turns = np.linspace(0, 6 * np.pi, 200)
    ramp = np.stack([np.cos(turns), np.sin(turns), turns / 30], 1)
    vertices = np.concatenate([0.2 * ramp, 0.4 * ramp * [1, 1, 0.5]])
    return vertices, grid_faces(2, 200, False, False)[:, ::-1]


def test_a_ramp_that_passes_above_itself_is_cut_until_nothing_overlaps():
    vertices, faces = helix_ramp()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "relaxed"


def test_faces_that_lie_over_others_in_the_layout_get_charts_of_their_own():
    points, faces = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]])
    work = unwrapping._Unwrapping(points, faces, SIZE, never)
    work.uv[:], work.chart[:] = points[[0, 1, 2]][:, :2], 0
    uv = work.pack()
    assert len(overlapping_texels(uv.astype(np.float32), SIZE)[0]) == 0
    assert len(set(work.chart)) == 2
    assert "lay over others" in work.events[0]


def test_only_faces_that_lay_over_others_are_placed_again(monkeypatch):
    vertices, faces = merge(torus(20, 10), sphere(rows=8, columns=12))
    work = unwrapping._Unwrapping(vertices, faces, SIZE, never)
    work.relax()
    under, over = np.array([np.flatnonzero(work.chart == name)[:2] for name in range(3)]).T
    work.uv[over] = work.uv[under]
    packs = []
    place = work._place
    monkeypatch.setattr(work, "_place", lambda: packs.append(place()) or packs[-1])
    uv = work.pack()
    moved = (uv != packs[0]).any(axis=(1, 2))
    assert len(packs) == 1
    # Which of two faces in one place is the one that covers the other is open; single faces may fall off with it.
    assert (moved[over] | moved[under]).all() and moved.sum() < 0.02 * len(faces)
    chart = np.unique(work.chart, return_inverse=True)[1].reshape(-1)
    check_layout(unwrapping.Unwrapped(uv.astype(np.float32), chart, "", []), faces)
    corners = uv[moved] * SIZE
    double_area = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    assert (double_area / np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)).min() >= 4.0


def without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "espalier.engine.mesh.unwrap.bitmap_packing", None)


def test_without_numba_xatlas_places_the_charts(monkeypatch):
    without_numba(monkeypatch)
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    assert layout.events == []
    assert len(overlapping_texels(layout.uv, SIZE)[0]) == 0
    assert rasterise(layout.uv, SIZE).mask().mean() > 0.3


def test_without_numba_and_with_a_crashing_child_the_charts_stand_in_rows(monkeypatch, tmp_path):
    without_numba(monkeypatch)
    worker_that(monkeypatch, tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    assert "in rows" in layout.events[0] and "choose larger textures" in layout.shows[0]
    assert len(overlapping_texels(layout.uv, SIZE)[0]) == 0


@pytest.mark.parametrize(("sheets", "padding"), [(400, 2), (20_000, 0)])
def test_more_charts_than_the_texels_allow_get_a_smaller_gap_and_the_report_says_so(sheets, padding):
    corner = np.random.default_rng(5).uniform(-0.4, 0.4, (sheets, 1, 3))
    points = (corner + np.array([[0, 0, 0], [0.02, 0, 0], [0, 0.02, 0]])).reshape(-1, 3)
    faces = np.arange(3 * sheets).reshape(-1, 3)
    layout = unwrap(points, faces, 96, never)
    assert layout.chart.max() + 1 == sheets
    assert len(layout.events) == len(layout.shows) == 1 and "choose larger textures" in layout.shows[0]
    assert len(overlapping_texels(layout.uv, 96)[0]) == 0
    assert charts_too_near(layout, 96, padding) == 0 or padding == 0


def test_charts_seen_from_behind_are_mirrored_and_folded_ones_are_found():
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], dtype=float)
    folded = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0.9, 0.1]]], dtype=float)
    uv, chart = np.concatenate([square * [-1, 1], square, folded]), np.repeat([0, 1, 2], 2)
    right = unmirrored(uv, chart)
    assert np.array_equal(right[2:], uv[2:])
    assert np.array_equal(right[:2], square)
    assert badly_flattened(right, chart).tolist() == [False] * 4 + [True] * 2


def test_pieces_respect_their_limit_and_the_time_limit_grows_with_the_work():
    vertices, faces = merge(torus(), sphere())
    piece = split_spatially(vertices, faces, 500)
    assert np.bincount(piece).max() <= 500
    assert time_limit(np.array([16_000])) < time_limit(np.array([16_000, 16_000])) < 300


def test_the_number_of_threads_does_not_change_the_bytes():
    program = (
        "import importlib.util, sys, hashlib\n"
        "spec = importlib.util.spec_from_file_location('espalier', sys.argv[1] + '/__init__.py',"
        " submodule_search_locations=[sys.argv[1]])\n"
        "sys.modules['espalier'] = module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "from espalier.engine.mesh.unwrap.unwrap import unwrap\n"
        "from espalier.tests.engine.mesh.shapes import torus\n"
        "layout = unwrap(*torus(40, 20), 256, lambda: False)\n"
        "print(hashlib.sha256(layout.uv.tobytes()).hexdigest())\n"
    )
    root = str(unwrapping.__file__).rsplit("engine", 1)[0].rstrip("/\\")
    prints = {
        subprocess.run(
            [sys.executable, "-c", program, root],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(prints) == 1


@pytest.mark.parametrize("count", [1, 37, 5000])
def test_rectangles_always_fit_their_square(count):
    rng = np.random.default_rng(count)
    size = rng.uniform(0.01, 1.0, (count, 1, 2))
    corners = np.array([[0, 0], [1, 0], [1, 1]]) * size + rng.uniform(-5, 5, (count, 1, 2))
    placed = pack_rectangles(corners, np.arange(count), SIZE, PADDING)
    assert placed.min() >= 0
    assert placed.max() <= SIZE
    assert len(overlapping_texels(placed / SIZE, SIZE)[0]) == 0
