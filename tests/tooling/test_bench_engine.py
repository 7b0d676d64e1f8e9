# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of the engine counts what the networks compute, measures the same step whatever is saved, and adds up what
it measured."""

import itertools
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.engine.models.sparse_blocks import SparseConvNeXtBlock3d
from espalier.engine.pipelines.stages import FAST
from espalier.tests.samples import batch_of, lively
from espalier.tooling.console import CommandError
from espalier.tooling.engine_bench import figures, plan
from espalier.tooling.engine_bench.agreement_task import difference
from espalier.tooling.engine_bench.guided_step import NAMES, Savings, guided_step
from espalier.tooling.engine_bench.kernel_groups import DECODER_KERNELS, FLOW_KERNELS, without
from espalier.tooling.engine_bench.measure import counted
from espalier.tooling.engine_bench.sampling_task import passes, sampler_of
from espalier.tooling.engine_bench.tables import markdown

pytestmark = pytest.mark.usefixtures("same_numbers_without_gradients")
ROOT = Path(__file__).parents[2]
WIDTH, BLOCKS, CONDITION, HIDDEN = 48, 3, 24, 192
FLOW = {
    "resolution": 4,
    "in_channels": 6,
    "out_channels": 6,
    "model_channels": WIDTH,
    "cond_channels": CONDITION,
    "num_blocks": BLOCKS,
    "num_heads": 2,
}


def network(name):
    return lively(build_model(name, FLOW))


def test_a_pass_counts_the_flops_of_the_cost_model():
    """spec/models.md section 9, with the small layers at the ends that it leaves out."""
    model, tokens, cond = network("SparseStructureFlowModel"), 64, torch.randn(1, 9, CONDITION)
    with counted() as arithmetic:
        model(torch.randn(1, 6, 4, 4, 4), torch.tensor([700.0]), cond)
    linear = tokens * WIDTH * (3 * WIDTH + WIDTH + 2 * WIDTH + 2 * HIDDEN)
    attention = 2 * tokens * WIDTH * (tokens + 9)
    image = 9 * CONDITION * 2 * WIDTH
    ends = 2 * tokens * 6 * WIDTH + 256 * WIDTH + WIDTH**2 + WIDTH * 6 * WIDTH
    assert arithmetic.flops == 2 * (BLOCKS * (linear + attention + image) + ends)
    assert arithmetic.bytes > sum(parameter.nbytes for parameter in model.parameters() if parameter.dim() > 1)


def test_a_sparse_block_counts_the_neighbours_and_the_rows_that_exist():
    line = torch.tensor([[i, 0, 0] for i in range(5)])
    block = SparseConvNeXtBlock3d(8)
    with counted() as arithmetic:
        block(batch_of([(torch.randn(5, 8), line)]))
    neighbours = 5 + 2 * 4
    assert arithmetic.flops == 2 * (neighbours * 8 * 8 + 5 * 2 * 8 * 32)


@pytest.mark.parametrize(
    "savings", [Savings(*on) for on in itertools.product((False, True), repeat=len(NAMES))], ids=str
)
def test_a_guided_step_is_the_plain_one_whatever_is_saved(savings):
    model, x, cond = network("SparseStructureFlowModel"), torch.randn(1, 6, 4, 4, 4), torch.randn(1, 9, CONDITION)
    t = torch.tensor([700.0])
    plain = torch.cat([model(x, t, tokens) for tokens in (cond, torch.zeros_like(cond))])
    both = guided_step(model, x, cond, savings)(model.tokens(x), t)
    torch.testing.assert_close(model.arranged(both, x), plain, rtol=0, atol=2e-5)


def test_every_saving_has_a_name():
    assert [field.name for field in fields(Savings)] == list(NAMES)


def measured(seconds, flops=0.0):
    about = {"least": seconds, "most": seconds, "count": 3, "peak": 1e9, "flops": flops, "bytes": 1e9}
    return {"median": seconds, **about}


def answer(rows):
    about = {"tokens": 1, "dtype": "bfloat16", "ceiling": 1e12, "switches": {}, "attention": {}}
    return {"machine": "one", "status": "finished", "steps": {}, "answer": {**about, "rows": rows}}


def of_runs(*seconds):
    return {"status": "finished", "steps": {}, "answer": {"runs": [{"seconds": each} for each in seconds]}}


def finished(*seconds):
    steps = {"clean": {"seconds": seconds[-1], "processor": 3.0, "peak_gb": 1.5}}
    runs = [{"clean": each} for each in seconds]
    return {"status": "finished", "steps": steps, "answer": {"resolution": 1024, "runs": runs}}


def full_results():
    """Results of every part of a full run that a figure is computed from."""
    results = {part.name: answer({}) for part in plan.parts_of(plan.FULL)}
    for flow in plan.FULL.flows:
        rows = {figures.EXACT: measured(0.3, 2.1e11), figures.FAST: measured(0.1)}
        results[plan.SAMPLING + flow.part] = answer(rows)
    for name in ("decoders-knot-512", "decoders-knot-1024", "decoders-knot-1536"):
        rows = {"shape decoder": measured(0.1), "material decoder": measured(0.1), figures.CELLS: measured(0.05)}
        results[name] = answer(rows)
    results["structure-decoder"] = answer({"structure decoder": measured(0.1)})
    results["run-ten"], results["run-first-start"] = of_runs(14.0, *[10.0] * 9), of_runs(30.0, 10.0)
    for card, seconds in ((12, 11.0), (16, 10.0), (24, 8.0)):
        results[f"run-card-{card}"] = of_runs(20.0, seconds, seconds)
    geometry = {"mesh to O-Voxels": measured(0.05), "O-Voxels to mesh": measured(0.01)}
    results["geometry"]["answer"] |= {"resolution": 1024, "geometry": geometry}
    results["finishing"] = finished(2.0, 9.0, 2.5)
    differences = {"clean": {"largest": 1e-7, "share": 0.1}, "bake": {"largest": 2e-6, "share": 0.01}}
    results["agreement"]["answer"]["differences"] = differences
    return results


FOUND = {
    "Sampling at 17 000 tokens": 70.0,
    "1024 cascade": 4 * 0.3 + 3 * 0.1 + 0.05,
    "The same, fast": 4 * 0.1 + 3 * 0.1 + 0.05,
    "512, 2200 tokens": 3 * 0.3 + 3 * 0.1,
    "1536 cascade": 4 * 0.3 + 3 * 0.1 + 0.05,
    "First run": 4.0,
    "The same, kernels compiled": 20.0,
    "Memory plans": 25.0,
    "Mesh to O-Voxels": 0.05,
    "O-Voxels to mesh": 0.01,
    "Finishing: repair": 2.5,
    "Finishing, largest difference": 2e-6,
}
"""By how the name of a figure begins, its value for ``full_results``."""


def test_every_figure_is_computed_from_the_parts_of_a_full_run():
    found = figures.figures_of(full_results())
    assert len(found) == len(FOUND)
    for figure, (name, value) in zip(found, FOUND.items(), strict=True):
        assert figure.name.startswith(name)
        assert figure.value == pytest.approx(value), name


def test_a_figure_without_one_of_its_parts_is_not_measured():
    """Each part that a figure names is one of the full run."""
    complete = {figure.name: figure.value for figure in figures.figures_of(full_results())}
    used = set()
    for part in full_results():
        without = full_results()
        del without[part]
        found = {figure.name: figure.value for figure in figures.figures_of(without)}
        used |= {name for name in complete if found[name] is None}
        assert all(value in (None, complete[name]) for name, value in found.items())
    assert used == set(complete)
    assert all(figure.value is None for figure in figures.figures_of({}))


def test_finishing_is_told_step_by_step_beside_the_same_without_a_card():
    results = {"finishing": finished(0.25, 9.0, 0.5), "finishing-on-processor": finished(12.0)}
    assert "| clean | 0.50 s | 3.00 s | 1.50 GB | – | 12.00 s |" in markdown("one", "", [], results)
    results["finishing-without-triton"] = finished(4.0)
    assert "| clean | 0.50 s | 3.00 s | 1.50 GB | 4.00 s | 12.00 s |" in markdown("one", "", [], results)
    assert "finishing-on-processor" in [part.name for part in plan.parts_of(plan.FULL)]
    assert "finishing-on-processor" not in [part.name for part in plan.parts_of(plan.SMALL)]


def test_a_sampler_asks_for_as_many_passes_as_its_published_settings_say():
    """spec/models.md section 7.3, and what ``FAST`` leaves out of it."""
    asked = {}
    for network in ("sparse_structure_flow_model", "shape_slat_flow_model_512", "tex_slat_flow_model_1024"):
        params = sampler_of(network).params
        asked[network[:3]] = passes(params), passes(params, **FAST)
    assert asked == {"spa": ((10, 2), (5, 7)), "sha": ((9, 3), (5, 7)), "tex": ((0, 12), (0, 12))}


def test_differences_are_those_of_the_furthest_numbers_and_bytes_may_round_apart():
    one, other = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.5])
    assert difference([one], [other]) == {"largest": 0.5, "share": pytest.approx(1 / 3)}
    levels = np.array([10, 20], dtype=np.uint8), np.array([11, 20], dtype=np.uint8)
    assert difference(*([each] for each in levels)) == {"largest": 0.0, "share": 0.5}
    assert difference([levels[0]], [levels[0] + np.uint8(3)])["largest"] == pytest.approx(2 / 255)
    assert difference([one], [other[:2]])["largest"] == float("inf")


def test_a_kernel_left_out_is_left_out_alone(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    device = torch.device("cpu")
    modules = {**FLOW_KERNELS, **DECODER_KERNELS}
    for module in modules.values():
        with without(module):
            serving = [other for other in modules.values() if other.choice.serve(device)]
            assert module not in serving and len(serving) >= len(modules) - 2
        assert module.choice.serve(device)


def test_an_unknown_part_is_refused_with_the_names_of_all():
    with pytest.raises(CommandError, match=r"no part “teapot”: choose from image-512"):
        plan.chosen(plan.parts_of(plan.FULL), ["teapot"])


def test_a_part_is_measured_once_and_told_in_the_tables(tmp_path):
    command = [sys.executable, "-I", "-X", "utf8", str(ROOT / "tooling" / "__main__.py"), "bench", "engine", "--small"]
    command += ["--only", "image-128", "--output", str(tmp_path / "engine")]
    first, again = (subprocess.run(command, capture_output=True, text=True, timeout=600) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "| image-128 | image encoder |" in first.stdout
    assert "No GPU" in first.stdout
    assert "kept from an earlier run" in again.stdout
    record = json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))
    row = record["parts"]["image-128"]["answer"]["rows"]["image encoder"]
    assert row["flops"] > 1e9 and row["median"] > 0
    assert all(figure["reached"] is None for figure in record["figures"])


def test_geometry_is_told_with_and_without_the_kernels():
    rows = {"mesh to O-Voxels": {**measured(0.05), "without": measured(4.0)}, "O-Voxels to mesh": measured(0.01)}
    part = {"status": "finished", "steps": {}, "answer": {"resolution": 1024, "geometry": rows}}
    results = {"geometry": part}
    assert "| mesh to O-Voxels | 50 ms | 0 % | 1.00 GB | 4 s |" in markdown("one", "", [], results)
    assert "| O-Voxels to mesh | 10 ms | 0 % | 1.00 GB | – |" in markdown("one", "", [], results)
    found = {figure.name: figure.value for figure in figures.figures_of(results)}
    assert found["Mesh to O-Voxels at 1024³"] == 0.05 and found["O-Voxels to mesh at 1024³"] == 0.01


def test_a_saving_that_is_not_shipped_is_told_as_such():
    results = {"shape": answer({"conditional pass": measured(1.0), "guided step": measured(2.0)})}
    results["shape"]["answer"] |= {
        "switches": {"batch": {"shipped": False, **measured(1.5)}},
        "blocks": 1,
        "of_blocks": 2,
    }
    assert "| shape | batch | guided step | off | 1.5 s | 2 s | 25.0 % |" in markdown("one", "", [], results)


def test_whole_runs_are_told_with_the_first_beside_the_later_ones():
    asked = {"kind": "512", "tokens": [10, 2000], "card": 12, "fast": True, "precision": "auto"}
    runs = [{"seconds": seconds, "peak": 3e9} for seconds in (9.0, 2.0, 2.5, 2.25)]
    about = {"request": asked, "runs": runs, "mode": "turns", "planned": 4e9, "counts": {"copied_early": 5}}
    part = {"status": "finished", "steps": {}, "answer": about}
    text = markdown("one", "", [], {"run": part})
    assert "| run | 512, fast | 10 and 2 000 | 12 GB | turns | 9 s | 2.25 s | 22 % | 3.00 GB | 4.00 GB | 5 |" in text
    part["answer"] = {"request": asked, "problem": "the card has less memory"}
    assert "| 12 GB | the card has less memory |" in markdown("one", "", [], {"run": part})


@pytest.mark.parametrize(("within", "told"), [(True, "2.00 GB |"), (False, "2.00 GB, **not enough** |")])
def test_the_tables_say_whether_what_is_planned_was_enough(within, told):
    results = {"shape": answer({"conditional pass": {**measured(1.0), "planned": 2e9, "within": within}})}
    assert told in markdown("one", "", [], results)
