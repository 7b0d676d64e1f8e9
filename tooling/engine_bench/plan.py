# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: at full size on a GPU, at small sizes on a CPU. A part takes under ten minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..console import CommandError
from ..finishing_bench.watch import ANSWER_FILE, run_task

Result = dict[str, Any]

SAMPLING = "sampling-"
"""Before the part of a guided step stands this in the name of that of its whole sampler."""

RANDOM_SET = "random-set"
"""The folder, beside those of the parts, of the model set that all whole runs read."""


@dataclass(frozen=True)
class Flow:
    """A flow stage: the network (key of ``weights.released.NETWORKS``), its tokens, and those of the image."""

    part: str
    network: str
    tokens: int
    image_tokens: int


@dataclass(frozen=True)
class Whole:
    """Whole generations of one kind, one after the other in one process.

    ``tokens`` of its first shape flow and of its last; ``card``: GB to which torch is held, 0 for all there is;
    ``fresh_kernels``: the Triton kernels are compiled anew; ``off``: attributes of the residency that are switched off.
    """

    part: str
    kind: str
    tokens: tuple[int, int]
    card: int = 0
    runs: int = 3
    fast: bool = False
    precision: str = "auto"
    fresh_kernels: bool = False
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. ``blocks``: of the flows' and the image encoder's equal blocks so many are kept, 0 for all;
    ``levels``: blocks of each level of the decoders, () for all; ``objects``: (object of the finishing bench, its
    resolution) for the decoders; ``steps`` of every sampler, 0 for as released; ``narrow``: whole runs are of networks
    that are hardly anything; ``finishing``: object, resolution, faces, texels, of the geometry too; ``agreement`` the
    same for the comparison of card and processor; ``limit`` of a part in seconds."""

    device: str
    flows: tuple[Flow, ...]
    images: tuple[int, ...]
    objects: tuple[tuple[str, int], ...]
    finishing: tuple[str, int, int, int]
    agreement: tuple[str, int, int, int]
    whole: tuple[Whole, ...]
    structure_side: int = 16
    blocks: int = 0
    levels: tuple[int, ...] = ()
    steps: int = 0
    narrow: bool = False
    detail: float = 1.0
    limit: float = 580.0


CASCADE, CASCADE_TOKENS = "1024_cascade", (2200, 17_000)
FULL = Plan(
    "cuda",
    (
        Flow("structure", "sparse_structure_flow_model", 16**3, 1029),
        Flow("shape-2k", "shape_slat_flow_model_512", 2200, 1029),
        Flow("shape-10k", "shape_slat_flow_model_1024", 9600, 4101),
        Flow("shape-17k", "shape_slat_flow_model_1024", 17_000, 4101),
        Flow("shape-22k", "shape_slat_flow_model_1024", 22_000, 4101),
        Flow("shape-45k", "shape_slat_flow_model_1024", 45_000, 4101),
        Flow("material-2k", "tex_slat_flow_model_512", 2200, 1029),
        Flow("material-17k", "tex_slat_flow_model_1024", 17_000, 4101),
        Flow("material-22k", "tex_slat_flow_model_1024", 22_000, 4101),
    ),
    (512, 1024),
    (("knot", 512), ("knot", 1024), ("knot", 1536), ("foliage", 1024)),
    ("knot", 1024, 1_000_000, 4096),
    ("knot", 512, 200_000, 2048),
    (
        Whole("run-ten", CASCADE, CASCADE_TOKENS, runs=10),
        Whole("run-first-start", CASCADE, CASCADE_TOKENS, runs=2, fresh_kernels=True),
        Whole("run-fast", CASCADE, CASCADE_TOKENS, fast=True),
        Whole("run-fast-fp8", CASCADE, CASCADE_TOKENS, fast=True, precision="fp8"),
        Whole("run-512", "512", (2200, 2200)),
        Whole("run-1536", "1536_cascade", (2200, 22_000)),
        Whole("run-card-6-512", "512", (2200, 2200), 6),
        *(Whole(f"run-card-{card}", CASCADE, CASCADE_TOKENS, card) for card in (8, 12, 16, 24)),
        Whole("run-card-12-copied-late", CASCADE, CASCADE_TOKENS, 12, off=("copies_early",)),
        Whole("run-card-12-pageable", CASCADE, CASCADE_TOKENS, 12, off=("locks",)),
        Whole("run-card-16-1536", "1536_cascade", (2200, 22_000), 16),
    ),
)
SMALL = Plan(
    "cpu",
    (
        Flow("structure", "sparse_structure_flow_model", 6**3, 69),
        Flow("shape-short", "shape_slat_flow_model_512", 256, 69),
        Flow("shape-long", "shape_slat_flow_model_1024", 640, 261),
        Flow("material-long", "tex_slat_flow_model_1024", 640, 261),
    ),
    (128, 256),
    (("knot", 64),),
    ("knot", 64, 1500, 256),
    ("knot", 64, 1500, 256),
    (
        Whole("run-cascade", CASCADE, (100, 300), runs=3),
        Whole("run-fast", CASCADE, (100, 300), runs=3, fast=True),
    ),
    structure_side=6,
    blocks=2,
    levels=(0, 1, 1, 1, 0),
    steps=4,
    narrow=True,
    detail=0.12,
)


@dataclass(frozen=True)
class Part:
    """One part: ``run(folder)`` measures it in an empty folder and returns what is kept of it."""

    name: str
    run: Callable[[Path], Result] = field(repr=False)


def parts_of(plan: Plan) -> list[Part]:
    """All parts in order."""
    parts = [_task(plan, f"image-{size}", "image_task", size=size) for size in plan.images]
    parts += [_task(plan, flow.part, "flow_task", **vars(flow)) for flow in plan.flows]
    parts += [_task(plan, SAMPLING + flow.part, "sampling_task", **vars(flow)) for flow in plan.flows]
    parts.append(_task(plan, "structure-decoder", "decoder_task", object="", resolution=plan.structure_side))
    for name, resolution in plan.objects:
        parts.append(_task(plan, f"decoders-{name}-{resolution}", "decoder_task", object=name, resolution=resolution))
    name, resolution, faces, texels = plan.finishing
    size = {"object": name, "resolution": resolution, "faces": faces, "texels": texels}
    parts.append(_task(plan, "geometry", "geometry_task", **size))
    settings = {"target_faces": faces, "texture_size": texels, "repair": "clean"}
    request = {"object": name, "resolution": resolution, "detail": plan.detail, "settings": settings}
    parts.append(_finishing(plan, "finishing", request))
    if plan.device == "cuda":
        parts.append(_finishing(plan, "finishing-without-triton", {**request, "without_triton": True}))
        parts.append(_finishing(plan, "finishing-on-processor", {**request, "on_processor": True}))
        name, resolution, faces, texels = plan.agreement
        size = {"object": name, "resolution": resolution, "faces": faces, "texels": texels}
        parts.append(_task(plan, "agreement", "agreement_task", **size))
    return parts + [_whole(plan, whole) for whole in plan.whole]


def _finishing(plan: Plan, name: str, request: dict[str, Any]) -> Part:
    return Part(name, lambda folder: run_task("finish_task", folder, plan.limit, **request))


def _whole(plan: Plan, whole: Whole) -> Part:
    """Whole runs, and before the first of all such parts the set that they read."""

    def run(folder: Path) -> Result:
        shared = folder.parent / RANDOM_SET
        if not (shared / ANSWER_FILE).exists():
            written = run_task("set_task", shared, plan.limit, package="engine_bench", narrow=plan.narrow)
            if written["status"] != "finished":
                folder.mkdir(parents=True, exist_ok=True)
                return {**written, "status": f"{written['status']} writing the random set"}
        request = {**vars(whole), "set": str(shared / "set"), "device": plan.device, "steps": plan.steps}
        return run_task("cascade_task", folder, plan.limit, package="engine_bench", **request)

    return Part(whole.part, run)


def _task(plan: Plan, name: str, task: str, **request: Any) -> Part:
    common = {"device": plan.device, "blocks": plan.blocks, "levels": plan.levels, "detail": plan.detail}
    common["steps"] = plan.steps

    def run(folder: Path) -> Result:
        return run_task(task, folder, plan.limit, package="engine_bench", **common, **request)

    return Part(name, run)


def chosen(parts: list[Part], names: list[str]) -> list[Part]:
    """The parts that ``names`` begin; all without names. Raises CommandError for a name that begins none."""
    for name in names:
        if not any(part.name.startswith(name) for part in parts):
            raise CommandError(f"There is no part “{name}”: choose from {', '.join(part.name for part in parts)}.")
    return [part for part in parts if not names or part.name.startswith(tuple(names))]
