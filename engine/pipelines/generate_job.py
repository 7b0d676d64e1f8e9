# SPDX-License-Identifier: GPL-3.0-or-later
"""The job "generate": from request.json and an image to a finished object, every stage kept in the job folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save

from ..conditioning.image import Prepared, prepare_image
from ..conditioning.reader import open_image
from ..errors import EspalierError
from ..jobs import JobFolder
from ..mesh.bake import MaterialVoxels
from ..mesh.finish import FinishedAsset, FinishSettings, finish
from ..mesh.png import encode_png
from ..ovoxel.surface import dual_grid_to_mesh
from ..weights.configuration import Configuration
from ..weights.model_set import ModelSet, load_model_set
from .asset import VoxelAsset
from .image_to_3d import MAX_TOKENS, ImageTo3D, Settings
from .preview import render_preview

STARTER = "starter"
STARTER_FOLDER = Path(__file__).resolve().parent.parent / "starter" / "weights"

_open_set: tuple[tuple[str, int], ModelSet] | None = None


class Report(Protocol):
    """The server's progress callback; it raises Cancelled once the job was cancelled."""

    def __call__(self, stage: str, step: int, of: int) -> None: ...

    def preview(self, stage: str, file: str) -> None: ...

    def log(self, level: str, text: str) -> None: ...


def run(job: JobFolder, report: Report, cancelled: Callable[[], bool]) -> Mapping[str, Any]:
    """Do the job and return ``{"result": "result.json"}``.

    Raises EspalierError with a sentence for everything a person can act on, Cancelled, OSError from writing. The same
    request gives the same bytes: whatever depends on the clock goes to log.txt and state.json only.
    """
    request = job.request()
    report("prepare", 0, 1)
    prepared = _prepare(job, request)
    for note in prepared.notes:
        report.log("info", note)
    report.preview("prepare", "prepared.png")
    report("prepare", 1, 1)

    models = _model_set(request)
    kind, seed, settings = _choices(request, models.config)

    def keep(stage: str, arrays: Mapping[str, np.ndarray], random_state: bytes) -> None:
        _write_tensors(job, f"{stage}.safetensors", arrays)
        job.save_random_state(stage, random_state)

    asset = ImageTo3D(models).run(prepared.image, seed, kind, settings, report, keep)
    finished = _finish(job, asset, _finish_settings(request, models.config), report, cancelled)
    _write_result(job, request, finished, prepared.notes, models.config, kind, asset)
    report.preview("finish", "preview.png")
    return {"result": "result.json"}


def release() -> None:
    """Forget the loaded networks and give their memory back."""
    global _open_set
    _open_set = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _prepare(job: JobFolder, request: Mapping[str, Any]) -> Prepared:
    name = request.get("input")
    if not isinstance(name, str):
        raise EspalierError("bad_request", "The job names no input image. Start it again from an image.")
    image = open_image(job.file(name), str(request.get("image") or name))
    background = "keep" if _setting(request, "background", "auto") == "keep" else "auto"
    prepared = prepare_image(image, background)
    job.write_bytes("prepared.png", _png(prepared.image))
    job.write_bytes("mask.png", _png(prepared.mask))
    return prepared


def _model_set(request: Mapping[str, Any]) -> ModelSet:
    """The model set of the request; the last one stays loaded between jobs."""
    global _open_set
    model = request.get("model") or {}
    name, path = str(model.get("set") or STARTER), model.get("path")
    if path is None and name != STARTER:
        raise EspalierError(
            "missing_model", f"The model {name} is not on this computer. Fetch it, or choose the starter model."
        )
    folder = STARTER_FOLDER if path is None else Path(path)
    try:
        version = (folder / "pipeline.json").stat().st_mtime_ns
    except OSError:
        raise EspalierError(
            "missing_model", f"The model {name} was not found in “{folder}”. Fetch it again or choose another model."
        ) from None
    key = (str(folder), version)
    if _open_set is None or _open_set[0] != key:
        release()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        _open_set = (key, load_model_set(folder, device))
    return _open_set[1]


