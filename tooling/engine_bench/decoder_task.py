# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of the decoders, which decode onto exactly the O-Voxels of a procedural mesh."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from ...engine.kernels.choice import plain_torch, serve
from ...engine.models.shape_vae import FlexiDualGridVaeDecoder
from ...engine.ovoxel import mesh_to_dual_grid
from ...engine.pipelines.stages import MAX_TOKENS
from ...engine.pipelines.structure import cascade_cells, occupied_cells
from ...engine.sparse import Sites, SparseTensor
from ...engine.weights import activations
from ...engine.weights.released import NETWORKS
from ..finishing_bench import objects
from ..finishing_bench.watch import answer, request_of
from .figures import CELLS
from .kernel_groups import DECODER_KERNELS, without
from .measure import ceiling, measured, measured_and_counted, planned
from .networks import prepare, random_network


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``object`` ("" for the structure decoder), ``resolution``, ``device``."""
    folder, request = request_of(arguments)
    device = prepare(request["device"])
    about = (_on_object if request["object"] else _structure)(request, device)
    answer(folder, {**about, "ceiling": ceiling(device, torch.bfloat16)})
    return 0


def _structure(request: dict[str, Any], device: torch.device) -> dict[str, Any]:
    decoder, side = random_network("sparse_structure_decoder", device), request["resolution"]
    z = torch.randn(1, decoder.config.latent_channels, side, side, side, device=device)
    memory = activations.of_structure_decoder(decoder, side)

    def decode() -> torch.Tensor:
        return occupied_cells(decoder(z), 2 * side)

    within = planned(decode, decoder, memory, device)
    row = {**measured_and_counted(decode, device), **within}
    return {"tokens": side**3, "dtype": _name(decoder.dtype), "rows": {"structure decoder": row}}


def _on_object(request: dict[str, Any], device: torch.device) -> dict[str, Any]:
    vertices, faces = objects.OBJECTS[request["object"]](float(request["detail"]))
    grid = mesh_to_dual_grid(
        torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces), request["resolution"]
    )
    rows: dict[str, Any] = {}
    switches: dict[str, Any] = {}
    about: dict[str, Any] = {"voxels": len(grid.coords)}
    for name, network in (("shape decoder", "shape_slat_decoder"), ("material decoder", "tex_slat_decoder")):
        changes = {"num_blocks": request["levels"]} if request["levels"] else {}
        decoder = random_network(network, device, **changes)

        def decode(decoder: torch.nn.Module = decoder) -> SparseTensor:
            # Anew each time: neighbour maps are part of the work.
            return decoder.raw(_latent(grid.coords, decoder.levels, device))[0]

        tokens = len(_latent(grid.coords, decoder.levels, device))
        memory = activations.of_sparse_decoder(decoder, tokens, device)
        within = planned(decode, decoder, memory, device)
        rows[name] = {**measured_and_counted(decode, device), **within}
        if name == "shape decoder":
            rows[CELLS] = measured_and_counted(partial(_cells, grid.coords, request["resolution"], decoder), device)
        if serve(device):
            with plain_torch():
                switches[f"{name}: Triton kernels"] = {"shipped": True, **measured(decode, device)}
            for kernel, module in DECODER_KERNELS.items():
                with without(module):
                    switches[f"{name}: Triton kernel: {kernel}"] = {"shipped": True, **measured(decode, device)}
        about |= {"tokens": tokens, "blocks": sum(decoder.config.num_blocks), "dtype": _name(decoder.dtype)}
    about["of_blocks"] = sum(NETWORKS["shape_slat_decoder"].args["num_blocks"])
    return {**about, "rows": rows, "switches": switches}


def _cells(coords: torch.Tensor, resolution: int, decoder: FlexiDualGridVaeDecoder) -> torch.Tensor:
    """The cells of a grid twice as fine on which a cascade goes on after these voxels."""
    levels = decoder.levels
    fine = decoder.upsample(_latent(coords, levels, decoder.from_latent.weight.device), levels)
    return cascade_cells(fine, resolution, 2 * resolution, 2**levels, MAX_TOKENS)[0]


def _latent(coords: torch.Tensor, levels: int, device: torch.device) -> SparseTensor:
    """A random latent whose cells remember the voxels [N, 3] below them."""
    sites = Sites(torch.nn.functional.pad(coords, (1, 0)).to(device))
    for _ in range(levels):
        sites = sites.coarsen()
    return SparseTensor(torch.randn(len(sites), 32, device=device), sites)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
