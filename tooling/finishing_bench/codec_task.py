# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec at 1024³: mesh to dual grid and back, with one and with all threads."""

from __future__ import annotations

import hashlib

import numba
import torch

from ...engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid
from . import objects
from .finish_task import warm_up
from .watch import Steps, answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``object``, ``resolution``, ``detail``."""
    folder, request = request_of(arguments)
    steps = Steps(folder)
    vertices, faces = objects.OBJECTS[request["object"]](float(request["detail"]))
    points, corners = torch.from_numpy(vertices).float(), torch.from_numpy(faces)
    warm_up()
    resolution, digests = int(request["resolution"]), []
    for threads, name in ((numba.config.NUMBA_NUM_THREADS, ""), (1, ", one thread")):
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        with steps.step("mesh → grid" + name):
            grid = mesh_to_dual_grid(points, corners, resolution)
        with steps.step("grid → mesh" + name):
            back, triangles = dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, None, resolution)
        arrays = (grid.coords, grid.local, grid.intersected, back, triangles)
        digests.append(hashlib.sha256(b"".join(array.numpy().tobytes() for array in arrays)).hexdigest())
    answer(
        folder,
        {
            "input_faces": len(faces),
            "voxels": len(grid.coords),
            "faces": len(triangles),
            "same_for_any_threads": len(set(digests)) == 1,
        },
    )
    return 0
