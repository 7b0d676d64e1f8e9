# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process that finishes one object step by step twice, on the card and on the processor, and compares.

Each step is given what the processor made of the steps before it. Left out is the UV layout, which for many faces is
another one on a card, on purpose: both bake onto the processor's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...engine.kernels.choice import plain_torch
from ...engine.mesh.bake.bake import MaterialVoxels
from ...engine.mesh.bake.bake_surface import BakedTexels, bake_texels, texture_maps
from ...engine.mesh.bake.texel_lookup import FullSurface, LeanMesh
from ...engine.mesh.finish_settings import REPAIRS, FinishSettings
from ...engine.mesh.lookup.raster import UvRaster, rasterise
from ...engine.mesh.simplify.collapse import collapse
from ...engine.mesh.simplify.simplify import simplify
from ...engine.mesh.surface.normals import corner_normals
from ...engine.mesh.unwrap.unwrap import unwrap
from ..finishing_bench.finish_task import made_asset
from ..finishing_bench.watch import Steps, answer, request_of
from .networks import prepare

LEVELS = 255.0


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``object``, ``resolution``, ``detail``, ``faces``, ``texels``, ``device``.

    Answers the largest difference of each step's results, infinite where they do not even have the same shape, and of
    maps also the share of values that differ.
    """
    folder, request = request_of(arguments)
    device = prepare(request["device"])
    asset = made_asset(request, Steps(folder)).completed()
    material, size = MaterialVoxels(asset.resolution, asset.coords, asset.attrs), request["texels"]
    settings = FinishSettings(target_faces=request["faces"], texture_size=size, repair="clean")
    differences: dict[str, Any] = {}

    def compared(step: str, compute: Callable[[torch.device], Any], arrays: Callable[[Any], list[np.ndarray]]) -> Any:
        """What the processor makes, after comparing that with what the card makes."""
        there = compute(device)
        with plain_torch():
            here = compute(torch.device("cpu"))
        differences[step] = difference(arrays(here), arrays(there))
        return here

    vertices, faces = compared("O-Voxels to mesh", lambda _: asset.surface(), list)
    mend = REPAIRS[settings.repair]
    mended, corners, _ = compared(
        "clean",
        lambda _: mend(vertices, faces, material.coords, material.resolution, settings.repair_options()),
        lambda found: list(found[:2]),
    )
    # The exact collapse, of which a card does more and a processor less, on what the processor's sweeps leave.
    with plain_torch():
        bulk = simplify(mended, corners, 2 * request["faces"])
    points, lean_faces = compared("simplify", lambda on: collapse(*bulk, request["faces"], on), list)
    with plain_torch():
        layout = unwrap(points, lean_faces, size, lambda: False)
    raster: UvRaster = compared("raster", lambda _: rasterise(layout.uv, size), _texels)
    normals = corner_normals(points, lean_faces, uv=layout.uv)

    def bake(_: torch.device) -> BakedTexels:
        full = FullSurface(mended, corners, mended)  # it keeps the normals that it has computed
        return bake_texels(raster, LeanMesh(points, lean_faces, layout.uv, normals), full, material)

    baked: BakedTexels = compared("bake", bake, _baked)
    compared("gutter", lambda _: texture_maps(raster, baked), lambda maps: list(maps.values()))
    about = {"resolution": asset.resolution, "input_faces": len(faces), "faces": len(lean_faces), "texels": size}
    answer(folder, {**about, "differences": differences})
    return 0


def difference(here: list[np.ndarray], there: list[np.ndarray]) -> dict[str, float]:
    """``largest`` difference of two lists of arrays, and the ``share`` of their values that differs.

    Bytes count as parts of their range. One level apart is no difference there, because however close two numbers are
    they may round to two levels: what the ``share`` says must be little.
    """
    if [array.shape for array in here] != [array.shape for array in there]:
        return {"largest": float("inf"), "share": 1.0}
    largest, differing, count = 0.0, 0, 0
    for one, other in zip(here, there, strict=True):
        apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
        differing, count = differing + int((apart > 0).sum()), count + apart.size
        if one.dtype == np.uint8:
            apart = np.maximum(apart - 1.0, 0.0) / LEVELS
        largest = max(largest, float(apart.max(initial=0.0)))
    return {"largest": largest, "share": differing / max(count, 1)}


def _texels(raster: UvRaster) -> list[np.ndarray]:
    return [raster.texel, raster.face, raster.barycentric]


def _baked(texels: BakedTexels) -> list[np.ndarray]:
    return [image for image in (texels.base_color, texels.orm, texels.normal) if image is not None]
