# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: at full size on a GPU, at small sizes on a CPU. A part takes under ten minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..console import CommandError
from ..finishing_bench.watch import run_task

Result = dict[str, Any]


@dataclass(frozen=True)
class Flow:
    """A flow stage: the network (key of ``weights.released.NETWORKS``), its tokens, and those of the image."""

    part: str
    network: str
    tokens: int
    image_tokens: int


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. ``blocks``: of the flows' and the image encoder's equal blocks so many are kept, 0 for all;
    ``levels``: blocks of each level of the decoders, () for all; ``objects``: (object of the finishing bench, its
    resolution) for the decoders; ``finishing``: object, resolution, faces, texels, of
    the geometry too; ``limit`` of a part in seconds."""

    device: str
    flows: tuple[Flow, ...]
    images: tuple[int, ...]
    objects: tuple[tuple[str, int], ...]
    finishing: tuple[str, int, int, int]
    structure_side: int = 16
    blocks: int = 0
    levels: tuple[int, ...] = ()
    detail: float = 1.0
    limit: float = 580.0


FULL = Plan(
    "cuda",
    (
        Flow("structure", "sparse_structure_flow_model", 16**3, 1029),
        Flow("shape-2k", "shape_slat_flow_model_512", 2200, 1029),
        Flow("shape-10k", "shape_slat_flow_model_1024", 9600, 4101),
        Flow("shape-17k", "shape_slat_flow_model_1024", 17_000, 4101),
        Flow("shape-22k", "shape_slat_flow_model_1024", 22_000, 4101),
        Flow("shape-45k", "shape_slat_flow_model_1024", 45_000, 4101),
        Flow("material-17k", "tex_slat_flow_model_1024", 17_000, 4101),
    ),
    (512, 1024),
    (("knot", 512), ("knot", 1024), ("foliage", 1024)),
    ("knot", 1024, 1_000_000, 4096),
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
    structure_side=6,
    blocks=2,
    levels=(0, 1, 1, 1, 0),
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
        parts.append(_finishing(plan, "finishing-on-processor", {**request, "on_processor": True}))
    return parts


def _finishing(plan: Plan, name: str, request: dict[str, Any]) -> Part:
    return Part(name, lambda folder: run_task("finish_task", folder, plan.limit, **request))


def _task(plan: Plan, name: str, task: str, **request: Any) -> Part:
    common = {"device": plan.device, "blocks": plan.blocks, "levels": plan.levels, "detail": plan.detail}

    def run(folder: Path) -> Result:
        return run_task(task, folder, plan.limit, package="engine_bench", **common, **request)

    return Part(name, run)


def chosen(parts: list[Part], names: list[str]) -> list[Part]:
    """The parts that ``names`` begin; all without names. Raises CommandError for a name that begins none."""
    for name in names:
        if not any(part.name.startswith(name) for part in parts):
            raise CommandError(f"There is no part “{name}”: choose from {', '.join(part.name for part in parts)}.")
    return [part for part in parts if not names or part.name.startswith(tuple(names))]
