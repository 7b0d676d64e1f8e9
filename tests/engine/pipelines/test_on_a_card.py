# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole jobs on a graphics card: every tensor is where it has to be, and the asset is that of the processor."""

import json

import numpy as np
import pytest
import torch
from espalier.engine.kernels import host_arrays
from espalier.engine.pipelines import generate_job, texture_job
from espalier.engine.pipelines import job as shared
from espalier.engine.pipelines.stages import MAX_TOKENS
from espalier.engine.weights import memory_plan
from espalier.engine.weights.residency import Budget
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.engine.pipelines.test_texture_job import texture
from espalier.tests.tiny_set import write_tiny_set
from PIL import Image
from safetensors.numpy import load_file

LATENTS = ("structure.safetensors", "shape.safetensors", "material.safetensors")


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module", autouse=True)
def one_precision():
    """A processor that multiplies bfloat16 would use it, which a card does where a network was made so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "precision_of", lambda *_: "float32")
        yield


@pytest.fixture(scope="module")
def on_processor(tmp_path_factory, tiny_set, one_precision):
    """A generation and a texturing without a card, also on a machine that has one."""
    store = tmp_path_factory.mktemp("processor")
    jobs = make_job(store, tiny_set, "generate"), texture(store, tiny_set, "texture")
    shared.release()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        generate_job.run(jobs[0], Report(), lambda: False)
        texture_job.run(jobs[1], Report(), lambda: False)
        shared.release()
    return jobs


@pytest.fixture(autouse=True)
def everything_goes_to_the_card(card, monkeypatch):
    monkeypatch.setattr(host_arrays, "WORTHWHILE", 1)
    yield
    shared.release()


def assert_same_asset(job, expected):
    for name in LATENTS:
        if not (expected.path / name).exists():
            continue
        found, wanted = load_file(job.path / name), load_file(expected.path / name)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-5, err_msg=f"{name}: {key}")
    for name in ("base_color.png", "orm.png"):
        pictures = [np.asarray(Image.open(each.path / name)).astype(int) for each in (job, expected)]
        assert np.abs(pictures[0] - pictures[1]).max() <= 2, name
    faces = [json.loads((each.path / "result.json").read_text())["report"]["faces"] for each in (job, expected)]
    assert faces[0] == faces[1]


def test_a_generation_is_that_of_the_processor(tmp_path, tiny_set, on_processor):
    job = make_job(tmp_path, tiny_set)
    generate_job.run(job, Report(), lambda: False)
    assert_same_asset(job, on_processor[0])


def test_a_texturing_is_that_of_the_processor(tmp_path, tiny_set, on_processor):
    job = texture(tmp_path, tiny_set)
    texture_job.run(job, Report(), lambda: False)
    assert_same_asset(job, on_processor[1])


@pytest.fixture
def pretended(card):
    if card is None:
        pytest.skip("needs the pretended card")
    return card


def test_networks_take_turns_on_a_small_card_to_the_same_asset(tmp_path, tiny_set, on_processor, pretended):
    job = make_job(tmp_path, tiny_set)
    models = shared.model_set(job.request())
    plan = memory_plan.plan_memory(models, "generate", models.config.default_kind, Budget(0, None), MAX_TOKENS)
    assert plan.mode == "too_big"
    pretended.free = int(plan.peak_bytes / memory_plan.USABLE) + 1
    report = Report()
    generate_job.run(job, report, lambda: False)
    assert any("turns" in text for text in report.logs), report.logs
    assert_same_asset(job, on_processor[0])


@pytest.mark.parametrize("operation", [400, 2800])
def test_a_job_that_finds_the_card_full_starts_once_more(tmp_path, tiny_set, on_processor, pretended, operation):
    job, report = make_job(tmp_path, tiny_set), Report()
    pretended.full_at = operation
    generate_job.run(job, report, lambda: False)
    assert [text for text in report.logs if text.startswith("Memory ran out.")]
    assert_same_asset(job, on_processor[0])


def test_finishing_goes_on_on_the_processor_where_the_card_is_full(tmp_path, tiny_set, on_processor, pretended):
    class Filling(Report):
        def __call__(self, stage, step, of):
            super().__call__(stage, step, of)
            if (stage, step) == ("finish", 0):
                pretended.full_at = pretended.operations + 40

    job = make_job(tmp_path, tiny_set)
    generate_job.run(job, Filling(), lambda: False)
    assert pretended.operations >= pretended.full_at
    assert_same_asset(job, on_processor[0])


def test_the_host_waits_for_nothing_within_a_step_of_sampling(tmp_path, tiny_set, pretended):
    waits = []

    class Counting(Report):
        def __call__(self, stage, step, of):
            super().__call__(stage, step, of)
            if stage in ("structure", "shape", "material") and step > 0:
                waits.append((stage, pretended.waits.total()))

    steps = {stage: {"steps": 4} for stage in ("structure", "shape", "material")}
    settings = {"quality": "starter", "texture_size": 128, "faces": 500, "samplers": steps}
    generate_job.run(make_job(tmp_path, tiny_set, settings=settings), Counting(), lambda: False)
    for stage in steps:
        counts = [count for name, count in waits if name == stage]
        assert len(counts) == 4 and len(set(counts)) == 1, (stage, counts)
