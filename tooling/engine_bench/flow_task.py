# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of one flow stage: a pass, a guided step, and the step with every optimisation turned over."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...engine.kernels.choice import plain_torch, serve
from ...engine.models import attention
from ...engine.models.attention_kernels import FLASH, by_flash_attn, by_torch, fastest
from ...engine.models.bound_flow import is_short
from ...engine.models.float8 import Float8Linear, why_not
from ...engine.models.quantised import QuantisedLinear, quantise_torso
from ...engine.models.transformer import FlowTransformer
from ...engine.weights import activations
from ..finishing_bench.watch import answer, request_of
from .guided_step import NAMES, Savings, guided_step
from .kernel_groups import FLOW_KERNELS, without
from .measure import ceiling, measured, measured_and_counted, planned
from .networks import prepare
from .subject import Subject, about_subject, random_subject

TORCH_KERNELS = {
    "torch flash": SDPBackend.FLASH_ATTENTION,
    "torch memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "torch cuDNN": SDPBackend.CUDNN_ATTENTION,
}


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``network``, ``tokens``, ``image_tokens``, ``device``, ``blocks``."""
    folder, request = request_of(arguments)
    device = prepare(request["device"])
    subject = random_subject(request, device)
    flow, x, t = subject.flow, subject.noise, torch.full((1,), 700.0, device=device)
    memory = activations.of_flow(flow, request["tokens"], request["image_tokens"], device)
    # First, while nothing else is in memory.
    within = planned(lambda: _stage(subject, t), flow, memory, device)
    bound = subject.bound()

    def guided() -> Any:
        return bound(x, t, bound.both) if bound.both else (bound(x, t, bound.positive), bound(x, t, bound.negative))

    rows = {
        "conditional pass": measured_and_counted(lambda: bound(x, t, bound.positive), device),
        "guided step": {**measured_and_counted(guided, device), **within},
    }
    found = {"rows": rows, "switches": _switches(subject, t), "attention": _attention(subject, t)}
    answer(folder, {**about_subject(request, subject), "ceiling": ceiling(device, torch.bfloat16), **found})
    return 0


def _stage(subject: Subject, t: Tensor) -> None:
    """What a sampler does: binds the flow, then asks for every side; the second time records where that is worth it."""
    bound = subject.bound()
    for _ in range(2):
        for side in (bound.positive, bound.both or bound.negative):
            bound(subject.noise, t, side)


def _tokens(subject: Subject) -> Tensor:
    tokens = subject.flow.tokens(subject.noise)
    return tokens if subject.concat is None else torch.cat([tokens, subject.flow.tokens(subject.concat)], -1)


def _switches(subject: Subject, t: Tensor) -> dict[str, Any]:
    """A guided step with each saving turned over, by its name."""
    device, tokens = t.device, _tokens(subject)
    short = is_short(tokens.shape[1], device)
    shipped = Savings(together=short, recorded=short)

    def step(savings: Savings = shipped, flow: FlowTransformer = subject.flow) -> dict[str, Any]:
        call = guided_step(flow, subject.noise, subject.cond, savings)
        return measured(lambda: call(tokens, t), device)

    switches = {}
    for field, name in NAMES.items():
        if field == "recorded" and device.type != "cuda":
            continue
        now = getattr(shipped, field)
        switches[name] = {"shipped": now, **step(replace(shipped, **{field: not now}))}
    switches["all of these"] = {"shipped": True, **step(Savings(*[False] * len(NAMES)))}
    if serve(device):
        with plain_torch():
            switches["Triton kernels"] = {"shipped": True, **step()}
        for name, module in FLOW_KERNELS.items():
            with without(module):
                switches[f"Triton kernel: {name}"] = {"shipped": True, **step()}
    for name, kind in _eight_bits(device):
        reduced = copy.deepcopy(subject.flow)
        quantise_torso(reduced, kind)
        switches[name] = {"shipped": False, **step(flow=reduced)}
    return switches


def _attention(subject: Subject, t: Tensor) -> dict[str, Any]:
    """A guided step as it ships with each attention kernel, or why there is none."""
    device, tokens, kernels = t.device, _tokens(subject), {}
    short = is_short(tokens.shape[1], device)
    for name, use in _attention_kernels(device):
        step = guided_step(subject.flow, subject.noise, subject.cond, Savings(together=short, recorded=short))
        with use:
            try:
                kernels[name] = measured(lambda step=step: step(tokens, t), device)
            except RuntimeError as error:  # torch has no such kernel for this device
                kernels[name] = {"problem": str(error).splitlines()[0][:120]}
    return kernels


def _eight_bits(device: torch.device) -> Iterator[tuple[str, type[QuantisedLinear]]]:
    """The approximations that a user may choose, as far as the device has them."""
    yield "8-bit weights (int8)", QuantisedLinear
    if not why_not(device):
        yield "8-bit products (fp8)", Float8Linear


def _attention_kernels(device: torch.device) -> Iterator[tuple[str, contextlib.AbstractContextManager]]:
    """Every kernel that could serve, with a context in which it does. On a CPU there is no choice."""
    if device.type != "cuda":
        return
    yield f"as shipped ({fastest(device) or 'torch'})", contextlib.nullcontext()
    for name, backend in TORCH_KERNELS.items():
        stack = contextlib.ExitStack()
        stack.enter_context(patch.object(attention, "kernel_for", lambda q, mask: by_torch))
        stack.enter_context(sdpa_kernel(backend))
        yield name, stack
    for name in FLASH:
        kernel = by_flash_attn(name)
        if kernel is not None:
            yield name, patch.object(attention, "kernel_for", lambda q, mask, kernel=kernel: kernel)
