# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of one stage's whole sampler, as released and as the choice "fast" takes it.

What a guided step leaves out is in it: keys and values of the image, kernels recorded, eager first calls, the sampler's
own arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from ...engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams, State
from ...engine.models import bound_flow
from ...engine.pipelines.stages import FAST
from ...engine.weights.checkpoint import read_json
from ...engine.weights.configuration import Sampler, parse_configuration
from ...engine.weights.released import CONFIGURATIONS
from ..finishing_bench.watch import answer, request_of
from .figures import EXACT
from .figures import FAST as FAST_ROW
from .measure import Arithmetic, ceiling, counted, measured
from .networks import prepare
from .subject import Subject, about_subject, random_subject

STAGES = ("sparse_structure", "shape_slat", "tex_slat")
"""How the names of flows and of their samplers begin."""

PARTS_OF_FAST = {"guidance_reuse": "guidance reused (part of fast)", "order": "second-order steps (part of fast)"}
WARM_STEPS = 2


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: that of ``flow_task``, and ``steps`` of the sampler (0: as released)."""
    folder, request = request_of(arguments)
    device = prepare(request["device"])
    subject = random_subject(request, device)
    released = sampler_of(request["network"])
    params = released.params.with_overrides({"steps": request["steps"]} if request["steps"] else {})
    each = _arithmetic(subject)

    def run(**overrides: Any) -> Callable[[], State]:
        return lambda: sampled(subject, released.sigma_min, params.with_overrides(overrides))

    def row(**overrides: Any) -> dict[str, Any]:
        return {**measured(run(**overrides), device, warm=True), **_together(each, params.with_overrides(overrides))}

    if device.type == "cuda":
        run(steps=WARM_STEPS)()
    rows = {EXACT: row(), FAST_ROW: row(**FAST)}
    switches = {}
    for field, name in PARTS_OF_FAST.items():
        if field != "guidance_reuse" or passes(params)[0]:
            found = measured(run(**{field: FAST[field]}), device, warm=True)
            switches[f"{EXACT}: {name}"] = {"shipped": False, **found}
    if device.type == "cuda" and subject.bound().both is not None:
        with patch.object(bound_flow, "Recorded", lambda function, *_, **__: function):
            switches[f"{EXACT}: kernels recorded (CUDA graph)"] = {"shipped": True, **measured(run(), device)}
    found = {"rows": rows, "switches": switches, "passes": passes(params), "passes_fast": passes(params, **FAST)}
    answer(folder, {**about_subject(request, subject), "ceiling": ceiling(device, torch.bfloat16), **found})
    return 0


def sampler_of(network: str) -> Sampler:
    """The published sampler of the stage of that flow."""
    samplers = parse_configuration(read_json(CONFIGURATIONS / "pipeline.json")).samplers
    return next(samplers[f"{stage}_sampler"] for stage in STAGES if network.startswith(stage))


def sampled(subject: Subject, sigma_min: float, params: SamplerParams) -> State:
    """One stage from binding the flow to its sample."""
    bound, sampler = subject.bound(params), FlowEulerGuidanceIntervalSampler(sigma_min)
    return sampler.sample(bound, subject.noise, bound.positive, bound.negative, params, both=bound.both)


def passes(params: SamplerParams, **overrides: Any) -> tuple[int, int]:
    """How often a sampler asks for both sides of guidance, and how often for the conditional side alone."""
    asked: list[str] = []

    def model(x: Tensor, t: Tensor, side: str) -> Tensor | tuple[Tensor, Tensor]:
        asked.append(side)
        return (x, x + 1) if side == "both" else x

    noise, params = torch.arange(8.0).view(1, 2, 2, 2, 1), params.with_overrides(overrides)
    FlowEulerGuidanceIntervalSampler().sample(model, noise, "positive", "negative", params, both="both")
    return asked.count("both"), asked.count("positive")


def _arithmetic(subject: Subject) -> tuple[Arithmetic, Arithmetic, Arithmetic]:
    """That of binding the flow, of a guided step and of a conditional pass."""
    t = torch.full((1,), 700.0, device=subject.cond.device)
    with counted() as binding:
        bound = subject.bound()
    with counted() as guided:
        for side in (bound.both,) if bound.both else (bound.positive, bound.negative):
            bound(subject.noise, t, side)
    with counted() as single:
        bound(subject.noise, t, bound.positive)
    return binding, guided, single


def _together(each: tuple[Arithmetic, Arithmetic, Arithmetic], params: SamplerParams) -> dict[str, int]:
    """That of a whole stage: ``flops`` and ``bytes``."""
    binding, guided, single = each
    both, alone = passes(params)
    return {
        "flops": binding.flops + both * guided.flops + alone * single.flops,
        "bytes": binding.bytes + both * guided.bytes + alone * single.bytes,
    }
