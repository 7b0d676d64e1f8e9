# SPDX-License-Identifier: GPL-3.0-or-later
"""Which qualities of TRELLIS.2-4B fit this machine, also before its weights are here: for the doctor and the panel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .weights.memory_plan import MemoryPlan
    from .weights.model_set import ModelSet
    from .weights.residency import Budget

GIB = 1 << 30
WORDS = {"fits": "fits", "turns": "fits when its networks take turns", "too_big": "does not fit"}


def memory_plan(folder: Path) -> dict[str, Any]:
    """Plan every kind of both jobs in what is free now, from the released set's descriptions, which are written into
    ``folder``.
    """
    from .weights.memory_plan import free_memory

    models = _released(folder)
    budget = free_memory(models)
    plans = _plans(models, budget)
    lines = [f"TRELLIS.2-4B with {(budget.device or 0) / GIB:.1f} GB of memory to use:"]
    for job, kinds in plans.items():
        lines += [f"{job}, {plan.kind}: {WORDS[plan.mode]}, {plan.peak_bytes / GIB:.1f} GB" for plan in kinds]
    return {"budget": budget.device, "plans": _facts(plans), "text": "\n".join(lines)}


def whole_plan(folder: Path) -> dict[str, Any]:
    """The same in all the memory that the machine has: what cannot be done on it at all. ``total`` in bytes, 0 where it
    is not known, and ``device``, "cuda" or "cpu"; ``int8`` are the plans with 8-bit weights. ``no_fp8`` says why this
    device cannot multiply 8-bit floating point numbers, "" where it can.
    """
    from .machine import cuda_device, host_memory
    from .models.float8 import why_not
    from .weights.memory_plan import USABLE
    from .weights.model_set import load_model_set
    from .weights.residency import Budget

    models = _released(folder)
    card = cuda_device() if models.device.type == "cuda" else None
    total, host = card[1] if card else host_memory()[0], host_memory()[0]
    budget = Budget(int(USABLE * total) or None, int(USABLE * host) or None)
    plans, int8 = _plans(models, budget), _plans(load_model_set(models.folder, models.device, "int8"), budget)
    return {
        "device": models.device.type,
        "total": total,
        "plans": _facts(plans),
        "int8": _facts(int8),
        "no_fp8": why_not(models.device),
    }


def _released(folder: Path) -> ModelSet:
    import torch

    from .weights.model_set import load_model_set

    return load_model_set(_describe(folder / "released"), "cuda" if torch.cuda.is_available() else "cpu")


def _plans(models: ModelSet, budget: Budget) -> dict[str, list[MemoryPlan]]:
    from .pipelines.stages import MAX_TOKENS
    from .weights.memory_plan import memory_plans

    return {job: memory_plans(models, job, budget, MAX_TOKENS) for job in ("generate", "texture")}


def _facts(plans: dict[str, list[MemoryPlan]]) -> dict[str, Any]:
    return {
        job: {plan.kind: {"mode": plan.mode, "peak_bytes": plan.peak_bytes} for plan in kinds}
        for job, kinds in plans.items()
    }


def _describe(folder: Path) -> Path:
    """Write the released configurations and the description of each network, without weights."""
    from .weights.registry import CONFIG, WEIGHTS
    from .weights.released import CONFIGURATIONS, NETWORKS

    shutil.copytree(CONFIGURATIONS, folder)
    for network in NETWORKS.values():
        stem = folder / network.path
        stem.parent.mkdir(parents=True, exist_ok=True)
        if network.by_transformers:
            stem.with_name(CONFIG).write_text(json.dumps(network.args), encoding="utf-8")
            stem.with_name(WEIGHTS).touch()  # the encoder is looked for by both of its files
        else:
            described = {"name": network.name, "args": network.args}
            stem.with_name(stem.name + ".json").write_text(json.dumps(described), encoding="utf-8")
    return folder
