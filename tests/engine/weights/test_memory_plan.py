# SPDX-License-Identifier: GPL-3.0-or-later
"""What fits is said before a job; under every plan the results are the same bits; what does not fit says what would."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from espalier.engine.errors import Cancelled, EspalierError
from espalier.engine.pipelines.image_to_3d import ImageTo3D
from espalier.engine.pipelines.job import STARTER_FOLDER
from espalier.engine.pipelines.stages import MAX_TOKENS
from espalier.engine.pipelines.texturing import Texturing
from espalier.engine.weights.memory_plan import free_memory, memory_plans, plan_memory, run_within_memory
from espalier.engine.weights.model_set import IMAGE_ENCODER, load_model_set
from espalier.engine.weights.residency import Budget, Use
from espalier.tests.engine.mesh.shapes import sphere
from espalier.tests.tiny_set import write_tiny_set
from PIL import Image

ROOT = Path(__file__).parents[3]
GB = 1 << 30
PICTURE = Image.fromarray(np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("tiny") / "set")


def silent(level, text):
    pass


@pytest.mark.parametrize(
    "card, modes",
    [
        (6, {"512": "turns", "1024_cascade": "too_big", "1536_cascade": "too_big"}),
        (8, {"512": "turns", "1024_cascade": "turns", "1536_cascade": "too_big"}),
        (12, {"512": "turns", "1024_cascade": "turns", "1536_cascade": "turns"}),
        (16, {"512": "fits", "1024_cascade": "turns", "1536_cascade": "turns"}),
        (24, {"512": "fits", "1024_cascade": "fits", "1536_cascade": "fits"}),
    ],
)
def test_what_the_published_model_does_on_cards_of_usual_sizes(published, card, modes):
    budget = Budget(int(0.92 * card * GB))
    plans = {plan.kind: plan for plan in memory_plans(published, "generate", budget, MAX_TOKENS)}
    assert {kind: plans[kind].mode for kind in modes} == modes
    for plan in plans.values():
        assert (plan.peak_bytes <= budget.device) == (plan.mode != "too_big")


def test_weights_count_with_the_published_sizes(published):
    """The parameters' bytes at run time of spec/models.md section 9."""
    expected = {"sparse_structure_flow_model": 2.62, "tex_slat_flow_model_1024": 2.62, "shape_slat_decoder": 0.949}
    expected |= {"shape_slat_encoder": 0.709, "sparse_structure_decoder": 0.148, IMAGE_ENCODER: 1.213}
    for name, size in expected.items():
        assert published.size(name) / 1e9 == pytest.approx(size, rel=0.04)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_8_bit_weights_take_half_the_memory_and_let_more_stay(published, precision):
    smaller = load_model_set(published.folder, "cuda", precision)
    for name in ("sparse_structure_flow_model", "shape_slat_flow_model_1024", "tex_slat_flow_model_512"):
        assert smaller.size(name) < 0.53 * published.size(name)
    assert smaller.size("shape_slat_decoder") == published.size("shape_slat_decoder")
    budget = Budget(int(0.92 * 16 * GB))
    modes = [
        plan_memory(models, "generate", "1024_cascade", budget, MAX_TOKENS).mode for models in (published, smaller)
    ]
    assert modes == ["turns", "fits"]


