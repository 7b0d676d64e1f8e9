# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the run: what each measures, at full size and in the quick version. A part takes under ten minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..console import CommandError
from .objects import OBJECTS
from .watch import run_task

Result = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Sizes of the run. ``detail`` scales the objects' meshes; ``two_million`` is the resolution at which the knot's
    surface has two million faces; limits in seconds."""

    resolutions: tuple[int, ...] = (512, 1024)
    two_million: int = 566
    codec: int = 1024
    detail: float = 1.0
    target: int = 200_000
    texture: int = 2048
    assets: int = 100
    asset_resolution: int = 192
    starters: int = 3
    limit: float = 580.0
    xatlas_limit: float = 180.0
    blender_limit: float = 400.0

    @property
    def settings(self) -> dict[str, Any]:
        """What the objects are finished with."""
        return {"target_faces": self.target, "texture_size": self.texture, "repair": "clean"}


FULL = Plan()
QUICK = Plan((40, 56), 64, 64, 0.12, 1500, 256, 6, 32, 1, 300.0, 20.0, 120.0)
TWO_MILLION = "knot-2m"
GAP_TEXELS = 4
LODS = (0.5, 0.25, 0.12)
BATCHES = 5


@dataclass(frozen=True)
class Part:
    """One part: ``run(folder)`` measures it in an empty folder and returns what is kept of it."""

    name: str
    run: Callable[[Path], Result] = field(repr=False)


def parts_of(plan: Plan, starter: Callable[[Path, int], Path]) -> list[Part]:
    """All parts in order. ``starter(folder, seed)`` generates an object and returns its job folder."""
    coarse = plan.resolutions[0]
    parts = [Part(f"codec-{name}", lambda folder, name=name: _codec(folder, plan, name)) for name in ("sphere", "knot")]
    for resolution in plan.resolutions:
        for name in OBJECTS:
            with_tools = resolution == coarse
            settings = {**plan.settings, **({"lods": LODS} if with_tools else {})}
            request = {"object": name, "resolution": resolution, "detail": plan.detail, "settings": settings}
            parts.append(
                Part(f"{name}-{resolution}", lambda folder, r=request, t=with_tools: _object(folder, plan, r, t))
            )
    request = {"object": "knot", "resolution": plan.two_million, "detail": plan.detail, "settings": plan.settings}
    parts.append(Part(TWO_MILLION, lambda folder: _object(folder, plan, request, True)))
    for seed in range(1, plan.starters + 1):
        parts.append(Part(f"starter-{seed}", lambda folder, s=seed: _object(folder, plan, _job(folder, s), False)))
    size = -(-plan.assets // BATCHES)
    for batch in range(BATCHES):
        count = min(size, plan.assets - batch * size)
        if count > 0:
            parts.append(
                Part(f"watertight-{batch + 1}", lambda folder, f=batch * size, c=count: _watertight(folder, plan, f, c))
            )

    def _job(folder: Path, seed: int) -> dict[str, Any]:
        return {"job": str(starter(folder, seed)), "settings": {"repair": "clean"}}

    return parts


def chosen(parts: list[Part], names: list[str]) -> list[Part]:
    """The parts that ``names`` begin or are; all without names. Raises CommandError for a name that is none."""
    for name in names:
        if not any(_is(part, name) for part in parts):
            raise CommandError(f"There is no part “{name}”: choose from {', '.join(part.name for part in parts)}.")
    return [part for part in parts if not names or any(_is(part, name) for name in names)]


def _is(part: Part, name: str) -> bool:
    return part.name == name or part.name.startswith(name + "-")


def _codec(folder: Path, plan: Plan, name: str) -> Result:
    return {"codec": run_task("codec_task", folder, plan.limit, object=name, resolution=plan.codec, detail=plan.detail)}


def _watertight(folder: Path, plan: Plan, first: int, count: int) -> Result:
    request = {"first": first, "count": count, "resolution": plan.asset_resolution}
    return {"watertight": run_task("watertight_task", folder, plan.limit, **request)}


def _object(folder: Path, plan: Plan, request: dict[str, Any], with_tools: bool) -> Result:
    """One object finished and measured; ``with_tools`` also simplified and unwrapped by other tools."""
    result: Result = {"finish": run_task("finish_task", folder, plan.limit, **request)}
    if result["finish"]["status"] != "finished":
        return result
    about = result["finish"]["answer"]
    resolution, size = about["resolution"], about["texture_size"]
    result["measure"] = run_task(
        "measure_task", folder / "measure", plan.limit, resolution=resolution, texture_size=size
    )
    if with_tools:
        layout = {"texture_size": size, "padding": GAP_TEXELS, "target": plan.target}
        result["engine"] = run_task("compare_task", folder / "engine", plan.limit, resolution=resolution, **layout)
        if result["engine"]["status"] == "finished":
            result["xatlas"] = run_task("xatlas_task", folder / "xatlas", plan.xatlas_limit, **layout)
            result["blender"] = run_task("blender_task", folder / "blender", plan.blender_limit, **layout)
            result["compared"] = run_task("compare_measure_task", folder / "compared", plan.limit, texture_size=size)
    for path in (folder / "raw.npz", folder / "engine" / "clean.npz"):
        path.unlink(missing_ok=True)
    return result
