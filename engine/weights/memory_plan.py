# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a job fits into memory, said before it starts, and a way to run it within what there is.

Three plans, the best that the memory allows: all networks stay ("fits"), they take turns ("turns"), or not even the
widest step has room ("too_big"). A result is the same under every plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from .. import machine
from ..errors import EspalierError
from ..failure import ran_out_of_memory
from . import activations
from .activations import cells_of, image_tokens
from .model_set import IMAGE_ENCODER, ModelSet
from .residency import Budget, Use

Job = Literal["generate", "texture"]
Mode = Literal["fits", "turns", "too_big"]

USABLE = 0.92
"""Share of the free memory that is counted on: allocators lose some to rounding and fragments."""
UNBUDGETED_RESOLUTION = 1024
"""The token budget lowers the resolution of a cascade, but not below this."""
BYTES_A_VOXEL = 64
"""What of the decoded shape stays while its material is decoded: coordinates, vertex, flags, weight, coarse maps."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class MemoryPlan:
    """How a job of that kind goes with the memory there is.

    peak_bytes: the most of device memory at a time under this plan (for "too_big": under "turns"), weights included.
    sentence: the same for people. uses: the networks in the order of use, for ``ModelSet.plan``.
    """

    kind: str
    mode: Mode
    peak_bytes: int
    sentence: str
    uses: tuple[Use, ...]


def plan_memory(models: ModelSet, job: Job, kind: str, budget: Budget, max_tokens: int) -> MemoryPlan:
    """The plan for one job. ``max_tokens``: the token budget of its settings. Raises as ``ModelSet.model``."""
    plan = _plan(models, job, kind, budget, max_tokens)
    if plan.mode != "too_big":
        return plan
    return MemoryPlan(
        kind,
        "too_big",
        plan.peak_bytes,
        f"{plan.sentence} {_instead(models, job, plan, budget, max_tokens)}",
        plan.uses,
    )


def memory_plans(models: ModelSet, job: Job, budget: Budget, max_tokens: int) -> list[MemoryPlan]:
    """The plan of every kind of job that the set knows, in the set's order."""
    return [_plan(models, job, kind, budget, max_tokens) for kind in _kinds(models, job)]


def free_memory(models: ModelSet) -> Budget:
    """What device and host offer to ``models`` now: what is free, and what its networks take already."""
    on_device, on_host = models.residency.bytes
    total, free = machine.host_memory()
    host = int(USABLE * (free or total)) or None
    if models.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(models.device)
        return Budget(int(USABLE * (free + torch.cuda.memory_reserved(models.device))), host and host + on_host)
    return Budget(host and host + on_device)


def run_within_memory(
    models: ModelSet,
    job: Job,
    kind: str,
    max_tokens: int,
    log: Callable[[str, str], None],
    run: Callable[[], _Result],
    budget: Budget | None = None,
) -> _Result:
    """Say through ``log(level, text)`` how the job goes with the memory there is, then return ``run()``.

    When memory runs out nevertheless, everything is dropped and ``run`` is called once more with one network at a time.
    Raises EspalierError("out_of_memory") saying what would fit: before the start where the job cannot fit, else after
    the second time. ``budget``: what there is, measured by default.
    """
    budget = free_memory(models) if budget is None else budget
    plan = plan_memory(models, job, kind, budget, max_tokens)
    if plan.mode == "too_big":
        raise EspalierError("out_of_memory", plan.sentence)
    # That everything is as it should be is nothing to read about during each job.
    log("detail" if plan.mode == "fits" else "info", plan.sentence)
    try:
        return _run(models, plan, budget, run)
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
    # Outside of the handler: the failure's frames would keep their tensors.
    models.release()
    if models.device.type == "cuda":
        torch.cuda.empty_cache()
    log("warning", "Memory ran out. The job starts once more, with one network in memory at a time.")
    try:
        return _run(models, plan, Budget(0, 0), run)
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        text = f"There is not enough memory for quality {kind}. {_instead(models, job, plan, budget, max_tokens)}"
        raise EspalierError("out_of_memory", text) from None


def _run(models: ModelSet, plan: MemoryPlan, budget: Budget, run: Callable[[], _Result]) -> _Result:
    models.plan(plan.uses, budget)
    try:
        return run()
    finally:
        models.residency.rest()


