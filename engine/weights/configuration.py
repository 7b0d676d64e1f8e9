# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a model set, released or our own, as frozen dataclasses (spec/models.md 1.1, 7.4, 7.5 and 8).

``pipeline.json`` describes the way from an image to an object, ``texturing_pipeline.json`` the texturing of a mesh.
Both have the same form and share most networks, so a set's configuration is the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import EspalierError
from ..flow.sampler import SamplerParams
from .checkpoint import read_json
from .released import CONFIGURATIONS

FILES = ("pipeline.json", "texturing_pipeline.json")
PIPELINES = ("Trellis2ImageTo3DPipeline", "Trellis2TexturingPipeline")
SAMPLERS = ("sparse_structure_sampler", "shape_slat_sampler", "tex_slat_sampler")
NORMALISATIONS = ("shape_slat_normalization", "tex_slat_normalization")
COUNTS = ("steps", "order", "guidance_reuse")
"""Parameters of a sampler that are whole numbers."""
SAMPLER_CLASSES = ("FlowEulerSampler", "FlowEulerCfgSampler", "FlowEulerGuidanceIntervalSampler")


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of a latent, one per channel: float32 [C]."""

    mean: Tensor
    std: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """From latents as the decoder knows them to what the flow works on. [N, C]."""
        return (x - self.mean.to(x.device)) / self.std.to(x.device)

    def undo(self, x: Tensor) -> Tensor:
        """From the flow's samples to latents as the decoder knows them. [N, C]."""
        return x * self.std.to(x.device) + self.mean.to(x.device)


@dataclass(frozen=True)
class Sampler:
    """A stage's sampler with its default parameters."""

    sigma_min: float
    params: SamplerParams


@dataclass(frozen=True)
class CascadeStart:
    """The first pass of a cascade: which shape flow, on the features of which image size, up to which resolution."""

    shape: str
    cond: int
    resolution: int


@dataclass(frozen=True)
class Kind:
    """One way through the networks.

    structure_cond / cond: image sizes that condition the structure and the later stages.
    structure_grid: side of the grid on which occupied cells start. shape, texture: names of the flows.
    resolution: O-Voxels along a side. low: the first pass of a cascade, or None.
    """

    structure_cond: int
    cond: int
    structure_grid: int
    shape: str
    texture: str
    resolution: int
    low: CascadeStart | None = None


_LOW = CascadeStart("shape_slat_flow_model_512", 512, 512)
_SHAPE_1024, _TEXTURE_1024 = "shape_slat_flow_model_1024", "tex_slat_flow_model_1024"
RELEASED_KINDS = {
    "512": Kind(512, 512, 32, "shape_slat_flow_model_512", "tex_slat_flow_model_512", 512),
    "1024": Kind(512, 1024, 64, _SHAPE_1024, _TEXTURE_1024, 1024),
    "1024_cascade": Kind(512, 1024, 32, _SHAPE_1024, _TEXTURE_1024, 1024, _LOW),
    "1536_cascade": Kind(512, 1024, 32, _SHAPE_1024, _TEXTURE_1024, 1536, _LOW),
}


IMAGE_TO_3D_NETWORKS = {
    "sparse_structure_flow_model",
    "sparse_structure_decoder",
    "shape_slat_decoder",
    "tex_slat_decoder",
}


@dataclass(frozen=True)
class TexturingKind:
    """One way of texturing a mesh: the image size that conditions, the texture flow, O-Voxels along a side."""

    cond: int
    texture: str
    resolution: int


RELEASED_TEXTURING_KINDS = {
    "512": TexturingKind(512, "tex_slat_flow_model_512", 512),
    "1024": TexturingKind(1024, _TEXTURE_1024, 1024),
    "1536": TexturingKind(1024, _TEXTURE_1024, 1536),
}
TEXTURING_NETWORKS = {"shape_slat_encoder", "tex_slat_decoder"}
TEXTURING_DEFAULT = "1024"


@dataclass(frozen=True)
class ImageEncoder:
    """The image encoder: the network's class name and where its files lie, relative to the set's folder."""

    name: str
    path: str


@dataclass(frozen=True)
class Configuration:
    """What a model set can do. ``models`` maps a network's key to the path of its files without their ending.

    ``kinds``: the ways from an image to an object, ``texturing_kinds`` those of texturing a mesh; empty, with a default
    of "", where the set lacks networks for it. ``repair`` and ``smoothing`` (ours): how its
    surfaces are finished unless the user says otherwise (see FinishSettings).
    """

    models: dict[str, str]
    samplers: dict[str, Sampler]
    normalisations: dict[str, Normalisation]
    image_encoder: ImageEncoder
    kinds: dict[str, Kind]
    default_kind: str
    texturing_kinds: dict[str, TexturingKind]
    default_texturing_kind: str
    repair: str = "clean"
    smoothing: int = 0

    def kind(self, name: str | None) -> Kind:
        """The kind of that name, or the set's default. Raises EspalierError("bad_request")."""
        if not self.kinds:
            raise EspalierError("bad_request", "This model can only texture meshes. Choose another model set.")
        return _chosen(self.kinds, name or self.default_kind)

    def texturing_kind(self, name: str | None) -> TexturingKind:
        """The texturing kind of that name, or the set's default. Raises EspalierError("bad_request")."""
        if not self.texturing_kinds:
            raise EspalierError("bad_request", "This model cannot texture a mesh: it lacks the networks for it.")
        return _chosen(self.texturing_kinds, name or self.default_texturing_kind)

    def joined(self, other: Configuration) -> Configuration:
        """This configuration with what only ``other`` has; where both name the same thing, this one's holds."""
        return replace(
            self,
            models={**other.models, **self.models},
            samplers={**other.samplers, **self.samplers},
            normalisations={**other.normalisations, **self.normalisations},
            kinds={**other.kinds, **self.kinds},
            default_kind=self.default_kind or other.default_kind,
            texturing_kinds={**other.texturing_kinds, **self.texturing_kinds},
            default_texturing_kind=self.default_texturing_kind or other.default_texturing_kind,
        )


