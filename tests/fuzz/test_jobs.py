# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders in any state are read or refused with a sentence, and no name in them leads elsewhere."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from espalier.addon.client.errors import ClientError
from espalier.addon.client.store import JobStore
from espalier.engine import protocol
from espalier.engine.errors import EspalierError
from espalier.engine.jobs import JobFolder
from espalier.engine.pipelines import job as jobs
from espalier.engine.pipelines.finishing import finish_settings
from espalier.engine.pipelines.surface_mesh import read_mesh
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import PATHS, altered, anything, damaged, fuzzed, written
from hypothesis import strategies as st
from PIL import Image

REQUEST = {
    "kind": "generate",
    "input": "input.png",
    "seed": 3,
    "settings": {
        "quality": "starter",
        "faces": None,
        "ratio": 0.5,
        "repair": "watertight",
        "smoothing": 2,
        "hole_length": 0.1,
        "floater_size": 0.05,
        "thickness": 0.02,
        "lods": [0.5, 0.25],
        "occlusion": True,
        "normal_map": False,
        "draft": False,
        "texture_size": 1024,
        "max_tokens": 100,
        "matting": "auto",
        "samplers": {"shape": {"steps": 3, "guidance_interval": [0.5, 1.0]}},
    },
    "model": {"set": "starter", "path": None},
    "online": False,
    "name": "chair",
    "image": "chair.png",
}
STATE = {
    "state": "failed",
    "stage": "shape",
    "created": 1.5,
    "seconds": {"shape": 2.0},
    "problem": {"code": "internal", "sentence": "It failed.", "hint": ""},
    "random": {"shape": "eJwDAAAAAAE="},
}
RESULT = {"alpha_mode": "opaque", "maps": {"base_color": "base_color.png"}, "report": {"faces": 12}}
NAMES = tuple((key, path) for key in ("input", "file", "base_color", "path") for path in PATHS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs") / "20260101-chair"
    folder.mkdir()
    Image.new("RGBA", (32, 32), (200, 30, 30, 255)).save(folder / "input.png")
    return folder


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """Thousands of files are written here, and none of them has to outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Silent:
    """A report that nobody reads."""

    def __call__(self, stage, step, of):
        pass

    def tell(self, text):
        pass

    def preview(self, stage, file):
        pass

    def log(self, level, text):
        pass


@fuzzed(300, request=altered(REQUEST, NAMES))
def test_requests_of_any_content_are_understood_or_refused(folder, request):
    """What both kinds of jobs read of a request before they compute anything."""
    (folder / "request.json").write_bytes(written(request))
    job = JobFolder(folder)
    with watched(folder, EspalierError):
        found = job.request()
        jobs.prepare(job, found, Silent())
        jobs.seed_of(found)
        jobs.sampling_of(found)
        jobs.quality_of(found, "512")
        jobs.whole(found, "texture_size", 2048)
        settings = finish_settings(found, "clean", 0)
        assert settings.faces_of(1000) >= 4 and all(0 < share < 1 for share in settings.lods)
        jobs.model_of(found)


@fuzzed(
    200, model=anything() | altered(REQUEST["model"], tuple(("path", path) for path in PATHS)), models_folder=anything()
)
def test_requests_for_any_model_find_it_or_are_refused(folder, model, models_folder):
    with watched(folder, EspalierError):
        jobs.model_set({"model": model, "models_folder": models_folder})


@fuzzed(150, data=damaged(json.dumps(REQUEST).encode(), json.dumps(STATE).encode(), structured=1000))
def test_damaged_files_of_a_job_are_refused(folder, data):
    for name in ("request.json", "state.json"):
        (folder / name).write_bytes(data)
    job = JobFolder(folder)
    with watched(folder, EspalierError):
        job.state()
        job.request()


@fuzzed(200, name=st.sampled_from(PATHS) | st.text(max_size=12))
def test_no_name_of_a_file_leads_out_of_the_job(folder, name):
    with watched(folder, EspalierError):
        path = JobFolder(folder).file(name)
        assert path.parent == folder and path.name not in ("", ".", "..")


@fuzzed(300, request=altered(REQUEST), state=altered(STATE), result=altered(RESULT))
def test_blender_lists_jobs_whatever_their_files_say(folder, request, state, result):
    for name, content in (("request.json", request), ("state.json", state), ("result.json", result)):
        (folder / name).write_bytes(written(content))
    store = JobStore(folder.parent)
    with watched(folder.parent, ClientError):
        (job,) = store.list()
        assert job.state in protocol.STATES
        assert isinstance(job.name, str) and isinstance(job.created, float)
        assert all(isinstance(seconds, float) for seconds in job.seconds.values())
        store.set_state(job.folder, protocol.WAITING)


@fuzzed(150, state=altered(STATE))
def test_an_engine_takes_up_a_job_whatever_its_state_says(folder, state):
    (folder / "state.json").write_bytes(written(state))
    job = JobFolder(folder)
    with watched(folder, EspalierError):
        job.random_state("shape")
        job.begin()
        job.enter_stage("shape", {"condition": 1.0})
        job.save_random_state("shape", b"123")
        assert job.random_state("shape") == b"123"


# ---------------------------------------------------------------------------------------------------------- mesh.npz


def npz(compressed=False, **arrays):
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


MESH = {
    "vertices": np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
    "faces": np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    "uv": np.full((2, 3, 2), 0.5, np.float32),
}
MESHES = [npz(**MESH), npz(compressed=True, **MESH), npz(vertices=MESH["vertices"]), npz(**MESH, more=np.zeros(3))]


@fuzzed(400, data=damaged(*MESHES, structured=1200))
def test_damaged_meshes_are_read_or_refused(folder, data):
    (folder / "mesh.npz").write_bytes(data)
    with watched(folder, EspalierError):
        mesh = read_mesh(folder / "mesh.npz")
        vertices, faces = mesh.fitted()
        assert np.isfinite(vertices).all() and faces.max() < len(vertices)


@fuzzed(150, shape=st.lists(st.sampled_from([0, 1, 3, 2**31, 2**40, 2**62, -1]), max_size=4), data=st.data())
def test_meshes_that_announce_any_size_are_refused_before_memory_is_taken(folder, shape, data):
    kind = data.draw(st.sampled_from(("<f4", "<i4", "|O", "<c16", "<U4", "<f8")))
    header = f"{{'descr': '{kind}', 'fortran_order': {data.draw(st.booleans())}, 'shape': {(*shape, 3)!r}, }}"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(24)
    name = data.draw(st.sampled_from(("vertices", "faces", "uv")))
    (folder / "mesh.npz").write_bytes(npz(**{other: values for other, values in MESH.items() if other != name}))
    with zipfile.ZipFile(folder / "mesh.npz", "a") as archive:
        archive.writestr(f"{name}.npy", array)
    with watched(folder, EspalierError):
        read_mesh(folder / "mesh.npz")


@pytest.mark.parametrize("name", ["../vertices.npy", "/tmp/vertices.npy", "vertices"])
def test_names_in_a_mesh_archive_lead_nowhere(folder, name):
    with zipfile.ZipFile(folder / "mesh.npz", "w") as archive:
        archive.writestr(name, b"x")
    with watched(folder), pytest.raises(EspalierError):
        read_mesh(folder / "mesh.npz")


def test_pickled_arrays_are_refused(folder):
    class Trap:
        def __reduce__(self):
            return (open, (str(folder.parent.parent / "trapped"), "w"))

    (folder / "mesh.npz").write_bytes(npz(**{**MESH, "faces": np.array([[Trap()] * 3], dtype=object)}))
    with watched(folder), pytest.raises(EspalierError):
        read_mesh(folder / "mesh.npz")
    assert not (folder.parent.parent / "trapped").exists()
