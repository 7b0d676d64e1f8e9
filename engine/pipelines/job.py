# SPDX-License-Identifier: GPL-3.0-or-later
"""What every job does: read its request, prepare its image, find its networks, keep what it computes in its folder."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save

from ..conditioning.image import OWN_TRANSPARENCY, Prepared, prepare_image
from ..conditioning.matting import matte_for
from ..conditioning.reader import open_image
from ..errors import EspalierError
from ..jobs import JobFolder
from ..kernels.choice import why_not
from ..mesh.bake.png import encode_png
from ..mesh.finish_settings import true_or_false
from ..models import float8
from ..weights.configuration import FILES
from ..weights.model_set import ModelSet, load_model_set
from ..weights.precision import Precision
from ..weights.registry import STARTER, STARTER_FOLDER
from .asset import VoxelAsset
from .stages import MAX_TOKENS, Keep, Settings, refuse_unknown

SETTINGS = (
    *("quality", "matting", "texture_size", "samplers", "fast", "int8", "fp8"),
    *("faces", "ratio", "repair", "smoothing", "hole_length", "floater_size", "thickness"),
    *("lods", "occlusion", "normal_map", "draft", "max_tokens"),
)
"""All that a request may set; docs/pipelines.md says what each means. A kind of job leaves out what is not for it."""

_open_set: tuple[tuple[str | int, ...], ModelSet] | None = None


COMPILING = "Compiling for this computer, once"
"""What is told while the loops of finishing are compiled: after an installation, and after an update."""


class Report(Protocol):
    """The server's progress callback; it raises Cancelled once the job was cancelled."""

    def __call__(self, stage: str, step: int, of: int) -> None: ...

    def tell(self, text: str) -> None: ...

    def preview(self, stage: str, file: str) -> None: ...

    def log(self, level: str, text: str) -> None: ...


def prepare(job: JobFolder, request: Mapping[str, Any], report: Report) -> Prepared:
    """Prepare the job's image, keep picture and mask, and pass on what was noticed."""
    check_settings(request)
    name = request.get("input")
    if not isinstance(name, str):
        raise EspalierError("bad_request", "The job names no input image. Start it again from an image.")
    image = open_image(job.file(name), str(request.get("image") or name))
    matting = setting(request, "matting", "auto")
    prepared = prepare_image(image, matting, matte_for(matting, request.get("models_folder")))
    job.write_bytes("prepared.png", _png(prepared.image))
    job.write_bytes("mask.png", _png(prepared.mask))
    for note in prepared.notes:
        report.log("detail" if note == OWN_TRANSPARENCY else "info", note)
    report.preview("prepare", "prepared.png")
    if torch.cuda.is_available() and (reason := why_not(torch.device("cuda", torch.cuda.current_device()))):
        report.log("detail", reason)
    return prepared