def _plan(models: ModelSet, job: Job, kind: str, budget: Budget, max_tokens: int) -> MemoryPlan:
    uses = _generation(models, kind, max_tokens) if job == "generate" else _texturing(models, kind)
    weights = sum(models.size(name) for name in {use.name for use in uses})
    together = weights + max(use.activations for use in uses)
    in_turns = max(models.size(use.name) + use.activations for use in uses)
    where = "graphics memory" if models.device.type == "cuda" else "memory"
    if budget.device is None:
        sentence = f"Quality {kind} takes about {_amount(together)} of {where}."
        return MemoryPlan(kind, "fits", together, sentence, uses)
    have = _amount(budget.device)
    if together <= budget.device:
        sentence = f"Quality {kind} fits: it takes about {_amount(together)} of {where}, and {have} are free."
        return MemoryPlan(kind, "fits", together, sentence, uses)
    if in_turns <= budget.device:
        sentence = (
            f"Quality {kind} would take about {_amount(together)} of {where}, and {have} are free: its networks take "
            f"turns in about {_amount(in_turns)}."
        )
        return MemoryPlan(kind, "turns", in_turns, sentence, uses)
    sentence = (
        f"Quality {kind} does not fit: it needs about {_amount(in_turns)} of {where} at once, and {have} are free."
    )
    return MemoryPlan(kind, "too_big", in_turns, sentence, uses)


def _instead(models: ModelSet, job: Job, plan: MemoryPlan, budget: Budget, max_tokens: int) -> str:
    """What to do where ``plan`` failed: the best kind that takes less and should fit."""
    others = memory_plans(models, job, budget, max_tokens)
    fitting = [other for other in others if other.mode != "too_big" and other.peak_bytes < plan.peak_bytes]
    if fitting:
        # The largest, and of equals the last of the set's order.
        return f"Quality {max(reversed(fitting), key=lambda other: other.peak_bytes).kind} would fit."
    return "Close other programs, or use the starter model."


def _kinds(models: ModelSet, job: Job) -> list[str]:
    return list(models.config.kinds if job == "generate" else models.config.texturing_kinds)


def _generation(models: ModelSet, kind: str, max_tokens: int) -> tuple[Use, ...]:
    """The networks from an image to an object, in the order of ``ImageTo3D.run``."""
    route = models.config.kind(kind)
    decoder = models.sketch("shape_slat_decoder")
    flow, volume = models.sketch("sparse_structure_flow_model"), models.sketch("sparse_structure_decoder")
    side = flow.config.resolution
    sizes = {route.structure_cond, route.cond} | ({route.low.cond} if route.low else set())
    cells = tokens = cells_of(route.structure_grid)
    uses = [
        _encoding(models, max(sizes)),
        _flow(models, "sparse_structure_flow_model", side**3, route.structure_cond),
        Use("sparse_structure_decoder", activations.of_structure_decoder(volume, side)),
    ]
    if route.low:
        capped = max_tokens if route.resolution > UNBUDGETED_RESOLUTION else None
        tokens = cells_of(route.resolution >> decoder.levels, capped)
        uses += [_flow(models, route.low.shape, cells, route.low.cond), _decoding(models, "shape_slat_decoder", cells)]
    kept = tokens * activations.CHILDREN**decoder.levels * BYTES_A_VOXEL
    material = _flow(models, route.texture, tokens, route.cond)
    return (
        *uses,
        _flow(models, route.shape, tokens, route.cond),
        _decoding(models, "shape_slat_decoder", tokens),
        Use(material.name, material.activations + kept),
        _decoding(models, "tex_slat_decoder", tokens, kept),
    )


def _texturing(models: ModelSet, kind: str) -> tuple[Use, ...]:
    """The networks that texture a mesh, in the order of ``Texturing.run``."""
    route = models.config.texturing_kind(kind)
    encoder = models.sketch("shape_slat_encoder")
    levels = len(encoder.config.model_channels) - 1
    tokens = cells_of(route.resolution >> levels)
    kept = tokens * activations.CHILDREN**levels * activations.BYTES_OF_SITE
    flow = _flow(models, route.texture, tokens, route.cond)
    return (
        _encoding(models, route.cond),
        Use("shape_slat_encoder", activations.of_sparse_encoder(encoder, tokens, models.device)),
        Use(flow.name, flow.activations + kept),
        _decoding(models, "tex_slat_decoder", tokens, kept),
    )


def _encoding(models: ModelSet, size: int) -> Use:
    encoder = models.sketch(IMAGE_ENCODER)
    return Use(IMAGE_ENCODER, activations.of_image_encoder(encoder, image_tokens(encoder, size)))


def _flow(models: ModelSet, name: str, tokens: int, cond_size: int) -> Use:
    cond_tokens = image_tokens(models.sketch(IMAGE_ENCODER), cond_size)
    return Use(name, activations.of_flow(models.sketch(name), tokens, cond_tokens, models.device))


def _decoding(models: ModelSet, name: str, tokens: int, kept: int = 0) -> Use:
    return Use(name, activations.of_sparse_decoder(models.sketch(name), tokens, models.device) + kept)


def _amount(size: int) -> str:
    """A number of bytes as memory is sold: 1 GB is 2^30 bytes."""
    if size < 1 << 30:
        return f"{max(size >> 20, 1)} MB"
    return f"{size / (1 << 30):.1f} GB" if size < 100 << 30 else f"{size >> 30} GB"
