# SPDX-License-Identifier: GPL-3.0-or-later
"""The job "generate": from request.json and an image to a finished object, every stage kept in the job folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..jobs import JobFolder
from ..weights.memory_plan import run_within_memory
from .asset import VoxelAsset
from .finishing import finish_settings, finish_surface
from .image_to_3d import ImageTo3D
from .job import Report, keep_in, model_set, prepare, quality_of, sampling_of, seed_of, write_voxels
from .live_preview import watching


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
    settings = sampling_of(request)
    finishing = finish_settings(request, models.config.repair, models.config.smoothing)
    seed, pipeline = seed_of(request), ImageTo3D(models)

    with watching(job, request, report) as watcher:

        def generate() -> VoxelAsset:
            return pipeline.run(prepared.image, seed, kind, settings, report, keep_in(job), watcher)

        asset = run_within_memory(models, "generate", kind, settings.max_tokens, report.log, generate)

        report("finish", 0, 1)
        write_voxels(job, asset)
        vertices, faces = asset.surface()
        job.write_npz("surface.npz", vertices=vertices, faces=faces)
        if watcher is not None:
            watcher.material(vertices, faces, asset.attrs)
        finish_surface(job, request, asset, (vertices, faces), finishing, kind, prepared.notes, report, cancelled)
    return {"result": "result.json"}
