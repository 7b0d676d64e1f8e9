# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job: what it leaves in its folder, that it repeats itself byte for byte, and how it fails."""

import gc
import json
import weakref

import numpy as np
import pytest
import torch
from espalier.engine.errors import Cancelled, EspalierError
from espalier.engine.jobs import JobFolder
from espalier.engine.models import float8
from espalier.engine.pipelines import generate_job
from espalier.engine.pipelines import job as shared
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.tiny_set import write_tiny_set
from PIL import Image
from safetensors.numpy import load_file

FILES = {
    "prepared.png", "mask.png", "structure.safetensors", "shape.safetensors", "material.safetensors",
    "voxels.safetensors", "surface.npz", "result.npz", "base_color.png", "orm.png", "result.json", "preview.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True)
def forget_models():
    yield
    shared.release()


def run(job, **options):
    report = Report(**options)
    return generate_job.run(job, report, lambda: False), report


def test_job_leaves_every_file_and_reports_every_stage(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set)
    result, report = run(job)
    assert result == {"result": "result.json"}
    assert {path.name for path in job.path.iterdir()} >= FILES
    assert report.stages() == ["prepare", "condition", "structure", "shape", "material", "decode", "finish"]
    assert report.previews == ["prepared.png", "preview.png"]
    for stage in ("structure", "shape", "material"):
        assert len(job.random_state(stage)) == torch.Generator().get_state().numel()


@pytest.fixture
def no_cycle_search():
    gc.disable()
    yield
    gc.enable()


def test_memory_of_the_networks_is_free_as_soon_as_it_is_given_back(tmp_path, tiny_set, no_cycle_search):
    job = make_job(tmp_path, tiny_set)
    run(job)
    models = shared.model_set(job.request())
    networks = [weakref.ref(models.residency.get(name)) for name in models.residency.loaded]
    del models
    assert networks and all(network() is not None for network in networks)
    shared.release()
    assert not any(network() is not None for network in networks)


def test_result_is_the_box_in_its_material(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set)
    run(job)
    info = json.loads((job.path / "result.json").read_text())
    arrays = np.load(job.path / "result.npz")
    assert info["alpha_mode"] == "opaque"
    assert info["report"]["voxels"] == 4096
    assert 12 <= len(arrays["faces"]) <= 500
    assert np.abs(arrays["vertices"]).max() < 0.28
    assert arrays["uv"].shape == (len(arrays["faces"]), 3, 2)
    colour = np.asarray(Image.open(job.path / info["maps"]["base_color"]).convert("RGB")).reshape(-1, 3)
    assert np.abs(np.median(colour, axis=0) / 255 - (0.8, 0.45, 0.2)).max() < 0.1
    orm = np.asarray(Image.open(job.path / info["maps"]["orm"])).reshape(-1, 3)
    assert np.abs(np.median(orm, axis=0) / 255 - (1.0, 0.6, 0.05)).max() < 0.1
    preview = np.asarray(Image.open(job.path / "preview.png"))
    assert preview.shape == (256, 256, 4)
    assert 0.3 < (preview[..., 3] > 128).mean() < 0.95
    voxels = load_file(job.path / "voxels.safetensors")
    assert voxels["resolution"].tolist() == [32]
    assert voxels["attrs"].shape == (4096, 6)


def test_same_request_gives_the_same_bytes_and_another_seed_does_not(tmp_path, tiny_set):
    folders = [make_job(tmp_path, tiny_set, name).path for name in ("a", "b")]
    other = make_job(tmp_path, tiny_set, "c", seed=8).path
    for folder in (*folders, other):
        run(JobFolder(folder))
        shared.release()
    for name in sorted(FILES):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert (folders[0] / "shape.safetensors").read_bytes() != (other / "shape.safetensors").read_bytes()


def test_weights_of_8_bits_are_the_job_s_own_choice(tmp_path, tiny_set):
    exact, smaller, again = (
        make_job(tmp_path, tiny_set, name, settings={"int8": name == "b"}).path for name in ("a", "b", "c")
    )
    for folder in (exact, smaller, again):
        run(JobFolder(folder))
    latents = [load_file(folder / "shape.safetensors")["latent"] for folder in (exact, smaller, again)]
    assert np.array_equal(latents[0], latents[2]) and not np.array_equal(latents[0], latents[1])
    np.testing.assert_allclose(latents[1], latents[0], atol=0.05 * np.abs(latents[0]).max())


def test_fp8_is_refused_where_the_device_has_none_and_is_the_job_s_own_choice_where_it_has(
    tmp_path, tiny_set, monkeypatch
):
    job = make_job(tmp_path, tiny_set, settings={"fp8": True})
    if not torch.cuda.is_available():
        with pytest.raises(EspalierError) as refused:
            run(job)
        assert refused.value.code == "bad_settings" and "RTX 40" in refused.value.sentence
    monkeypatch.setattr(float8, "require", lambda device: None)
    assert shared.model_set(job.request()).precision == "fp8"


def test_models_stay_loaded_between_jobs(tmp_path, tiny_set):
    first = shared.model_set({"model": {"set": "tiny", "path": str(tiny_set)}})
    assert shared.model_set({"model": {"set": "tiny", "path": str(tiny_set)}}) is first
    (tmp_path / "other").mkdir()
    assert shared.model_set({"model": {"path": str(write_tiny_set(tmp_path / "other"))}}) is not first


def test_cancel_ends_the_job_in_any_stage_and_the_next_run_succeeds(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set)
    for stage in ("prepare", "condition", "structure", "shape", "material", "decode", "finish"):
        with pytest.raises(Cancelled):
            run(job, cancel_at=stage)
        assert not (job.path / "result.json").exists()
    run(job)
    assert (job.path / "result.json").exists()


@pytest.mark.parametrize(
    "changes, code, sentence",
    [
        ({"data": b"hello"}, "bad_input", "“thing.png” is not an image"),
        ({"data": b""}, "bad_input", "“thing.png” is an empty file"),
        ({"seed": -1}, "bad_request", "seed"),
        ({"seed": "x"}, "bad_request", "seed"),
        ({"model": {"set": "trellis2-4b", "path": None}}, "missing_model", "trellis2-4b is not on this computer"),
        ({"model": {"set": "tiny", "path": "/nowhere"}}, "missing_model", "was not found"),
        ({"settings": {"quality": "9000"}}, "bad_request", "no quality “9000”"),
        ({"settings": {"texture_size": "big"}}, "bad_settings", "texture_size"),
        ({"settings": {"texture_size": 3}}, "bad_settings", "texture"),
        ({"settings": {"samplers": {"shape": {"steps": 0}}}}, "bad_request", "shape sampler"),
        ({"settings": {"samplers": {"shape": {"order": 3}}}}, "bad_request", "shape sampler"),
        ({"settings": {"fast": 1}}, "bad_settings", "setting fast"),
        ({"settings": {"int8": "yes"}}, "bad_settings", "setting int8"),
        ({"settings": {"fp8": 1}}, "bad_settings", "setting fp8"),
        ({"settings": {"int8": True, "fp8": True}}, "bad_settings", "only one"),
        (
            {"settings": {"samplers": {"shape": {"step": 1}}}},
            "bad_request",
            "shape sampler “step”. Choose one of: steps, g",
        ),
        (
            {"settings": {"samplers": {"shapes": {}}}},
            "bad_request",
            "sampler “shapes”. Choose one of: structure, shape, m",
        ),
        ({"settings": {"samplers": {"material": {"guidance_interval": 3}}}}, "bad_request", "material sampler cannot"),
        (
            {"settings": {"texturesize": 64}},
            "bad_request",
            "setting “texturesize”. Choose one of: quality, matting, te",
        ),
        ({"settings": [1]}, "bad_request", "settings of this job cannot be read"),
    ],
)
def test_bad_requests_end_in_one_sentence(tmp_path, tiny_set, changes, code, sentence):
    job = make_job(tmp_path, tiny_set, **changes)
    with pytest.raises(EspalierError, match=sentence) as caught:
        run(job)
    assert caught.value.code == code


def test_input_outside_the_job_folder_is_refused(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set)
    request = job.request()
    job.write_json("request.json", {**request, "input": "../thing.png"})
    with pytest.raises(EspalierError, match="plain file name"):
        run(job)


def test_empty_structure_ends_in_a_sentence(tmp_path):
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file

    folder = write_tiny_set(tmp_path / "set")
    path = folder / "ckpts" / "sparse_structure_decoder.safetensors"
    weights = load(path)
    weights["out_layer.2.bias"] -= 1000
    save_file(weights, path)
    with pytest.raises(EspalierError, match="no solid object") as caught:
        run(make_job(tmp_path, folder))
    assert caught.value.code == "empty_result"
