# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watched job shows before its end, and that being watched changes nothing."""

import numpy as np
import pytest
from espalier.engine.errors import Cancelled
from espalier.engine.pipelines import generate_job, live_preview
from espalier.engine.pipelines import job as shared
from espalier.engine.pipelines.live_preview import FILES, boxes
from espalier.tests.engine.mesh.shapes import signed_volume
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.tiny_set import write_tiny_set
from safetensors.numpy import load_file


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True)
def forget_models():
    yield
    shared.release()


def test_structure_shape_and_materials_are_shown_in_their_place(tmp_path, tiny_set):
    job, report = make_job(tmp_path, tiny_set, live=True), Report()
    generate_job.run(job, report, lambda: False)
    # The last one is made while the object is finished, and no longer.
    assert [file for file in report.previews if file.endswith(".npz")] == list(FILES.values())
    result = np.load(job.path / "result.npz")["vertices"]
    for file in FILES.values():
        arrays = np.load(job.path / file)
        assert arrays["vertices"].dtype == np.float32 and arrays["faces"].dtype == np.int32
        assert arrays["faces"].min() >= 0 and arrays["faces"].max() < len(arrays["vertices"])
        assert np.abs(arrays["vertices"].min(0) - result.min(0)).max() < 0.15
        assert np.abs(arrays["vertices"].max(0) - result.max(0)).max() < 0.15


def test_shown_materials_are_those_of_the_voxels(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set, live=True)
    generate_job.run(job, Report(), lambda: False)
    shown, voxels = np.load(job.path / FILES["material"]), load_file(job.path / "voxels.safetensors")
    attributes = shown["attributes"]
    assert attributes.dtype == np.float32 and attributes.shape == (len(shown["vertices"]), 6)
    # The grid of the preview is finer than that of the tiny set, so every voxel is shown as it is.
    place = np.round((shown["vertices"] + 0.5) * 1e4).astype(int)
    assert len(np.unique(place, axis=0)) == len(attributes) == len(voxels["attrs"])
    assert np.allclose(np.sort(attributes, axis=0), np.sort(voxels["attrs"].astype(np.float32), axis=0), atol=1e-6)


def test_a_watched_job_makes_the_same_files(tmp_path, tiny_set):
    jobs = [make_job(tmp_path, tiny_set, name=f"job{live}", live=live) for live in (True, False)]
    for job in jobs:
        generate_job.run(job, Report(), lambda: False)
    assert not any((jobs[1].path / file).exists() for file in FILES.values())
    for file in ("voxels.safetensors", "result.npz", "base_color.png", "result.json"):
        assert (jobs[0].path / file).read_bytes() == (jobs[1].path / file).read_bytes()


def test_what_was_shown_stays_when_the_job_is_cancelled(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set, live=True)
    with pytest.raises(Cancelled):
        generate_job.run(job, Report(cancel_at="material"), lambda: False)
    assert (job.path / FILES["structure"]).is_file() and (job.path / FILES["shape"]).is_file()


def test_a_preview_that_fails_is_in_the_log_and_costs_neither_the_next_one_nor_the_job(tmp_path, tiny_set, monkeypatch):
    def fail(cells, grid):
        raise ValueError("no boxes today")

    monkeypatch.setattr(live_preview, "boxes", fail)
    job, report = make_job(tmp_path, tiny_set, live=True), Report()
    generate_job.run(job, report, lambda: False)
    assert [file for file in report.previews if file.endswith(".npz")] == [FILES["shape"], FILES["material"]]
    assert "no boxes today" in (job.path / "log.txt").read_text()


def test_boxes_are_the_outside_of_their_cells():
    rng = np.random.default_rng(2)
    cells = np.argwhere(rng.random((6, 6, 6)) < 0.3)
    vertices, faces = boxes(cells, 6)
    assert signed_volume(vertices.astype(np.float64), faces) == pytest.approx(len(cells) / 6**3, rel=1e-5)
    assert vertices.min() >= -0.5 and vertices.max() <= 0.5


def test_a_cell_in_the_corner_has_six_sides():
    vertices, faces = boxes(np.array([[3, 3, 3]]), 4)
    assert len(vertices) == 8 and len(faces) == 12
    assert vertices.min() == 0.25 and vertices.max() == 0.5
