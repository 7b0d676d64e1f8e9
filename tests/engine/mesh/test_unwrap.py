# SPDX-License-Identifier: GPL-3.0-or-later
"""UV layouts fill the unit square without overlap, whatever becomes of the child process."""

import subprocess
import sys

import numpy as np
import pytest
from espalier.engine.errors import Cancelled
from espalier.engine.mesh import unwrap as unwrapping
from espalier.engine.mesh import xatlas_process
from espalier.engine.mesh.packing import pack_rectangles
from espalier.engine.mesh.raster import overlapping_texels, rasterise
from espalier.engine.mesh.unwrap import PADDING, split_spatially, time_limit, unwrap
from espalier.tests.engine.mesh.shapes import cube, merge, sphere, torus

SIZE = 256


def never():
    return False


def check_layout(layout, faces, size=SIZE):
    """All faces in the unit square, hardly any overlap, charts at least PADDING - 1 texels apart."""
    assert layout.uv.shape == (len(faces), 3, 2)
    assert layout.uv.dtype == np.float32
    assert layout.uv.min() >= 0
    assert layout.uv.max() <= 1
    assert len(overlapping_texels(layout.uv, size)[0]) <= 4
    raster = rasterise(layout.uv, size)
    owner = np.full(size * size, -1)
    owner[raster.texel[raster.inside]] = layout.chart[raster.face[raster.inside]]
    owner = owner.reshape(size, size)
    for step in range(1, PADDING):
        for near, far in ((owner[step:], owner[:-step]), (owner[:, step:], owner[:, :-step])):
            assert ((near >= 0) & (far >= 0) & (near != far)).sum() == 0


def worker_that(monkeypatch, tmp_path, code):
    script = tmp_path / "worker.py"
    script.write_text(code, encoding="utf-8")
    monkeypatch.setattr(xatlas_process, "WORKER", script)


def test_a_torus_gets_a_few_charts_that_use_the_square():
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "xatlas"
    assert layout.events == []
    assert layout.chart.max() < 30
    assert rasterise(layout.uv, SIZE).mask().mean() > 0.4


def test_the_same_mesh_gives_the_same_bytes():
    vertices, faces = torus()
    first, second = (unwrap(vertices, faces, SIZE, never) for _ in range(2))
    assert first.uv.tobytes() == second.uv.tobytes()


def test_large_meshes_are_cut_into_pieces(monkeypatch):
    monkeypatch.setattr(unwrapping, "PIECE_FACES", 600)
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "xatlas"


def test_a_child_that_crashes_leads_to_smaller_pieces_and_then_to_box_projection(monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    vertices, faces = torus()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"
    assert any("tried again" in event for event in layout.events)
    assert any("box-projected" in event for event in layout.events)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import time\ntime.sleep(60)\n", "did not answer"), ("while True: pass\n", "needed more than")],
    ids=["hangs", "works forever"],
)
def test_a_child_without_end_is_killed_and_replaced(monkeypatch, tmp_path, code, reason):
    worker_that(monkeypatch, tmp_path, code)
    monkeypatch.setattr(unwrapping, "time_limit", lambda faces: 0.2)
    monkeypatch.setattr(unwrapping, "pack_limit", lambda faces, charts: 0.2)
    monkeypatch.setattr(xatlas_process, "_PATIENCE", 2.0 if reason == "did not answer" else 1e4)
    vertices, faces = cube()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"
    assert reason in layout.events[0]


def test_a_child_that_only_fails_on_a_large_piece_is_retried(monkeypatch, tmp_path):
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


def test_cancelling_kills_the_child(monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "import time\ntime.sleep(60)\n")
    children = []
    popen = subprocess.Popen

    def remembering(*arguments, **options):
        children.append(popen(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(xatlas_process.subprocess, "Popen", remembering)
    vertices, faces = cube()
    with pytest.raises(Cancelled):
        unwrap(vertices, faces, SIZE, lambda: bool(children))
    assert children[0].poll() is not None


def test_a_missing_python_leads_to_box_projection(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    vertices, faces = cube()
    layout = unwrap(vertices, faces, SIZE, never)
    check_layout(layout, faces)
    assert layout.method == "box projection"


def test_box_projection_of_a_surface_that_passes_above_itself_does_not_overlap(monkeypatch, tmp_path):
    worker_that(monkeypatch, tmp_path, "raise SystemExit(1)\n")
    turns = np.linspace(0, 6 * np.pi, 200)
    ramp = np.stack([np.cos(turns), np.sin(turns), turns / 30], 1)
    vertices = np.concatenate([0.2 * ramp, 0.4 * ramp * [1, 1, 0.5]])
    i = np.arange(199)
    faces = np.concatenate([np.stack([i, i + 200, i + 201], 1), np.stack([i, i + 201, i + 1], 1)])
    layout = unwrap(vertices, faces, SIZE, never)
    assert len(overlapping_texels(layout.uv, SIZE)[0]) <= 4
    assert layout.method == "box projection"


def test_pieces_respect_their_limit_and_the_time_limit_grows_with_the_work():
    vertices, faces = merge(torus(), sphere())
    piece = split_spatially(vertices, faces, 500)
    assert np.bincount(piece).max() <= 500
    assert time_limit(np.array([16_000])) < time_limit(np.array([16_000, 16_000])) < 300


@pytest.mark.parametrize("count", [1, 37, 5000])
def test_rectangles_always_fit_their_square(count):
    rng = np.random.default_rng(count)
    size = rng.uniform(0.01, 1.0, (count, 1, 2))
    corners = np.array([[0, 0], [1, 0], [1, 1]]) * size + rng.uniform(-5, 5, (count, 1, 2))
    placed = pack_rectangles(corners, np.arange(count), SIZE, PADDING)
    assert placed.min() >= 0
    assert placed.max() <= SIZE
    assert len(overlapping_texels(placed / SIZE, SIZE)[0]) == 0
