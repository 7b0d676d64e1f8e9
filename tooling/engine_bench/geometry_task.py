# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of geometry on the device: the codec both ways, sampling at texels, the UV rasteriser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ...engine.kernels.choice import plain_torch, serve
from ...engine.mesh.lookup.raster import rasterise
from ...engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid, sample_sparse
from ..finishing_bench import objects
from ..finishing_bench.watch import answer, request_of
from .measure import measured
from .networks import prepare

CHANNELS = 7


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``object``, ``resolution``, ``faces``, ``texels``, ``detail``, ``device``.

    ``faces`` are those of the UV layout, ``texels`` the side of the image.
    """
    folder, request = request_of(arguments)
    device, resolution, texels = prepare(request["device"]), request["resolution"], request["texels"]
    vertices, faces = objects.OBJECTS[request["object"]](float(request["detail"]))
    points, corners = torch.from_numpy(vertices.astype(np.float32)).to(device), torch.from_numpy(faces).to(device)
    grid = mesh_to_dual_grid(points, corners, resolution)
    values = torch.rand(len(grid.coords), CHANNELS, device=device)
    at = _on_surface(points[corners], texels**2)
    uv = layout(request["faces"])
    calls = {
        "mesh to O-Voxels": lambda: mesh_to_dual_grid(points, corners, resolution),
        "O-Voxels to mesh": lambda: dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, None, resolution),
        "materials at every texel": lambda: sample_sparse(grid.coords, values, at, resolution),
        "UV rasteriser, from and to host arrays": lambda: rasterise(uv, texels),
    }
    rows: dict[str, Any] = {}
    for name, call in calls.items():
        rows[name] = measured(call, device)
        if serve(device):
            with plain_torch():
                rows[name]["without"] = measured(call, device)
    about = {"resolution": resolution, "input_faces": len(faces), "voxels": len(grid.coords), "texels": texels}
    answer(folder, {**about, "geometry": rows})
    return 0


def _on_surface(triangles: torch.Tensor, count: int) -> torch.Tensor:
    """Points [count, 3] on triangles [F, 3, 3], along the list of these, as texels of neighbouring faces lie."""
    face = torch.arange(count, device=triangles.device) * len(triangles) // count
    weights = torch.rand(count, 3, device=triangles.device)
    return (triangles[face] * (weights / weights.sum(1, keepdim=True)).unsqueeze(2)).sum(1)


def layout(faces: int) -> np.ndarray:
    """A UV layout float32 [F, 3, 2] of at least so many faces: squares of two, each a chart with a gap around it."""
    side = math.ceil(math.sqrt(faces / 2))
    line = np.arange(side) / side
    corner = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 1, 1, 2)
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]) * 0.8 / side
    return (corner + square).reshape(-1, 3, 2).astype(np.float32)
