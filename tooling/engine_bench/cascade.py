# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole generation on given numbers of tokens, with weights that mean nothing, also on a card held to less memory.

What random weights leave to chance is set: which cells are occupied, and into how many voxels each of them grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor, nn

from ...engine.pipelines.image_to_3d import ImageTo3D
from ...engine.pipelines.stages import DEFAULTS, Settings
from ...engine.pipelines.structure import occupied_cells
from ...engine.weights.activations import CHILDREN
from ...engine.weights.memory_plan import USABLE
from ...engine.weights.model_set import ModelSet

GB = 1 << 30
CONTEXT = GB // 2
"""What CUDA takes of a card before torch takes anything."""

_SIDE = 96


def surface_cells(tokens: int, device: torch.device) -> Tensor:
    """Cells int32 [tokens, 4] of the surface of a ball, as many as there are to be."""
    axis = torch.arange(_SIDE) + 0.5 - _SIDE / 2
    radius = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).square().sum(0).sqrt()
    nearest = (radius - 0.47 * _SIDE).abs().flatten().argsort(stable=True)[:tokens].sort().values
    place = [nearest // _SIDE**2, nearest // _SIDE % _SIDE, nearest % _SIDE]
    return torch.stack([torch.zeros_like(nearest), *place], 1).int().to(device)


def settle_children(model: nn.Module) -> nn.Module:
    """Have a decoder that chooses its voxels choose as many children a voxel as memory is planned for."""
    for module in model.modules():
        if isinstance(chooser := getattr(module, "to_subdiv", None), nn.Linear):
            chooser.weight.data.zero_()
            chooser.bias.data[:] = -1.0
            chooser.bias.data[:CHILDREN] = 1.0
    return model


def steps(models: ModelSet, kind: str, tokens: tuple[int, int], settings: Settings = DEFAULTS) -> Iterator[str]:
    """Do what ``ImageTo3D.run`` does, with so many ``tokens`` (first shape flow, last); yield the name of each step.

    Raises RuntimeError where the decoder makes another number of voxels than it is to make.
    """
    pipeline, route = ImageTo3D(models), models.config.kind(kind)
    noise = torch.Generator().manual_seed(0)
    sizes = {route.structure_cond, route.cond} | ({route.low.cond} if route.low else set())
    cond = pipeline.condition(Image.new("RGB", (max(sizes), max(sizes)), "grey"), sizes)
    yield "conditioning"
    z = pipeline.structure_latent(cond[route.structure_cond], noise, settings, _silent)
    yield "structure flow"
    occupied_cells(models.model("sparse_structure_decoder")(z), route.structure_grid)
    yield "structure decoder"
    cells = surface_cells(tokens[0], models.device)
    if route.low:
        coarse = pipeline.shape_latent(route.low.shape, cells, cond[route.low.cond], noise, settings, _silent)
        yield "low shape flow"
        pipeline.refine(coarse, route.low.resolution, route.resolution, settings.max_tokens)
        yield "cells of the cascade"
        cells = surface_cells(tokens[1], models.device)
    shape = pipeline.shape_latent(route.shape, cells, cond[route.cond], noise, settings, _silent)
    yield "shape flow"
    voxels = pipeline.decode_shape(shape)
    expected = len(cells) * CHILDREN ** models.sketch("shape_slat_decoder").levels
    if len(voxels.coords) != expected:
        raise RuntimeError(f"The decoder made {len(voxels.coords)} voxels instead of {expected}.")
    yield "shape decoder"
    material = pipeline.material_latent(route.texture, shape, cond[route.cond], noise, settings, _silent)
    yield "material flow"
    pipeline.decode(voxels, material, route.resolution, {})
    yield "material decoder"


def usable(card: int) -> int:
    """Bytes that a plan counts on, of a card of so many GB with nothing on it."""
    return int(USABLE * (card * GB - CONTEXT))


@contextmanager
def held_to(card: int, device: torch.device) -> Iterator[None]:
    """Inside this torch takes no more of the device than a card of so many GB has."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((card * GB - CONTEXT) / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


def _silent(step: int, of: int) -> None:
    pass
