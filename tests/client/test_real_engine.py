"""The client with the product's own engine and a tiny model set: real jobs, cancelled, killed and fed nonsense."""

import io
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from espalier.addon.client import EngineClient, JobQueue, JobStore
from espalier.addon.client import engine as engine_module
from espalier.engine.jobs import JobFolder
from espalier.tests.client.helpers import assert_no_half_files, reach, until
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
LONG = 1_000
"""Steps of a stage that a test wants to be in: seconds. Twenty take less than the time between two reports."""


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    from espalier.tests.tiny_set import write_tiny_set

    return write_tiny_set(tmp_path_factory.mktemp("set"), steps=20)


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "RESPAWN_SECONDS", 0.2)
        patch.setenv("TMPDIR", str(folder / "tmp"))
        made = JobQueue(JobStore(folder / "jobs"), EngineClient(Path(sys.executable), ROOT, folder / "engine.log"))
        yield made
        made.shutdown()


@pytest.fixture
def add(queue, tiny_set):
    """Return a function that queues a generation from a picture of a red square, or from other bytes.

    ``steps``: sampler steps by stage, in place of the set's own.
    """

    def make(data=None, name="square", kind="generate", files=None, steps=None):
        if data is None:
            pixels = np.zeros((80, 80, 4), np.uint8)
            pixels[15:65, 20:60] = (200, 40, 30, 255)
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG")
            data = stream.getvalue()
        samplers = {stage: {"steps": count} for stage, count in (steps or {}).items()}
        request = {
            "kind": kind,
            "settings": {"quality": "starter", "texture_size": 128, "faces": 500, "samplers": samplers},
            "seed": 7,
            "model": {"set": "tiny", "path": str(tiny_set)},
            "online": False,
            "name": name,
        }
        return queue.add(queue.store.create(request, data, ".png", files))

    return make


def finish(queue, job):
    until(lambda: job.ended, queue.poll)
    return job


def test_the_greeting_comes_within_six_seconds(queue):
    begun = time.monotonic()
    queue.engine.start()
    until(lambda: queue.engine.hello, queue.poll, 6)
    assert time.monotonic() - begun < 6
    assert queue.engine.hello["capabilities"] == ["generate", "refinish", "texture"]
    assert queue.engine.hello["torch"] and queue.engine.hello["missing"] == []


def test_a_picture_becomes_arrays_and_maps(queue, add):
    job = add(steps={"material": 500})
    reach(queue, job, "material")
    assert 0.2 < job.fraction < 0.9 and job.eta_s > 0, "a first job can say how long it takes, too"
    finish(queue, job)
    assert job.state == "finished", job.problem
    with np.load(job.folder / "result.npz") as arrays:
        assert len(arrays["faces"]) > 10
    assert (job.folder / "base_color.png").is_file() and job.preview.is_file()
    assert {"structure", "shape", "material", "finish"} <= set(job.seconds)
    assert set(JobFolder(job.folder).state()["random"]) == {"structure", "shape", "material"}
    assert job.peak_memory["host"] > 50_000_000


def test_a_mesh_and_a_picture_become_maps(queue, add):
    stream = io.BytesIO()
    corners = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = np.int32([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    places = np.float32([[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]])
    uv = np.float32([[0.02, 0.02], [0.48, 0.02], [0.02, 0.48]]) + places[:, None]
    np.savez(stream, vertices=corners, faces=faces, uv=uv)
    job = finish(queue, add(name="tetrahedron", kind="texture", files={"mesh.npz": stream.getvalue()}))
    assert job.state == "finished", job.problem
    assert (job.folder / "base_color.png").is_file() and (job.folder / "orm.png").is_file() and job.preview.is_file()
    assert list(job.seconds) == ["condition", "encode", "material", "decode", "finish"]
    without_mesh = finish(queue, add(name="nothing", kind="texture"))
    assert without_mesh.state == "failed" and without_mesh.problem.code == "bad_input"


def test_cancel_in_the_middle_of_sampling_is_obeyed_within_a_second(queue, add):
    job = add(steps={"structure": LONG})
    reach(queue, job, "structure", step=2)
    queue.cancel(job.id)
    begun = time.monotonic()
    assert finish(queue, job).state == "cancelled" and time.monotonic() - begun < 1
    assert_no_half_files(job.folder)


@pytest.mark.parametrize("data", [b"", b"this is no image", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_image_ends_in_a_sentence(queue, add, data):
    job = finish(queue, add(data))
    assert job.state == "failed" and job.problem.code not in {"internal", "engine_died"}
    assert job.problem.sentence.endswith(".")


@pytest.mark.parametrize("stage", ["structure", "material"])
def test_killed_in_a_stage_what_was_computed_stays_and_the_next_job_works(queue, add, stage):
    job = add(steps={stage: LONG})
    reach(queue, job, stage)
    os.kill(queue.engine._link.process.pid, signal.SIGKILL)
    assert finish(queue, job).problem.code == "engine_killed"
    assert (job.folder / "prepared.png").is_file()
    assert (job.folder / "shape.safetensors").is_file() == (stage == "material")
    assert_no_half_files(job.folder)
    assert finish(queue, queue.add(queue.store.read(job.folder))).state == "finished"


def test_release_gives_the_models_back_and_the_next_job_works(queue, add):
    queue.engine.release()
    assert finish(queue, add()).state == "finished"
