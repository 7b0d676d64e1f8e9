# SPDX-License-Identifier: GPL-3.0-or-later
"""One network from its two files: a ``.json`` sidecar with class and arguments, a ``.safetensors`` with the weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import EspalierError
from ..models.float8 import Float8Linear
from ..models.layers import Torso
from ..models.quantised import QuantisedLinear, quantise_torso
from ..models.registry import build_model
from .precision import FLOWS, Precision, accumulate_in_float32, run_dtype, stored_dtype
from .safetensors_file import SafetensorsFile

SCALE = ".scale"
"""Suffix of the companion of an int8 tensor: float16 [out, 1, ...], the size of one step of each output channel."""

MAX_JSON = 64 << 20

CODE = ("auto_map", "trust_remote_code", "custom_pipelines")
"""Entries by which published configurations ask for Python files beside them to be run."""

_LINEAR: dict[Precision, type[QuantisedLinear]] = {"int8": QuantisedLinear, "fp8": Float8Linear}

_FILLING = {"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_", "div", "mul"}


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises EspalierError("bad_config") with the file's name, also when it asks for code."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_JSON + 1)
        if len(content) > MAX_JSON:
            raise EspalierError(
                "bad_config",
                f"The model's file “{path.name}” is larger than {MAX_JSON >> 20} MiB, too large for a description. "
                "Fetch the model again.",
            )
        value = json.loads(content.decode("utf-8"))
        code = _asks_for_code(value)
    except FileNotFoundError:
        raise EspalierError(
            "bad_config", f"The model's file “{path.name}” is missing. Fetch the model again."
        ) from None
    except (OSError, ValueError, RecursionError):
        value, code = None, False
    if not isinstance(value, dict):
        raise EspalierError("bad_config", f"The model's file “{path.name}” cannot be read. Fetch the model again.")
    if code:
        raise EspalierError(
            "bad_config",
            f"The model's file “{path.name}” asks for program code to be loaded with the weights, which Espalier never "
            "does. Use a model set that comes without code.",
        )
    return value


def _asks_for_code(value: Any) -> bool:
    if isinstance(value, dict):
        return any((key in CODE and entry) or _asks_for_code(entry) for key, entry in value.items())
    return isinstance(value, list) and any(map(_asks_for_code, value))


def load_checkpoint(stem: Path, device: torch.device, precision: Precision = "auto") -> nn.Module:
    """Build the network that ``<stem>.json`` describes and fill it from ``<stem>.safetensors``, ready for inference.

    Raises EspalierError("bad_config" or "bad_weights") with the name of the file at fault.
    """
    return load_network(*describe_checkpoint(stem), device, precision)


def describe_checkpoint(stem: Path) -> tuple[str, dict[str, Any], Path]:
    """Class and arguments of the network that ``<stem>.json`` describes, and the file with its weights.

    Raises EspalierError("bad_config").
    """
    sidecar = read_json(stem.with_name(stem.name + ".json"))
    name, args = sidecar.get("name"), sidecar.get("args")
    if not isinstance(name, str) or not isinstance(args, dict):
        raise EspalierError(
            "bad_config", f"The model's file “{stem.name}.json” does not describe a network. Fetch the model again."
        )
    return name, args, stem.with_name(stem.name + ".safetensors")


def load_network(
    name: str,
    args: dict[str, Any],
    weights: Path,
    device: torch.device,
    precision: Precision,
    place: torch.device | None = None,
) -> nn.Module:
    """Build the network ``name`` in the precision that suits ``device`` and fill it from the file ``weights``.

    ``place``: the device that holds it for now, where that is not the one it will run on. On a CPU, parameters that are
    kept as they are stored are views of the mapped file.
    """
    place = place or device
    file = SafetensorsFile(weights)
    model = sketch_network(name, args, device, precision)
    if device.type == "cuda":
        accumulate_in_float32()
    fill(model, file, place)
    return model.to(place).eval().requires_grad_(False)


def sketch_network(name: str, args: dict[str, Any], device: torch.device, precision: Precision) -> nn.Module:
    """The network ``name`` in the precisions that suit ``device``, without values: its parameters are on "meta"."""
    with torch.device("meta"), _Unfilled():
        model = build_model(name, args)
    if isinstance(model, Torso):
        model.convert_to(stored_dtype(name, args, device, precision), run_dtype(name, args, device, precision))
        if precision in _LINEAR and name in FLOWS:
            quantise_torso(model, _LINEAR[precision])
    return model


class _Unfilled(TorchFunctionMode):
    """Leaves new parameters on "meta" as they are. To draw numbers there, torch imports its compiler, for seconds."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in _FILLING:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return (torch.empty if function is torch.randn else function)(*args, **kwargs)


def fill(model: nn.Module, file: SafetensorsFile, device: torch.device) -> None:
    """Give every parameter the tensor of its name in ``file``, on ``device`` and in the parameter's precision.

    Strict: a missing, left-over or differently shaped tensor raises EspalierError("bad_weights").
    """
    targets = model.state_dict()
    scales = {name + SCALE for name, entry in file.entries.items() if entry.dtype == torch.int8}
    stored = set(file.entries) - scales
    missing, foreign = sorted(targets.keys() - stored), sorted(stored - targets.keys())
    missing += sorted(scales - set(file.entries))
    if missing or foreign:
        hint = f"missing: {_some(missing)}; not expected: {_some(foreign)}"
        raise file.problem("belongs to another network than its description says.", hint)
    for name, target in targets.items():
        entry = file.entries[name]
        if entry.shape != tuple(target.shape):
            raise file.problem(
                "has the wrong size for its network.", f"{name}: {entry.shape} instead of {tuple(target.shape)}"
            )
        if not (entry.dtype.is_floating_point or entry.dtype == torch.int8):
            raise file.problem("has weights of a kind that is not supported.", f"{name}: {entry.dtype}")
    tensors = {}
    for name, layer in model.named_modules():
        if isinstance(layer, QuantisedLinear):
            values, scale = layer.quantised(_read(file, f"{name}.weight").to(device))
            tensors[f"{name}.weight"], layer.scale = values, scale
    for name in targets.keys() - tensors.keys():
        tensors[name] = _read(file, name).to(device, targets[name].dtype)
    model.load_state_dict(tensors, strict=True, assign=True)


def _read(file: SafetensorsFile, name: str) -> Tensor:
    return _dequantised(file, name) if file.entries[name].dtype == torch.int8 else file.read(name)


def _dequantised(file: SafetensorsFile, name: str) -> Tensor:
    values, scale = file.read(name), file.read(name + SCALE)
    if scale.shape != (values.shape[0], *[1] * (values.ndim - 1)) or not scale.is_floating_point():
        raise file.problem("has damaged quantised weights.", f"{name}{SCALE}: {tuple(scale.shape)}")
    return values.float() * scale.float()


def _some(names: list[str]) -> str:
    return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "none"
