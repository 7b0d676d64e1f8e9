# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of the engine counts what the networks compute, measures the same step whatever is saved, and adds up what
it measured."""

import itertools
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.engine.models.sparse_blocks import SparseConvNeXtBlock3d
from espalier.tests.samples import batch_of, lively
from espalier.tooling.console import CommandError
from espalier.tooling.engine_bench import figures, plan
from espalier.tooling.engine_bench.guided_step import NAMES, Savings, guided_step
from espalier.tooling.engine_bench.measure import counted
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
    return {"median": seconds, "least": seconds, "most": seconds, "peak": 1e9, "flops": flops, "bytes": 1e9}


def answer(rows):
    about = {"tokens": 1, "dtype": "bfloat16", "ceiling": 1e12, "switches": {}, "attention": {}}
    return {"machine": "one", "status": "finished", "steps": {}, "answer": {**about, "rows": rows}}


def full_results():
    results = {part.name: answer({}) for part in plan.parts_of(plan.FULL)}
    for flow in plan.FULL.flows:
        results[flow.part] = answer({"conditional pass": measured(0.01), "guided step": measured(0.02, 1.4e10)})
    for name in ("decoders-knot-512", "decoders-knot-1024"):
        results[name] = answer({"shape decoder": measured(0.1), "material decoder": measured(0.1)})
    results["structure-decoder"] = answer({"structure decoder": measured(0.1)})
    for size in plan.FULL.images:
        results[f"image-{size}"] = answer({"image encoder": measured(0.1)})
    return results


def test_a_run_adds_up_its_stages():
    found = {figure.name.split(",")[0]: figure.value for figure in figures.figures_of(full_results())}
    guided, single = 10 + 9 + 9, 2 + 3 + 3 + 12
    assert found["1024 cascade"] == pytest.approx(guided * 0.02 + single * 0.01 + 4 * 0.1)
    assert found["Guided step at 17 000 tokens"] == pytest.approx(70.0)


def test_what_a_run_lacks_is_not_measured():
    results = full_results()
    del results["material-17k"]
    found = {figure.name.split(",")[0]: figure.value for figure in figures.figures_of(results)}
    assert found["1024 cascade"] is None
    assert found["1536 cascade"] is not None
    assert all(figure.value is None for figure in figures.figures_of({}))


def test_finishing_is_told_step_by_step_beside_the_same_without_a_card():
    def steps(seconds):
        return {"status": "finished", "steps": {"clean": {"seconds": seconds, "processor": 3.0, "peak_gb": 1.5}}}

    results = {"finishing": steps(0.25), "finishing-on-processor": steps(12.0)}
    assert "| clean | 0.25 s | 3.00 s | 1.50 GB | 12.00 s |" in markdown("one", "", [], results)
    del results["finishing-on-processor"]
    assert "| clean | 0.25 s | 3.00 s | 1.50 GB | – |" in markdown("one", "", [], results)
    assert "finishing-on-processor" in [part.name for part in plan.parts_of(plan.FULL)]
    assert "finishing-on-processor" not in [part.name for part in plan.parts_of(plan.SMALL)]


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
    assert "| shape | batch | off | 1.5 s | 2 s | 25.0 % |" in markdown("one", "", [], results)


@pytest.mark.parametrize(("within", "told"), [(True, "2.00 GB |"), (False, "2.00 GB, **not enough** |")])
def test_the_tables_say_whether_what_is_planned_was_enough(within, told):
    results = {"shape": answer({"conditional pass": {**measured(1.0), "planned": 2e9, "within": within}})}
    assert told in markdown("one", "", [], results)
