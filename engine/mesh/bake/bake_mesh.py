# SPDX-License-Identifier: GPL-3.0-or-later
"""Bakes voxel materials onto a mesh that keeps its geometry and its UVs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..lookup.raster import UvRaster, rasterise
from .bake import MaterialVoxels
from .bake_surface import bake_texels, texture_maps
from .texel_lookup import LeanMesh

FACES_AT_ONCE = 1_000_000
"""Faces rasterised together: a constant, so that memory is bounded and results are the same."""


@dataclass(frozen=True)
class BakedMesh:
    """maps: ``base_color`` and ``orm`` as ``texture_maps``. alpha_mode: "opaque", "mask" or "blend".

    covered_share: part of the texels that show the surface, 0..1.
    """

    maps: dict[str, np.ndarray]
    alpha_mode: str
    covered_share: float


def bake_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    material: MaterialVoxels,
    texture_size: int,
    report: Callable[[int, int], None] = lambda step, of: None,
) -> BakedMesh:
    """Bake ``material`` onto faces [F, 3] of vertices [V, 3] (the material's frame) with uv [F, 3, 2].

    Each texel that a face covers takes the material at its own point of the surface: trilinear over the voxels there,
    the nearest voxel's where there is none. Gutters are filled. ``report(step, of)`` may raise to cancel.
    """
    raster = rasterise_parts(uv, texture_size)
    mesh = LeanMesh(vertices, faces, uv, None)
    texels = bake_texels(raster, mesh, None, material, occlusion=False, report=report)
    share = len(raster.texel) / texture_size**2
    return BakedMesh(texture_maps(raster, texels), texels.alpha_mode, share)


def rasterise_parts(uv: np.ndarray, size: int, faces_at_once: int = FACES_AT_ONCE) -> UvRaster:
    """As ``rasterise``, ``faces_at_once`` faces at a time.

    A texel whose centre several faces hold belongs to the lowest, as there; a texel that is only within reach of
    faces of several parts belongs to the earliest of them.
    """
    if len(uv) <= faces_at_once:
        return rasterise(uv, size)
    face = np.full(size * size, -1, dtype=np.int64)
    barycentric = np.zeros((size * size, 3))
    inside = np.zeros(size * size, dtype=bool)
    for start in range(0, len(uv), faces_at_once):
        part = rasterise(uv[start : start + faces_at_once], size)
        better = (face[part.texel] < 0) | (part.inside & ~inside[part.texel])
        texel = part.texel[better]
        face[texel] = start + part.face[better]
        barycentric[texel] = part.barycentric[better]
        inside[texel] = part.inside[better]
    texel = np.flatnonzero(face >= 0)
    return UvRaster(size, texel, face[texel], barycentric[texel], inside[texel])