_AnyKind = TypeVar("_AnyKind", Kind, TexturingKind)


def _chosen(kinds: dict[str, _AnyKind], name: str) -> _AnyKind:
    if name not in kinds:
        raise EspalierError("bad_request", f"This model has no quality “{name}”. Choose one of: {', '.join(kinds)}.")
    return kinds[name]


class _UnusableError(ValueError):
    """What in a configuration does not fit."""


def read_configuration(folder: Path) -> Configuration:
    """The configuration of the set in ``folder``, from whichever of ``FILES`` are there.

    Where the second is missing although all the networks that the released one names are there, the released one stands
    in. Raises EspalierError("bad_config") with the name of the file at fault.
    """
    names = [name for name in FILES if (folder / name).exists()] or FILES[:1]
    first, *others = (_read(folder, folder / name) for name in names)
    if FILES[1] not in names and not first.texturing_kinds:
        released = _read(folder, CONFIGURATIONS / FILES[1])
        files = [
            folder / f"{stem}{suffix}" for stem in released.models.values() for suffix in (".json", ".safetensors")
        ]
        others = [released] if all(file.is_file() for file in files) else []
    return first.joined(others[0]) if others else first


def _read(folder: Path, file: Path) -> Configuration:
    """One configuration of the set in ``folder``, compared with the networks of the set that are there."""
    config = parse_configuration(read_json(file), file.name)
    _check_latents(folder, config, file.name)
    return config


def _check_latents(folder: Path, config: Configuration, file: str) -> None:
    """Compare the lengths of the normalisations with the latent channels of the networks described in ``folder``."""
    routes = [*config.kinds.values()]
    shapes = [route.shape for route in routes] + [route.low.shape for route in routes if route.low]
    textures = [route.texture for route in (*routes, *config.texturing_kinds.values())]
    decoded = dict.fromkeys(("shape_slat_encoder", "shape_slat_decoder"), "latent_channels")
    sizes = (
        decoded | dict.fromkeys(shapes, "out_channels"),
        {"tex_slat_decoder": "latent_channels"} | dict.fromkeys(textures, "out_channels"),
    )
    for latent, networks in zip(NORMALISATIONS, sizes):
        for name in sorted(networks.keys() & config.models.keys()) if latent in config.normalisations else ():
            sidecar = folder / f"{config.models[name]}.json"
            args = read_json(sidecar).get("args") if sidecar.is_file() else None
            channels = args.get(networks[name]) if isinstance(args, dict) else None
            length = len(config.normalisations[latent].mean)
            if isinstance(channels, int) and channels != length:
                raise EspalierError(
                    "bad_config",
                    f"The model's file “{file}” cannot be used: {latent} has {length} values, and the latents of "
                    f"{name} have {channels} channels. Fetch the model again.",
                )


def parse_configuration(document: Mapping[str, Any], file: str = FILES[0]) -> Configuration:
    """Read one configuration. Raises EspalierError("bad_config") naming the file and the entry that does not fit."""
    try:
        return _configuration(document)
    except _UnusableError as problem:
        raise EspalierError(
            "bad_config",
            f"The model's file “{file}” cannot be used. Fetch the model again.",
            f"The problem is: {problem}.",
        ) from None