def test_larger_kinds_take_more_and_the_token_budget_bounds_the_largest(published):
    peak = {plan.kind: plan.peak_bytes for plan in memory_plans(published, "generate", Budget(), MAX_TOKENS)}
    assert peak["512"] < peak["1024"] < peak["1024_cascade"] < peak["1536_cascade"]
    halved = plan_memory(published, "generate", "1536_cascade", Budget(), MAX_TOKENS // 2)
    assert halved.peak_bytes < peak["1536_cascade"]
    assert plan_memory(published, "generate", "1024_cascade", Budget(), 1000).peak_bytes == peak["1024_cascade"]
    textured = [plan.peak_bytes for plan in memory_plans(published, "texture", Budget(), MAX_TOKENS)]
    assert textured == sorted(textured)


def test_sentences_name_kind_need_and_what_there_is(published):
    sentence = {
        mode: plan_memory(published, "generate", kind, Budget(size * GB), MAX_TOKENS).sentence
        for mode, kind, size in (("fits", "512", 24), ("turns", "1024_cascade", 8), ("too_big", "1536_cascade", 8))
    }
    assert sentence["fits"].startswith("Quality 512 fits: it takes about 11.")
    assert "24.0 GB are free" in sentence["fits"]
    assert "take turns" in sentence["turns"]
    assert sentence["too_big"].startswith("Quality 1536_cascade does not fit: it needs about ")
    assert sentence["too_big"].endswith("Quality 1024_cascade would fit.")
    nothing = plan_memory(published, "generate", "512", Budget(GB), MAX_TOKENS)
    assert nothing.sentence.endswith("Close other programs, or use the starter model.")


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("folder", [STARTER_FOLDER, None])
def test_sizes_are_those_of_the_loaded_networks(folder, precision, small):
    models = load_model_set(folder or small, precision=precision)
    for name in [*models.config.models, IMAGE_ENCODER]:
        network = models.image_encoder() if name == IMAGE_ENCODER else models.model(name)
        assert models.size(name) == sum(tensor.nbytes for tensor in network.state_dict().values()), name


def generate(models, kind):
    return ImageTo3D(models).run(PICTURE, 3, kind)


def texture(models, kind):
    vertices, faces = sphere(0.4, (0.0, 0.0, 0.0), 12, 24)
    return Texturing(models).run(vertices.astype(np.float32), faces.astype(np.int32), PICTURE, 3, kind)


def asked_for(models, run):
    """Names of the networks in the order in which ``run`` asks for them; one asked for twice in a row counts once."""
    names, get = [], models.residency.get
    models.residency.get = lambda name: (names.append(name), get(name))[1]
    run()
    models.residency.get = get
    return [name for name, before in zip(names, [None, *names], strict=False) if name != before]


@pytest.mark.parametrize("kind", ["512", "1024", "1024_cascade", "1536_cascade"])
def test_a_plan_names_the_networks_in_the_order_in_which_the_pipeline_asks_for_them(small, kind):
    models = load_model_set(small)
    plan = plan_memory(models, "generate", kind, Budget(), MAX_TOKENS)
    assert [use.name for use in plan.uses] == asked_for(models, lambda: generate(models, kind))


def test_so_does_a_texturing_plan(tiny):
    models = load_model_set(tiny)
    plan = plan_memory(models, "texture", "32", Budget(), MAX_TOKENS)
    assert [use.name for use in plan.uses] == asked_for(models, lambda: texture(models, "32"))


def same(first, second):
    for name in ("coords", "vertices", "intersected", "split_weight", "attrs"):
        one, two = getattr(first, name), getattr(second, name)
        assert (one is None and two is None) or one.tobytes() == two.tobytes(), name
    assert first.latents.keys() == second.latents.keys()
    assert all(first.latents[name].tobytes() == second.latents[name].tobytes() for name in first.latents)


def under_every_plan(folder, job, kind, run):
    """Run with everything resident, in turns by the plan's own figures, and where only one network fits at a time."""
    models = load_model_set(folder)
    expected = run_within_memory(models, job, kind, MAX_TOKENS, silent, lambda: run(models, kind), Budget())
    assert models.residency.counts.releases == 0

    models = load_model_set(folder)
    widest = plan_memory(models, job, kind, Budget(0), MAX_TOKENS)
    budget = Budget(widest.peak_bytes)
    assert plan_memory(models, job, kind, budget, MAX_TOKENS).mode == "turns"
    same(run_within_memory(models, job, kind, MAX_TOKENS, silent, lambda: run(models, kind), budget), expected)
    assert models.residency.counts.releases > 0
    for use in widest.uses:
        assert use.activations + models.size(use.name) <= budget.device

    models = load_model_set(folder)
    uses = [Use(use.name) for use in widest.uses]
    limit = max(models.size(use.name) for use in uses)
    for again in range(2):
        models.plan(uses, Budget(limit))
        same(run(models, kind), expected)
        models.residency.rest()
        assert models.residency.peak_bytes[0] <= limit
        assert models.residency.counts.releases > again
    assert models.residency.counts.reads > len({use.name for use in uses})
    return models.residency.counts


def test_results_are_the_same_bits_under_every_plan_with_the_tiny_set(tiny):
    assert under_every_plan(tiny, "generate", "32", generate).releases >= 4


def test_results_are_the_same_bits_under_every_plan_in_a_cascade(small):
    assert under_every_plan(small, "generate", "1024_cascade", generate).releases >= 4


def test_results_are_the_same_bits_under_every_plan_with_the_starter():
    assert under_every_plan(STARTER_FOLDER, "generate", "64", generate).releases >= 4


def test_results_are_the_same_bits_under_every_plan_of_texturing(tiny):
    under_every_plan(tiny, "texture", "32", texture)


def test_networks_are_read_ahead_and_the_plan_is_logged_before_the_first_stage(tiny):
    models, events = load_model_set(tiny), []

    def run():
        events.append("run")
        return generate(models, "32")

    run_within_memory(models, "generate", "32", MAX_TOKENS, lambda level, text: events.append(text), run)
    assert events[0].startswith("Quality 32 fits: it takes about ")
    assert events[1:] == ["run"]
    assert models.residency.counts.reads == 7
    assert models.residency.counts.read_ahead > 0


def test_a_job_that_does_not_fit_is_refused_before_it_starts(small):
    models = load_model_set(small)
    peaks = {p.kind: p.peak_bytes for p in memory_plans(models, "generate", Budget(0), MAX_TOKENS)}
    budget = Budget((peaks["512"] + peaks["1536_cascade"]) // 2)
    with pytest.raises(EspalierError, match=r"does not fit.* Quality .* would fit") as caught:
        run_within_memory(models, "generate", "1536_cascade", MAX_TOKENS, silent, lambda: pytest.fail("ran"), budget)
    assert caught.value.code == "out_of_memory"
    assert models.residency.counts.reads == 0


class Hungry:
    """A run that runs out of memory so many times before it succeeds; it holds a tensor while it fails."""

    def __init__(self, models, failures, error):
        self.models, self.failures, self.error, self.loaded = models, failures, error, []

    def __call__(self):
        for name in ("shape_slat_decoder", "tex_slat_decoder"):
            self.models.model(name)
        self.loaded.append(list(self.models.residency.loaded))
        if len(self.loaded) <= self.failures:
            raise self.error
        return "done"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_when_memory_runs_out_the_job_starts_again_with_one_network_at_a_time(tiny, error):
    models, logs = load_model_set(tiny), []
    run = Hungry(models, 1, error)
    log = lambda level, text: logs.append((level, text))  # noqa: E731
    assert run_within_memory(models, "generate", "32", MAX_TOKENS, log, run, Budget()) == "done"
    assert len(run.loaded[0]) > 1
    assert run.loaded[1] == ["tex_slat_decoder"]
    assert [level for level, _ in logs] == ["detail", "warning"]


def test_when_it_runs_out_again_the_sentence_says_what_would_fit(small):
    models = load_model_set(small)
    run = Hungry(models, 2, torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(EspalierError, match=r"not enough memory for quality 1536_cascade\. Quality .* would fit"):
        run_within_memory(models, "generate", "1536_cascade", MAX_TOKENS, silent, run, Budget())
    assert len(run.loaded) == 2


@pytest.mark.parametrize("error", [Cancelled(), EspalierError("bad_weights", "Broken."), ValueError("else")])
def test_other_failures_and_cancel_end_the_job_at_once(tiny, error):
    models = load_model_set(tiny)
    run = Hungry(models, 1, error)
    with pytest.raises(type(error)):
        run_within_memory(models, "generate", "32", MAX_TOKENS, silent, run)
    assert len(run.loaded) == 1
    assert run_within_memory(models, "generate", "32", MAX_TOKENS, silent, run) == "done"


def test_broken_weights_read_ahead_end_in_their_own_sentence(tmp_path):
    folder = write_tiny_set(tmp_path / "set")
    (folder / "ckpts" / "tex_slat_decoder.safetensors").write_bytes(b"")
    models = load_model_set(folder)
    with pytest.raises(EspalierError, match=r"“tex_slat_decoder\.safetensors” is empty") as caught:
        run_within_memory(models, "generate", "32", MAX_TOKENS, silent, lambda: generate(models, "32"))
    assert caught.value.code == "bad_weights"


def test_memory_in_use_by_loaded_networks_counts_as_available(tiny, monkeypatch):
    from espalier.engine import machine

    monkeypatch.setattr(machine, "host_memory", lambda: (100 * GB, 10 * GB))
    models = load_model_set(tiny)
    empty = free_memory(models).device
    models.model("shape_slat_decoder")
    assert free_memory(models).device == empty + models.size("shape_slat_decoder")
    monkeypatch.setattr(machine, "host_memory", lambda: (0, 0))
    assert free_memory(models) == Budget()


def test_opening_a_set_does_not_import_torchs_compiler():
    """It takes seconds, which the first job would wait for."""
    program = (
        "import sys; from espalier.engine.weights.model_set import load_model_set;"
        "from espalier.engine.weights.memory_plan import memory_plans, free_memory;"
        f"models = load_model_set({str(STARTER_FOLDER)!r}); memory_plans(models, 'generate', free_memory(models), 1);"
        "[models.model(name) for name in models.config.models]; models.image_encoder();"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_path({str(ROOT / 'tests/conftest.py')!r});"
    )
    subprocess.run([sys.executable, "-c", start + program], check=True, timeout=120)
