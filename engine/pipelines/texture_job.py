# SPDX-License-Identifier: GPL-3.0-or-later
"""The job "texture": from request.json, an image and a mesh to texture maps for the mesh's own UVs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..errors import Cancelled
from ..jobs import JobFolder
from ..mesh.bake.bake import MaterialVoxels
from ..mesh.bake.bake_mesh import bake_mesh
from ..mesh.bake.png import encode_png
from ..mesh.compilation import announcing
from ..mesh.finish_settings import FinishSettings
from ..protocol import PREVIEW_FILE
from ..weights.memory_plan import run_within_memory
from .asset import VoxelAsset
from .job import (
    COMPILING,
    Report,
    counts_of,
    keep_in,
    model_set,
    prepare,
    quality_of,
    sampling_of,
    seed_of,
    whole,
    write_maps,
    write_result,
    write_voxels,
)
from .preview import render_preview
from .surface_mesh import read_mesh
from .texturing import Texturing

MESH_FILE = "mesh.npz"
DEFAULT_TEXTURE = 2048


def run(job: JobFolder, report: Report, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    """Do the job and return ``{"result": "result.json"}``.

    Geometry and UVs are the user's and are not written back. Raises and repeats itself as ``generate_job.run``.
    """
    request = job.request()
    report("condition", 0, 1)
    mesh = read_mesh(job.file(MESH_FILE))
    vertices, faces = mesh.fitted()
    prepared = prepare(job, request, report)

    models = model_set(request)
    kind = quality_of(request, models.config.default_texturing_kind)
    models.config.texturing_kind(kind)
    settings, size = sampling_of(request), FinishSettings(texture_size=whole(request, "texture_size", DEFAULT_TEXTURE))
    seed, pipeline = seed_of(request), Texturing(models)

    def texture() -> VoxelAsset:
        return pipeline.run(vertices, faces, prepared.image, seed, kind, settings, report, keep_in(job))

    asset = run_within_memory(models, "texture", kind, settings.max_tokens, report.log, texture)

    report("finish", 0, 1)
    write_voxels(job, asset)
    if cancelled():
        raise Cancelled
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)
    with announcing(partial(report.tell, COMPILING)):
        baked = bake_mesh(vertices, faces, mesh.uv, material, size.texture_size, partial(report, "finish"))
    maps = write_maps(job, baked.maps)
    preview = render_preview(vertices, faces, mesh.uv, baked.maps["base_color"])
    job.write_bytes(PREVIEW_FILE, encode_png(preview))
    counts = {
        "faces": len(faces),
        "covered_share": round(baked.covered_share, 4),
        **counts_of(asset),
        "notes": list(prepared.notes),
    }
    write_result(job, request, kind, baked.alpha_mode, maps, counts, texture=True)
    report.preview("finish", PREVIEW_FILE)
    return {"result": "result.json"}
