# SPDX-License-Identifier: GPL-3.0-or-later
"""Every part of the engine's bench runs through, on a processor and on a card, and the tables tell what it measured."""

import contextlib
import importlib
import json
from dataclasses import replace

import pytest
import torch
from espalier.tests.engine.pretended_card import pretended_card
from espalier.tooling.engine_bench import figures, measure, plan
from espalier.tooling.engine_bench.set_task import narrowed
from espalier.tooling.engine_bench.tables import markdown
from espalier.tooling.finishing_bench import finish_task

TINY = replace(
    plan.SMALL,
    images=(64,),
    flows=tuple(
        replace(flow, tokens=6**3 if flow.part == "structure" else 40, image_tokens=21) for flow in plan.SMALL.flows
    ),
    objects=(("knot", 32),),
    finishing=("knot", 32, 600, 64),
    agreement=("knot", 32, 600, 64),
    whole=(plan.Whole("run-cascade", plan.CASCADE, (40, 60)),),
    steps=2,
)
SWITCHES = tuple(name for whole in plan.FULL.whole for name in whole.off)
# A pretended card takes long for decoders: those of the whole runs are enough.
ON_CARD = replace(
    TINY,
    device="cuda",
    flows=TINY.flows[:1],
    objects=(),
    whole=(plan.Whole("run-card", "512", (4, 4), 12, 2, fast=True, precision="int8", off=SWITCHES),),
    blocks=1,
    levels=(0, 0, 0, 0, 0),
)
IN_TABLES_OF_THEIR_OWN = {"geometry", "finishing", "finishing-without-triton", "finishing-on-processor", "agreement"}


def in_this_process(task, folder, limit, package="finishing_bench", **request):
    """``run_task``, without a process of its own, for networks that are hardly anything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    threads = torch.get_num_threads()
    try:
        with contextlib.nullcontext() if task == "set_task" else narrowed():
            assert importlib.import_module(f"espalier.tooling.{package}.{task}").main([str(folder)]) == 0
    finally:
        torch.set_num_threads(threads)
    rows = (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines() if task == "finish_task" else []
    steps = {json.loads(row)["step"]: {"seconds": 1.0, "processor": 1.0, "peak_gb": 1.0} for row in rows}
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return {"machine": "one", "status": "finished", "steps": steps, "answer": answer}


@pytest.fixture(params=["processor", "pretended card"])
def parts(request, monkeypatch):
    """All parts, to be run in this process in next to no time."""
    monkeypatch.setattr(plan, "run_task", in_this_process)
    monkeypatch.setattr(measure, "MOST", 1)
    monkeypatch.setattr(measure, "FEWEST", 1)
    monkeypatch.setattr(finish_task, "CARD_RUNS", 1)
    monkeypatch.setattr(measure, "CEILING_SIDE", {"cuda": 64, "cpu": 64})
    for warming in ("warm_up", "warm_up_finishing"):
        monkeypatch.setattr(finish_task, warming, lambda: None)
    if request.param == "processor":
        yield plan.parts_of(TINY)
        return
    if torch.version.cuda:
        pytest.skip("this torch has CUDA of its own")
    with pretended_card():
        yield plan.parts_of(ON_CARD)


def test_every_part_runs_through_and_is_told(tmp_path, parts):
    results = {part.name: part.run(tmp_path / part.name) for part in parts}
    text = markdown("one", "", figures.figures_of(results), results)
    for part in parts:
        assert part.name in IN_TABLES_OF_THEIR_OWN or f"| {part.name} |" in text, part.name
    assert "| mesh to O-Voxels |" in text and "| unwrap |" in text
    if any(part.name == "agreement" for part in parts):
        assert "| simplify | 0.0e+00 | 0 % |" in text
        row = results["structure"]["answer"]["rows"]["guided step"]
        assert row["within"] and row["planned"] > 0
        counts = results["run-card"]["answer"]["counts"]
        assert SWITCHES and counts["reads"] > 0 and counts["copied_early"] == 0
