# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process: one object from mesh to O-Voxels to mesh to finished asset, through the engine's own code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from ...engine.kernels import choice
from ...engine.kernels.choice import plain_torch
from ...engine.kernels.host_arrays import card
from ...engine.mesh.bake.bake import MaterialVoxels
from ...engine.mesh.bake.png import encode_png
from ...engine.mesh.finish import STEP_ENDS, FinishedAsset, FinishSettings, finish
from ...engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid
from ...engine.pipelines.asset import VoxelAsset
from ...engine.pipelines.kept_voxels import read_voxels
from . import objects, painting
from .watch import Steps, answer, now, request_of

# Enough voxels that the codec takes its compiled loops.
WARM_RESOLUTION = 350

CARD_RUNS = 3


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request; writes ``raw.npz``, ``finished.npz``, ``maps`` and the answer there.

    With ``on_processor`` in the request finishing leaves a graphics card alone, with ``without_triton`` it leaves our
    kernels alone. Where it takes the card it runs ``CARD_RUNS`` times after once for nothing, which compiles kernels
    and loads libraries; the answer has the seconds of every run by step.
    """
    folder, request = request_of(arguments)
    warm_up()
    warm_up_finishing()
    steps = Steps(folder)
    asset = kept_asset(Path(request["job"])) if "job" in request else made_asset(request, steps)
    with steps.step("grid → mesh"):
        asset = asset.completed()
        vertices, faces = asset.surface()
    settings = FinishSettings(**{**request["settings"], "lods": tuple(request["settings"].get("lods", ()))})
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)
    runs: list[dict[str, float]] = []
    with _leaving_alone(request):
        on_card = card() is not None
        if on_card:
            finish(vertices, faces, material, settings)
        for _ in range(CARD_RUNS if on_card else 1):
            finished = finish(vertices, faces, material, settings, _reporter(steps, runs))
    np.savez(
        folder / "raw.npz", vertices=vertices, faces=faces, coords=asset.coords.astype(np.int16), attrs=asset.attrs
    )
    write_finished(folder, finished)
    about = {"voxels": len(asset.coords), "resolution": asset.resolution, "texture_size": settings.texture_size}
    answer(folder, {"report": finished.report, "runs": runs, **about})
    return 0


def _leaving_alone(request: dict) -> AbstractContextManager:
    """Inside this finishing does without what the request says."""
    if request.get("on_processor"):
        return plain_torch()
    return patch.object(choice, "why_not", lambda _: "left out") if request.get("without_triton") else nullcontext()


def _reporter(steps: Steps, runs: list[dict[str, float]]) -> Callable[[int, int], None]:
    """What a run reports to: writes its steps down, and their seconds to the end of ``runs``."""
    begun, seconds = now(), {}
    runs.append(seconds)

    def report(step: int, _total: int) -> None:
        nonlocal begun
        if step in STEP_ENDS:
            steps.write(STEP_ENDS[step], *begun)
            seconds[STEP_ENDS[step]], begun = now()[0] - begun[0], now()

    return report


def made_asset(request: dict, steps: Steps) -> VoxelAsset:
    """The object of the set, voxelised and painted."""
    name, resolution = request["object"], int(request["resolution"])
    vertices, faces = objects.OBJECTS[name](float(request["detail"]))
    points, corners = torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces)
    with steps.step("mesh → grid"):
        grid = mesh_to_dual_grid(points, corners, resolution)
    coords = grid.coords.numpy()
    attrs = painting.paint(coords, resolution, transparent=name == "foliage")
    return VoxelAsset(resolution, coords, grid.local.numpy(), grid.intersected.numpy(), None, attrs)


def kept_asset(folder: Path) -> VoxelAsset:
    """The voxels that a generation left in its job folder."""
    return read_voxels(folder)


def warm_up() -> None:
    """Load the compiled loops, which the first run on a machine compiles; an engine at work has them loaded."""
    vertices, faces = objects.sphere(0.5)
    grid = mesh_to_dual_grid(torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces), WARM_RESOLUTION)
    dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, None, WARM_RESOLUTION)


def warm_up_finishing() -> None:
    """The same for all that comes after the codec, on a small object."""
    vertices, faces = objects.shells(0.2)
    grid = mesh_to_dual_grid(torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces), 48)
    coords = grid.coords.numpy()
    asset = VoxelAsset(
        48, coords, grid.local.numpy(), grid.intersected.numpy(), None, painting.paint(coords, 48, transparent=False)
    ).completed()
    finish(*asset.surface(), MaterialVoxels(48, asset.coords, asset.attrs), FinishSettings(target_faces=2000))


def write_finished(folder: Path, finished: FinishedAsset) -> None:
    """Write the finished arrays, those of the levels of detail, and the maps."""
    for number, mesh in enumerate([finished, *finished.lods]):
        name = f"lod{number}.npz" if number else "finished.npz"
        np.savez(folder / name, vertices=mesh.vertices, faces=mesh.faces, uv=mesh.uv, normals=mesh.normals)
    for name, image in finished.maps.items():
        (folder / f"{name}.png").write_bytes(encode_png(image))