def _configuration(document: Mapping[str, Any]) -> Configuration:
    if document.get("name") not in PIPELINES:
        raise _UnusableError(f"the pipeline {document.get('name')!r} is not known")
    args = _entry(document, "args", dict)
    models = {_text(key): _safe_path(value) for key, value in _entry(args, "models", dict).items()}
    own = {name: _kind(value) for name, value in _entry({"pipeline_types": {}, **args}, "pipeline_types", dict).items()}
    for name, kind in own.items():
        if not _networks(kind) <= models.keys():
            raise _UnusableError(f"pipeline_types.{name} names a network that the set does not have")
    kinds = {name: kind for name, kind in RELEASED_KINDS.items() if _networks(kind) <= models.keys()} | own
    texturing = {name: TexturingKind(kind.cond, kind.texture, kind.resolution) for name, kind in own.items()}
    texturing = {
        name: kind
        for name, kind in (RELEASED_TEXTURING_KINDS | texturing).items()
        if TEXTURING_NETWORKS | {kind.texture} <= models.keys()
    }
    if not kinds and not texturing:
        raise _UnusableError("no kind of pipeline can be run with these models")
    default = _text(args["default_pipeline_type"]) if "default_pipeline_type" in args else next(iter(kinds), "")
    if default not in kinds and (kinds or default):
        raise _UnusableError(f"default_pipeline_type {default!r}")
    preferred = [name for name in (default, TEXTURING_DEFAULT, *texturing) if name in texturing]
    return Configuration(
        models=models,
        samplers={key: _sampler(key, args[key]) for key in SAMPLERS if key in args},
        normalisations={key: _normalisation(key, args[key]) for key in NORMALISATIONS if key in args},
        image_encoder=_image_encoder(_entry(args, "image_cond_model", dict)),
        kinds=kinds,
        default_kind=default,
        texturing_kinds=texturing,
        default_texturing_kind=next(iter(preferred), ""),
        repair=_repair(args.get("surface_repair", "clean")),
        smoothing=_passes(args.get("surface_smoothing", 0)),
    )


def _passes(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 100:
        raise _UnusableError("surface_smoothing")
    return value


def _repair(value: Any) -> str:
    if value not in ("as_generated", "clean", "watertight"):
        raise _UnusableError("surface_repair")
    return value


def _safe_path(value: Any) -> str:
    """A relative path that stays inside the model set's folder."""
    text = _text(value)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text or "\0" in text or not path.parts:
        raise _UnusableError(f"the path {text!r} leaves the model's folder")
    return text


def _networks(kind: Kind) -> set[str]:
    return IMAGE_TO_3D_NETWORKS | {kind.shape, kind.texture} | ({kind.low.shape} if kind.low else set())


def _kind(value: Any) -> Kind:
    """A kind of our own sets: the structure is conditioned as the rest unless ``structure_cond`` says otherwise."""
    try:
        low = value.get("low")
        return Kind(
            structure_cond=_size(value.get("structure_cond", value["cond"])),
            cond=_size(value["cond"]),
            structure_grid=_size(value["structure_grid"]),
            shape=_text(value["shape"]),
            texture=_text(value["texture"]),
            resolution=_size(value["resolution"]),
            low=None
            if low is None
            else CascadeStart(_text(low["shape"]), _size(low["cond"]), _size(low["resolution"])),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _UnusableError("pipeline_types") from None


def _sampler(key: str, value: Any) -> Sampler:
    name, params = _entry(value, "name", str), _entry(value, "params", dict)
    known = {field.name for field in fields(SamplerParams)}
    if name not in SAMPLER_CLASSES or not params.keys() <= known:
        raise _UnusableError(f"{key}: {name} {sorted(params)}")
    try:
        settings = sampler_params(SamplerParams(), params)
        return Sampler(float(value.get("args", {}).get("sigma_min", 1e-5)), settings)
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise _UnusableError(key) from None


def sampler_params(defaults: SamplerParams, values: Mapping[str, Any]) -> SamplerParams:
    """Return ``defaults`` with the given fields replaced, from JSON. Raises TypeError, ValueError or OverflowError."""
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if name == "guidance_interval":
            low, high = value
            typed[name] = (float(low), float(high))
        else:
            typed[name] = int(value) if name in COUNTS else float(value)
    params = defaults.with_overrides(typed)
    numbers = (params.guidance_strength, params.guidance_rescale, *params.guidance_interval, params.rescale_t)
    if not (1 <= params.steps <= 1000 and params.rescale_t > 0 and all(map(math.isfinite, numbers))):
        raise ValueError(f"{params.steps} steps, {numbers}")
    if params.order not in (1, 2) or not 1 <= params.guidance_reuse <= 1000:
        raise ValueError(f"order {params.order}, guidance_reuse {params.guidance_reuse}")
    return params


def _normalisation(key: str, value: Any) -> Normalisation:
    try:
        mean, std = (torch.tensor(value[part], dtype=torch.float32) for part in ("mean", "std"))
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError):
        raise _UnusableError(key) from None
    if mean.ndim != 1 or mean.shape != std.shape or not bool(((std > 0) & (std + mean).isfinite()).all()):
        raise _UnusableError(key)
    return Normalisation(mean, std)


def _image_encoder(value: Mapping[str, Any]) -> ImageEncoder:
    """Ours names a checkpoint of the set; the released form names the repository of the original weights."""
    name, args = _entry(value, "name", str), _entry(value, "args", dict)
    if name == "DINOv3ViT":
        return ImageEncoder(name, _safe_path(args.get("checkpoint")))
    if name == "DinoV3FeatureExtractor":
        return ImageEncoder(name, _safe_path(args.get("model_name")))
    raise _UnusableError(f"image_cond_model {name!r}")


def _entry(value: Any, key: str, kind: type) -> Any:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, kind):
        raise _UnusableError(key)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _UnusableError(f"{value!r} where a name is expected")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 4096:
        raise _UnusableError(f"{value!r} where a size is expected")
    return value
