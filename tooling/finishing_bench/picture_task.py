# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures show: one object raw, cleaned, watertight, finished and as low-poly, as files for Blender."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

from ...engine.mesh.bake.bake import MaterialVoxels
from ...engine.mesh.finish import FinishSettings, finish
from ...engine.mesh.finish_settings import REPAIRS
from ...engine.ovoxel import mesh_to_dual_grid
from ...engine.pipelines.asset import VoxelAsset
from . import objects, painting
from .damages import worn
from .finish_task import kept_asset, write_finished
from .watch import answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``object`` and ``resolution``, or ``job``; ``faces``, ``low_faces``,
    ``texture_size``; ``finishing``: further settings."""
    folder, request = request_of(arguments)
    asset = (
        kept_asset(Path(request["job"])) if "job" in request else _made(request["object"], int(request["resolution"]))
    )
    vertices, faces = asset.surface()
    _write(folder / "raw.npz", vertices, faces)
    counts = {"raw": len(faces)}
    asset = asset.completed()
    vertices, faces = asset.surface()
    for repair in ("clean", "watertight"):
        mended, corners, _ = REPAIRS[repair](vertices, faces, asset.coords, asset.resolution)
        _write(folder / f"{repair}.npz", mended, corners)
        counts[repair] = len(corners)
    material = MaterialVoxels(asset.resolution, asset.coords, asset.attrs)
    for name, target in (("full", request["faces"]), ("low", request["low_faces"])):
        sizes = {"target_faces": target, "texture_size": int(request["texture_size"])}
        settings = FinishSettings(**sizes, **request.get("finishing", {}))
        finished = finish(vertices, faces, material, settings)
        (folder / name).mkdir(exist_ok=True)
        write_finished(folder / name, finished)
        counts[name] = len(finished.faces)
        counts[f"{name}_charts"] = finished.report["charts"]
        counts[f"{name}_alpha_mode"] = finished.alpha_mode
    answer(folder, counts)
    return 0


def _made(name: str, resolution: int) -> VoxelAsset:
    """The object of the set with crumbs around it, as voxels of which some are missing."""
    random = np.random.default_rng(2)
    vertices, faces = objects.OBJECTS[name](0.6)
    places = random.uniform(-0.42, 0.42, (60, 3)) * np.ptp(vertices, axis=0)
    free = cKDTree(vertices).query(places)[0] > 0.02
    crumb = objects.sphere(0.03)
    crumbs = [(crumb[0] * 0.012 + place, crumb[1]) for place in places[free][:14]]
    vertices, faces = objects.merge((vertices, faces), *crumbs)
    grid = mesh_to_dual_grid(torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces), resolution)
    coords = grid.coords.numpy()
    attrs = painting.paint(coords, resolution, transparent=name == "foliage")
    return worn(VoxelAsset(resolution, coords, grid.local.numpy(), grid.intersected.numpy(), None, attrs))


def _write(path, vertices: np.ndarray, faces: np.ndarray) -> None:
    np.savez(path, vertices=vertices.astype(np.float32), faces=faces.astype(np.int32))
