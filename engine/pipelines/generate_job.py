# SPDX-License-Identifier: GPL-3.0-or-later
"""The job "generate": from request.json and an image to a finished object, every stage kept in the job folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..jobs import JobFolder
from ..mesh.bake import MaterialVoxels
from ..mesh.finish import FinishedAsset, FinishSettings, finish
from ..mesh.png import encode_png
from ..weights.configuration import Configuration
from ..weights.memory_plan import run_within_memory
from .asset import VoxelAsset
from .image_to_3d import ImageTo3D
from .job import (
    Report,
    counts_of,
    keep_in,
    model_set,
    prepare,
    quality_of,
    sampling_of,
    seed_of,
    setting,
    whole,
    write_maps,
    write_result,
    write_voxels,
)
from .preview import render_preview


def run(job: JobFolder, report: Report, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    """Do the job and return ``{"result": "result.json"}``.

    Raises EspalierError with a sentence for everything a person can act on, Cancelled, OSError from writing. The same
    request gives the same bytes: whatever depends on the clock goes to log.txt and state.json only.
    """
    request = job.request()
    report("prepare", 0, 1)
    prepared = prepare(job, request, report)
    report("prepare", 1, 1)

    models = model_set(request)
    kind = quality_of(request, models.config.default_kind)
    models.config.kind(kind)
    settings, finishing = sampling_of(request), _finish_settings(request, models.config)
    seed, pipeline = seed_of(request), ImageTo3D(models)

    def generate() -> VoxelAsset:
        return pipeline.run(prepared.image, seed, kind, settings, report, keep_in(job))

    asset = run_within_memory(models, "generate", kind, settings.max_tokens, report.log, generate)
    finished = _finish(job, asset, finishing, report, cancelled)
    _write(job, request, finished, prepared.notes, kind, asset)
    report.preview("finish", "preview.png")
    return {"result": "result.json"}


def _finish_settings(request: Mapping[str, Any], config: Configuration) -> FinishSettings:
    faces = setting(request, "faces", None)
    return FinishSettings(
        target_faces=None if faces is None else whole(request, "faces", 0),
        texture_size=whole(request, "texture_size", FinishSettings().texture_size),
        repair=setting(request, "repair", config.repair),
        smoothing=whole(request, "smoothing", config.smoothing),
    )


def _finish(
    job: JobFolder, asset: VoxelAsset, settings: FinishSettings, report: Report, cancelled: Callable[[], bool]
) -> FinishedAsset:
    """Keep the voxels and their raw surface, then finish the surface."""
    report("finish", 0, 1)
    write_voxels(job, asset)
    vertices, faces = asset.surface()
    job.write_npz("surface.npz", vertices=vertices, faces=faces)
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)

    def step(done: int, of: int) -> None:
        report("finish", done, of)

    return finish(vertices, faces, material, settings, step, cancelled)


def _write(
    job: JobFolder,
    request: Mapping[str, Any],
    finished: FinishedAsset,
    notes: tuple[str, ...],
    kind: str,
    asset: VoxelAsset,
) -> None:
    """Write arrays, maps and preview, and result.json last."""
    maps = write_maps(job, finished.maps)
    job.write_npz(
        "result.npz", vertices=finished.vertices, faces=finished.faces, normals=finished.normals, uv=finished.uv
    )
    preview = render_preview(finished.vertices, finished.faces, finished.uv, finished.maps["base_color"])
    job.write_bytes("preview.png", encode_png(preview))
    counts = dict(finished.report)
    seconds = counts.pop("seconds", {})
    job.log("finishing took " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))
    bounds = {"min": finished.vertices.min(axis=0).tolist(), "max": finished.vertices.max(axis=0).tolist()}
    report = {**counts, **counts_of(asset), "notes": list(notes)}
    write_result(job, request, kind, finished.alpha_mode, maps, report, bounds=bounds)
