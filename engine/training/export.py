# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes trained stages as a model set: released folder layout, weights as int8 with a scale per output row."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .presets import GRID, IMAGE_SIZE, NETWORKS, RESOLUTION

STAGE_OF = {
    "sparse_structure_encoder": "sparse_structure_vae",
    "sparse_structure_decoder": "sparse_structure_vae",
    "shape_slat_encoder": "shape_vae",
    "shape_slat_decoder": "shape_refinement",
    "tex_slat_encoder": "texture_vae",
    "tex_slat_decoder": "texture_refinement",
    "image_encoder": "image_encoder",
    "sparse_structure_flow_model": "sparse_structure_flow",
    "shape_slat_flow_model_64": "shape_refinement",
    "tex_slat_flow_model_64": "texture_refinement",
}
SHIPPED = [name for name in STAGE_OF if name not in ("sparse_structure_encoder", "tex_slat_encoder")]
"""The pipelines run these; the two other encoders are needed for training only."""
SMALLEST_QUANTISED = 1024

SAMPLERS = {
    "sparse_structure_sampler": (12, 2.0, 0.0, [0.0, 1.0], 3.0),
    "shape_slat_sampler": (1, 1.0, 0.0, [0.0, 1.0], 1.0),
    "tex_slat_sampler": (1, 1.0, 0.0, [0.0, 1.0], 1.0),
}
"""Steps, guidance strength, rescale, interval, time rescale; the refined flows take one step (``refinement.py``)."""


SMOOTHING = 8
"""Passes that take the voxel noise off the starter's surfaces and leave their parts."""

RECALL = {
    "sparse_structure_decoder": {"out_layer.2.bias": (slice(None), 0.5)},
    "shape_slat_decoder": {"to_subdiv.bias": (slice(None), 0.5), "output_layer.bias": (slice(3, 6), 0.25)},
}
"""Raised logits by network and end of name: a wavering surface is better whole than torn (chosen on unseen objects)."""


def lean_to_recall(name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move the decisions of a decoder by the offsets of ``RECALL``, in its biases."""
    result = dict(weights)
    for key, tensor in weights.items():
        for end, (rows, offset) in RECALL.get(name, {}).items():
            if key.endswith(end):
                result[key] = tensor.clone()
                result[key][rows] += offset
    return result


def quantise(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 values and the float16 scale [out, 1, ...] with ``values * scale`` nearest to ``tensor``."""
    rows = tensor.float().flatten(1)
    scale = (rows.abs().amax(1, keepdim=True) / 127).clamp(min=1e-7).half()
    values = (rows / scale.float()).round().clamp(-127, 127).to(torch.int8)
    return values.view(tensor.shape), scale.view(-1, *[1] * (tensor.dim() - 1))


def pack(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Quantise the matrices and convolution kernels of a state dictionary; the small rest becomes float16."""
    packed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if tensor.dim() >= 2 and tensor.numel() >= SMALLEST_QUANTISED:
            packed[name], packed[f"{name}.scale"] = quantise(tensor)
        else:
            packed[name] = tensor.half()
    return packed


def export_model_set(work: Path, output: Path) -> None:
    """Collect the stages of ``work`` into the model set ``output`` (pipeline.json and ckpts/)."""
    (output / "ckpts").mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        weights = load_file(work / STAGE_OF[name] / f"{name}.safetensors")
        weights = pack(lean_to_recall(name, weights))
        save_file({k: v.contiguous() for k, v in weights.items()}, output / "ckpts" / f"{name}.safetensors")
        kind, arguments = NETWORKS[name]
        _write(output / "ckpts" / f"{name}.json", {"name": kind, "args": arguments})
    _write(output / "pipeline.json", _pipeline(work))
    _write(output / "training.json", _record(work))


def _pipeline(work: Path) -> dict:
    models = {name: f"ckpts/{name}" for name in SHIPPED if name != "image_encoder"}
    arguments: dict = {"models": models}
    for name, (steps, strength, rescale, interval, rescale_t) in SAMPLERS.items():
        arguments[name] = {
            "name": "FlowEulerGuidanceIntervalSampler",
            "args": {"sigma_min": 1e-5},
            "params": {
                "steps": steps,
                "guidance_strength": strength,
                "guidance_rescale": rescale,
                "guidance_interval": interval,
                "rescale_t": rescale_t,
            },
        }
    for key, stage in (("shape_slat_normalization", "shape_vae"), ("tex_slat_normalization", "texture_vae")):
        arguments[key] = json.loads((work / stage / "normalization.json").read_text(encoding="utf-8"))
    arguments["image_cond_model"] = {"name": "DINOv3ViT", "args": {"checkpoint": "ckpts/image_encoder"}}
    arguments["pipeline_types"] = {
        str(RESOLUTION): {
            "cond": IMAGE_SIZE,
            "structure_grid": GRID,
            "shape": "shape_slat_flow_model_64",
            "texture": "tex_slat_flow_model_64",
            "resolution": RESOLUTION,
        }
    }
    arguments["default_pipeline_type"] = str(RESOLUTION)
    arguments["surface_repair"] = "watertight"
    arguments["surface_smoothing"] = SMOOTHING
    return {"name": "Trellis2ImageTo3DPipeline", "args": arguments}


def _record(work: Path) -> dict:
    """Gather steps, seconds and validation measures of every stage, for the model card."""
    record = {}
    for path in sorted(work.glob("*/validation.json")):
        record[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
