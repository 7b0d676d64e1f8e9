# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texels of a mesh show of the surface it was made from: materials, shading normals, ambient occlusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...kernels.host_arrays import on_card
from ..lookup.nearest import SurfaceIndex
from ..lookup.raster import UvRaster
from .alpha import alpha_mode
from .bake import MaterialVoxels, to_bytes
from .gutter import fill_gutter, filled_images
from .normal_map import TangentFrames
from .occlusion import OcclusionSamples
from .texel_lookup import FullSurface, LeanMesh, TexelLookup

TEXELS_AT_ONCE = 1 << 20
"""Texels looked up together: a constant, so that memory is bounded and results are the same."""


@dataclass(frozen=True)
class BakedTexels:
    """What the covered texels of a ``UvRaster`` show, uint8, one row a texel, and sentences about what is missing.

    base_color [T, 3] or, unless alpha_mode is "opaque", [T, 4]; orm [T, 3]: occlusion, roughness, metallic; normal
    [T, 3] in tangent space (+v green), or None. alpha_mode: "opaque", "mask" or "blend".
    """

    base_color: np.ndarray
    orm: np.ndarray
    normal: np.ndarray | None
    alpha_mode: str
    events: tuple[str, ...] = ()


def bake_texels(
    raster: UvRaster,
    lean: LeanMesh,
    full: FullSurface | None,
    material: MaterialVoxels,
    occlusion: bool = True,
    normal_map: bool = True,
    report: Callable[[int, int], None] = lambda step, of: None,
) -> BakedTexels:
    """Look up what every covered texel shows, in the material's frame.

    Each texel reads the materials, the normal (with ``normal_map``) and the occlusion where ``TexelLookup`` finds what
    it shows of ``full``; without ``full`` the mesh itself is read, and there is no normal map. ``report(step, of)`` may
    raise to cancel.
    """
    count = len(raster.texel)
    parts = [slice(start, min(start + TEXELS_AT_ONCE, count)) for start in range(0, count, TEXELS_AT_ONCE)]
    steps = len(parts) * (2 if occlusion else 1) + 2
    report(1, steps)
    index = None
    if full is not None or occlusion:
        index = SurfaceIndex(lean.vertices, lean.faces) if full is None else SurfaceIndex(full.vertices, full.faces)
    events = []
    if occlusion and not index.casts_rays:
        occlusion = False
        events.append("Ambient occlusion was left out, because numba is missing: install the engine again.")
    frames = TangentFrames(lean.vertices, lean.faces, lean.uv, lean.normals) if full and normal_map else None
    lookup = TexelLookup(raster, lean, full, index, material, frames)
    samples = OcclusionSamples(raster.size, raster.texel) if occlusion else None
    report(2, steps)

    base_color, orm = np.empty((count, 4), dtype=np.uint8), np.full((count, 3), 255, dtype=np.uint8)
    normal = None if frames is None else np.empty((count, 3), dtype=np.uint8)
    alpha = np.empty(count, dtype=np.float32)
    for done, part in enumerate(parts, start=3):
        sampled = samples.among(part) if samples is not None else np.zeros(part.stop - part.start, dtype=bool)
        shown = lookup.shown(part, sampled)
        alpha[part], base_color[part], orm[part, 1:] = shown.alpha, shown.base_color, shown.surface
        if normal is not None:
            normal[part] = shown.normal
        if samples is not None:
            samples.take(shown.points, shown.facing, shown.origins, shown.normals)
        report(done, steps)

    if samples is not None:
        extent = np.ptp(lean.vertices, axis=0).max() if full is None else np.ptp(full.vertices, axis=0).max()
        samples.cast(index, float(extent), 1.0 / material.resolution)
        for done, part in enumerate(parts, start=len(parts) + 3):
            orm[part, 0] = to_bytes(samples.read(raster.texel[part], *lookup.own_points(part)))
            report(done, steps)
    mode = alpha_mode(alpha)
    return BakedTexels(base_color[:, :3] if mode == "opaque" else base_color, orm, normal, mode, tuple(events))


def texture_maps(raster: UvRaster, texels: BakedTexels) -> dict[str, np.ndarray]:
    """Write texels into full images uint8 [S, S, C], first row on top, gutters filled.

    ``base_color``, ``orm`` and, where there is one, ``normal``.
    """
    size = raster.size
    maps = {"base_color": texels.base_color, "orm": texels.orm}
    if texels.normal is not None:
        maps["normal"] = texels.normal
    if found := on_card(lambda *arrays: filled_images(size, *arrays), raster.texel, *maps.values()):
        return dict(zip(maps, found, strict=True))
    for name, values in maps.items():
        image = np.zeros((size * size, values.shape[1]), dtype=np.uint8)
        image[raster.texel] = values
        maps[name] = image.reshape(size, size, -1)
    fill_gutter(list(maps.values()), raster.mask())
    return maps
