# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's memory plan: which qualities of TRELLIS.2-4B fit this machine, also before its weights are here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

GIB = 1 << 30
WORDS = {"fits": "fits", "turns": "fits when its networks take turns", "too_big": "does not fit"}


def memory_plan(folder: Path) -> dict[str, Any]:
    """Plan every kind of both jobs from the released set's descriptions, which are written into ``folder``."""
    import torch

    from .pipelines.stages import MAX_TOKENS
    from .weights.memory_plan import free_memory, memory_plans
    from .weights.model_set import load_model_set

    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = load_model_set(_describe(folder / "released"), device)
    budget = free_memory(models)
    plans = {job: memory_plans(models, job, budget, MAX_TOKENS) for job in ("generate", "texture")}
    lines = [f"TRELLIS.2-4B with {(budget.device or 0) / GIB:.1f} GB of memory to use:"]
    for job, kinds in plans.items():
        each = (f"{plan.kind} {WORDS[plan.mode]} ({plan.peak_bytes / GIB:.1f} GB)" for plan in kinds)
        lines.append(f"  {job}: {', '.join(each)}")
    facts = {
        job: {plan.kind: {"mode": plan.mode, "peak_bytes": plan.peak_bytes} for plan in kinds}
        for job, kinds in plans.items()
    }
    return {"budget": budget.device, "plans": facts, "text": "\n".join(lines)}


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
