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
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...engine.kernels.choice import plain_torch, serve
from ...engine.models import attention
from ...engine.models.attention_kernels import FLASH, by_flash_attn, by_torch, fastest
from ...engine.models.bound_flow import BoundFlow, State, is_short
from ...engine.models.float8 import Float8Linear, why_not
from ...engine.models.quantised import QuantisedLinear, quantise_torso
from ...engine.models.transformer import FlowTransformer
from ...engine.sparse import SparseTensor
from ...engine.weights import activations
from ...engine.weights.released import NETWORKS
from ..finishing_bench.watch import answer, request_of
from .guided_step import NAMES, Savings, guided_step
from .measure import ceiling, measured, measured_and_counted, planned
from .networks import prepare, random_network

TORCH_KERNELS = {
    "torch flash": SDPBackend.FLASH_ATTENTION,
    "torch memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "torch cuDNN": SDPBackend.CUDNN_ATTENTION,
}


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``network``, ``tokens``, ``image_tokens``, ``device``, ``blocks``."""
    folder, request = request_of(arguments)
    device = torch.device(request["device"])
    prepare(device)
    flow = _network(request, device)
    x = _sample(flow, request["tokens"], device)
    concat = x.replace(torch.randn(len(x), 32, device=device)) if flow.config.in_channels == 64 else None
    cond = torch.randn(1, request["image_tokens"], flow.config.cond_channels, device=device)
    t = torch.full((1,), 700.0, device=device)
    bound = BoundFlow(flow, x, cond, concat)

    def guided() -> Any:
        return bound(x, t, bound.both) if bound.both else (bound(x, t, bound.positive), bound(x, t, bound.negative))

    memory = activations.of_flow(flow, request["tokens"], request["image_tokens"], device)
    rows = {}
    for name, call in (("conditional pass", lambda: bound(x, t, bound.positive)), ("guided step", guided)):
        rows[name] = {**measured_and_counted(call, device), **planned(call, flow, memory, device)}
    tokens = flow.tokens(x) if concat is None else torch.cat([flow.tokens(x), flow.tokens(concat)], -1)
    short = is_short(request["tokens"], device)
    shipped = Savings(together=short, recorded=short)
    switches = {}
    for field, name in NAMES.items():
        if field == "recorded" and device.type != "cuda":
            continue
        turned = replace(shipped, **{field: not getattr(shipped, field)})
        step = guided_step(flow, x, cond, turned)
        switches[name] = {"shipped": getattr(shipped, field), **measured(lambda step=step: step(tokens, t), device)}
    plain = guided_step(flow, x, cond, Savings(*[False] * len(NAMES)))
    switches["all of these"] = {"shipped": True, **measured(lambda: plain(tokens, t), device)}
    if serve(device):
        with plain_torch():
            step = guided_step(flow, x, cond, shipped)
            switches["Triton kernels"] = {"shipped": True, **measured(lambda: step(tokens, t), device)}
    for name, kind in _eight_bits(device):
        reduced = copy.deepcopy(flow)
        quantise_torso(reduced, kind)
        step = guided_step(reduced, x, cond, shipped)
        switches[name] = {"shipped": False, **measured(lambda step=step: step(tokens, t), device)}
    kernels = {}
    for name, use in _attention_kernels(device):
        step = guided_step(flow, x, cond, shipped)
        with use:
            try:
                kernels[name] = measured(lambda step=step: step(tokens, t), device)
            except RuntimeError as error:  # torch has no such kernel for this device
                kernels[name] = {"problem": str(error).splitlines()[0][:120]}
    about = {"tokens": request["tokens"], "image_tokens": request["image_tokens"], "blocks": len(flow.blocks)}
    about |= {
        "of_blocks": NETWORKS[request["network"]].args["num_blocks"],
        "dtype": str(flow.dtype).removeprefix("torch."),
    }
    peak = ceiling(device, torch.bfloat16)
    answer(folder, {**about, "ceiling": peak, "rows": rows, "switches": switches, "attention": kernels})
    return 0


def _network(request: dict[str, Any], device: torch.device) -> FlowTransformer:
    changes = {}
    if request["network"] == "sparse_structure_flow_model":
        changes["resolution"] = round(request["tokens"] ** (1 / 3))
    if request["blocks"]:
        changes["num_blocks"] = request["blocks"]
    return random_network(request["network"], device, **changes)


def _sample(flow: FlowTransformer, tokens: int, device: torch.device) -> State:
    """A dense volume, or the cells of a ball's surface, as many as there are to be tokens."""
    if hasattr(flow, "rope_phases"):
        side = flow.config.resolution
        return torch.randn(1, flow.config.in_channels, side, side, side, device=device)
    side = 96
    axis = torch.arange(side) + 0.5 - side / 2
    radius = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).square().sum(0).sqrt()
    nearest = (radius - 0.47 * side).abs().flatten().argsort(stable=True)[:tokens].sort().values
    cells = torch.stack([torch.zeros_like(nearest), nearest // side**2, nearest // side % side, nearest % side], 1)
    channels = min(flow.config.in_channels, 32)
    return SparseTensor(torch.randn(tokens, channels, device=device), cells.int().to(device))


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