def model_set(request: Mapping[str, Any]) -> ModelSet:
    """The model set of the request; the last one stays loaded between jobs. Raises EspalierError."""
    global _open_set
    folder = model_folder(request)
    files = [folder / file for file in FILES if (folder / file).is_file()]
    models_folder = request.get("models_folder")
    if not isinstance(models_folder, str | None):
        raise EspalierError("bad_request", "The job's folder for models is no path. Start the job again.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = precision_of(request, device)
    key = (str(folder), str(models_folder), precision, *(file.stat().st_mtime_ns for file in files))
    if _open_set is None or _open_set[0] != key:
        release()
        elsewhere = Path(models_folder) if models_folder else None
        _open_set = (key, load_model_set(folder, device, precision, elsewhere))
    return _open_set[1]


def precision_of(request: Mapping[str, Any], device: torch.device) -> Precision:
    """How the request wants the networks' numbers kept. Raises EspalierError("bad_settings"), also where ``device``
    cannot do so.
    """
    int8, fp8 = choice(request, "int8"), choice(request, "fp8")
    if int8 and fp8:
        raise EspalierError("bad_settings", "Of 8-bit weights and FP8 only one can be had: switch one of them off.")
    if fp8:
        float8.require(device)
        return "fp8"
    return "int8" if int8 else "auto"


def model_folder(request: Mapping[str, Any]) -> Path:
    """The folder of the request's model set. Raises EspalierError("missing_model" or "bad_request")."""
    model = model_of(request)
    name, path = str(model.get("set") or STARTER), model.get("path")
    if path is None and name != STARTER:
        raise EspalierError(
            "missing_model", f"The model {name} is not on this computer. Fetch it, or choose the starter model."
        )
    folder = STARTER_FOLDER if path is None else Path(path)
    if not any((folder / file).is_file() for file in FILES):
        raise EspalierError(
            "missing_model", f"The model {name} was not found in “{folder}”. Fetch it again or choose another model."
        )
    return folder


def release() -> None:
    """Forget the loaded networks and give their memory back."""
    global _open_set
    if _open_set is not None:
        # Now, not when Python next looks for objects that refer to each other, as the set and its residency do.
        _open_set[1].release()
        _open_set = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def model_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``model`` entry of a request; the starter's where there is none. Raises EspalierError("bad_request")."""
    model = request.get("model") or {"set": STARTER, "path": None}
    if not isinstance(model, Mapping) or not isinstance(model.get("path"), str | None):
        raise EspalierError("bad_request", "The job does not say which model it is for. Start the job again.")
    return model


def quality_of(request: Mapping[str, Any], default: str) -> str:
    """The kind of the set that the request asks for; "starter" or nothing is the set's default."""
    quality = setting(request, "quality", None)
    return default if quality in (None, "", STARTER) else str(quality)


def seed_of(request: Mapping[str, Any]) -> int:
    """The request's seed. Raises EspalierError("bad_request")."""
    seed = request.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 1 << 63:
        raise EspalierError("bad_request", f"The seed {seed!r} is not a whole number from 0. Choose another seed.")
    return seed


def sampling_of(request: Mapping[str, Any]) -> Settings:
    """The request's sampler settings. Raises EspalierError("bad_request" or "bad_settings")."""
    samplers = setting(request, "samplers", {})
    if not isinstance(samplers, dict) or not all(isinstance(value, dict) for value in samplers.values()):
        raise EspalierError("bad_request", "The sampler settings of this job cannot be read. Start the job again.")
    return Settings(whole(request, "max_tokens", MAX_TOKENS), samplers, choice(request, "fast"))


def check_settings(request: Mapping[str, Any]) -> None:
    """Raise EspalierError("bad_request") for settings that are no object, and for one that is not in ``SETTINGS``."""
    settings = request.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise EspalierError("bad_request", "The settings of this job cannot be read. Start the job again.")
    refuse_unknown("setting", settings, SETTINGS)


def setting(request: Mapping[str, Any], name: str, default: Any) -> Any:
    """One entry of the request's settings, ``default`` where it is missing or null."""
    settings = request.get("settings") or {}
    value = settings.get(name, default) if isinstance(settings, Mapping) else default
    return default if value is None else value


def choice(request: Mapping[str, Any], name: str) -> bool:
    """A setting that is off unless it is true. Raises EspalierError("bad_settings")."""
    value = setting(request, name, False)
    true_or_false(name, value)
    return value


def whole(request: Mapping[str, Any], name: str, default: int) -> int:
    """A setting that is a whole number. Raises EspalierError("bad_request")."""
    value = setting(request, name, default)
    if type(value) is not int:
        raise EspalierError("bad_request", f"The setting {name} is {value!r} and should be a whole number.")
    return value


def keep_in(job: JobFolder) -> Keep:
    """A ``Keep`` that writes ``<stage>.safetensors`` and notes the random state."""

    def keep(stage: str, arrays: Mapping[str, np.ndarray], random_state: bytes) -> None:
        write_tensors(job, f"{stage}.safetensors", arrays)
        job.save_random_state(stage, random_state)

    return keep


def write_voxels(job: JobFolder, asset: VoxelAsset) -> None:
    """Keep an O-Voxel object as ``voxels.safetensors``."""
    voxels = {
        "coords": asset.coords,
        "vertices": asset.vertices,
        "intersected": asset.intersected,
        "attrs": asset.attrs,
        "resolution": np.array([asset.resolution], np.int32),
    }
    if asset.split_weight is not None:
        voxels["split_weight"] = asset.split_weight
    write_tensors(job, "voxels.safetensors", voxels)


def write_maps(job: JobFolder, maps: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write texture maps as PNG and return the file of each."""
    for name, image in maps.items():
        job.write_bytes(f"{name}.png", encode_png(image))
    return {name: f"{name}.png" for name in maps}


def write_result(
    job: JobFolder,
    request: Mapping[str, Any],
    kind: str,
    alpha_mode: str,
    maps: Mapping[str, str],
    report: Mapping[str, Any],
    **more: Any,
) -> None:
    """Write result.json, the last file of a job: where it stands, the result is complete."""
    job.write_json(
        "result.json",
        {
            "alpha_mode": alpha_mode,
            "maps": maps,
            **more,
            "report": report,
            "name": request.get("name", ""),
            "image": request.get("image", ""),
            "seed": request.get("seed", 0),
            "kind": kind,
            "model": model_of(request),
        },
    )


def counts_of(asset: VoxelAsset) -> dict[str, Any]:
    """What a report says of the voxels behind a result (``mean_colour``: sRGB, 0..1), and of their latents where these
    are known.
    """
    tokens = {"tokens": len(asset.latents["coords"])} if asset.latents else {}
    colour = [round(float(value), 3) for value in asset.attrs[:, :3].mean(axis=0, dtype=np.float64)]
    return {"voxels": len(asset.coords), **tokens, "resolution": asset.resolution, "mean_colour": colour}


def write_tensors(job: JobFolder, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a safetensors file."""
    job.write_bytes(name, save({key: np.ascontiguousarray(value) for key, value in arrays.items()}))


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