def _choices(request: Mapping[str, Any], config: Configuration) -> tuple[str, int, Settings]:
    """Kind, seed and sampler settings. The quality is a kind of the set; "starter" or nothing is its default."""
    quality = _setting(request, "quality", None)
    kind = config.default_kind if quality in (None, "", STARTER) else str(quality)
    config.kind(kind)
    seed = request.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 1 << 63:
        raise EspalierError("bad_request", f"The seed {seed!r} is not a whole number from 0. Choose another seed.")
    samplers = _setting(request, "samplers", {})
    if not isinstance(samplers, dict) or not all(isinstance(value, dict) for value in samplers.values()):
        raise EspalierError("bad_request", "The sampler settings of this job cannot be read. Start the job again.")
    return kind, seed, Settings(_whole(request, "max_tokens", MAX_TOKENS), samplers)


def _finish_settings(request: Mapping[str, Any], config: Configuration) -> FinishSettings:
    faces = _setting(request, "faces", None)
    return FinishSettings(
        target_faces=None if faces is None else _whole(request, "faces", 0),
        texture_size=_whole(request, "texture_size", FinishSettings().texture_size),
        smoothing=_whole(request, "smoothing", config.smoothing),
    )


def _finish(
    job: JobFolder, asset: VoxelAsset, settings: FinishSettings, report: Report, cancelled: Callable[[], bool]
) -> FinishedAsset:
    """Keep the voxels and their raw surface, then finish the surface."""
    report("finish", 0, 1)
    voxels = {
        "coords": asset.coords,
        "vertices": asset.vertices,
        "intersected": asset.intersected,
        "attrs": asset.attrs,
        "resolution": np.array([asset.resolution], np.int32),
    }
    if asset.split_weight is not None:
        voxels["split_weight"] = asset.split_weight
    _write_tensors(job, "voxels.safetensors", voxels)
    split_weight = None if asset.split_weight is None else torch.from_numpy(asset.split_weight)
    vertices, faces = dual_grid_to_mesh(
        torch.from_numpy(asset.coords),
        torch.from_numpy(asset.vertices),
        torch.from_numpy(asset.intersected),
        split_weight,
        asset.resolution,
    )
    surface = {"vertices": vertices.numpy(), "faces": faces.numpy().astype(np.int32)}
    job.write_npz("surface.npz", **surface)
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)

    def step(done: int, of: int) -> None:
        report("finish", done, of)

    return finish(surface["vertices"], surface["faces"], material, settings, step, cancelled)


def _write_result(
    job: JobFolder,
    request: Mapping[str, Any],
    finished: FinishedAsset,
    notes: tuple[str, ...],
    config: Configuration,
    kind: str,
    asset: VoxelAsset,
) -> None:
    """Write arrays, maps and preview, and result.json last: where it stands, the result is complete."""
    maps = {name: f"{name}.png" for name in finished.maps}
    for name, file in maps.items():
        job.write_bytes(file, encode_png(finished.maps[name]))
    job.write_npz(
        "result.npz", vertices=finished.vertices, faces=finished.faces, normals=finished.normals, uv=finished.uv
    )
    preview = render_preview(finished.vertices, finished.faces, finished.uv, finished.maps["base_color"])
    job.write_bytes("preview.png", encode_png(preview))
    counts = dict(finished.report)
    seconds = counts.pop("seconds", {})
    job.log("finishing took " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))
    job.write_json(
        "result.json",
        {
            "alpha_mode": finished.alpha_mode,
            "maps": maps,
            "bounds": {
                "min": finished.vertices.min(axis=0).tolist(),
                "max": finished.vertices.max(axis=0).tolist(),
            },
            "report": {
                **counts,
                "voxels": len(asset.coords),
                "tokens": len(asset.latents["coords"]),
                "resolution": asset.resolution,
                "notes": list(notes),
            },
            "name": request.get("name", ""),
            "image": request.get("image", ""),
            "seed": request.get("seed", 0),
            "kind": kind,
            "model": request.get("model") or {"set": STARTER, "path": None},
        },
    )


def _setting(request: Mapping[str, Any], name: str, default: Any) -> Any:
    settings = request.get("settings") or {}
    value = settings.get(name, default) if isinstance(settings, Mapping) else default
    return default if value is None else value


def _whole(request: Mapping[str, Any], name: str, default: int) -> int:
    value = _setting(request, name, default)
    if type(value) is not int:
        raise EspalierError("bad_request", f"The setting {name} is {value!r} and should be a whole number.")
    return value


def _write_tensors(job: JobFolder, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    job.write_bytes(name, save({key: np.ascontiguousarray(value) for key, value in arrays.items()}))


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
