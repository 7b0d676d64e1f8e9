# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of whole generations, one after the other, with networks read as a job reads them."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import torch

from ...engine.machine import PeakMemory
from ...engine.pipelines.stages import MAX_TOKENS, SAMPLED, Settings
from ...engine.weights.memory_plan import MemoryPlan, free_memory, plan_memory
from ...engine.weights.model_set import ModelSet, load_model_set
from ...engine.weights.residency import Budget
from ..finishing_bench.watch import answer, request_of
from .cascade import GB, held_to, settle_children, steps, usable
from .networks import prepare

NOT_HERE = "the card has less memory"


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request.

    ``set`` (folder of the model set), ``kind``, ``tokens`` (first shape flow, last), ``runs``, ``card`` (GB to which
    torch is held; 0 for all there is), ``fast``, ``steps`` (0: as released), ``precision``, ``fresh_kernels`` (compile
    the Triton kernels anew), ``off`` (attributes of the residency that are switched off), ``device``.
    """
    folder, request = request_of(arguments)
    if request["fresh_kernels"]:
        os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")  # read when the first kernel is compiled
    device = prepare(request["device"])
    card = request["card"]
    if card and torch.cuda.get_device_properties(device).total_memory < card * GB:
        answer(folder, {"problem": NOT_HERE, "request": request})
        return 0
    with patch.object(ModelSet, "_read", _settled(ModelSet._read)):
        models = load_model_set(request["set"], device, request["precision"])
        for name in request["off"]:
            assert getattr(models.residency, name) is True, name
            setattr(models.residency, name, False)
        with held_to(card, device) if card else nullcontext():
            runs, plan = _runs(models, request)
        models.release()
    about = {"mode": plan.mode, "planned": plan.peak_bytes, "counts": vars(models.residency.counts)}
    answer(folder, {"request": request, "runs": runs, **about})
    return 0


def _settled(read: Any) -> Any:
    return lambda self, name, place: settle_children(read(self, name, place))


def _runs(models: ModelSet, request: dict[str, Any]) -> tuple[list[dict[str, Any]], MemoryPlan]:
    """Seconds and peak of each run, by step, and the memory plan."""
    kind, steps_asked = request["kind"], request["steps"]
    overrides = {stage: {"steps": steps_asked} for stage in SAMPLED} if steps_asked else {}
    settings = Settings(fast=request["fast"], samplers=overrides)
    budget = free_memory(models)
    if request["card"]:
        budget = Budget(usable(request["card"]), budget.host)
    plan = plan_memory(models, "generate", kind, budget, MAX_TOKENS)
    runs = []
    for _ in range(request["runs"]):
        peak, seconds, began = PeakMemory(), {}, time.perf_counter()
        models.plan(plan.uses, budget)
        last = began
        for name in steps(models, kind, tuple(request["tokens"]), settings):
            if models.device.type == "cuda":
                torch.cuda.synchronize(models.device)
            now = time.perf_counter()
            seconds[name], last = now - last, now
        models.residency.rest()
        top = torch.cuda.max_memory_allocated(models.device) if models.device.type == "cuda" else peak.read()["host"]
        runs.append({"seconds": last - began, "steps": seconds, "peak": top})
    return runs, plan
