# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texels of a mesh show of the surface it was made from: materials, shading normals, ambient occlusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...kernels.host_arrays import Kept, on_card
from ..compilation import by_rows
from ..lookup.nearest import SurfaceIndex, SurfacePoints, interpolate
from ..lookup.raster import UvRaster
from ..surface.topology import unit
from . import tensor_bake
from .alpha import alpha_mode
from .bake import ALPHA, BASE_COLOR, METALLIC, ROUGHNESS, MaterialVoxels, to_bytes
from .gutter import fill_gutter, filled_images
from .normal_map import TangentFrames
from .occlusion import OcclusionSamples
from .surface_normals import smooth_corner_normals

TEXELS_AT_ONCE = 1 << 20
"""Texels looked up together: a constant, so that memory is bounded and results are the same."""

WALL_VOXELS = 2.0
"""A face that is turned away is taken only when it is closer by this and by half than any that faces the same way."""


@dataclass(frozen=True)
class LeanMesh:
    """The mesh that gets the textures: vertices [V, 3], faces [F, 3], uv [F, 3, 2] and normals [F, 3, 3] per corner.

    ``normals`` may be None where neither a full surface nor occlusion is asked for.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray | None

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """Faces, vertices and, where there are any, normals for the card."""
        arrays = self.faces.astype(np.int64, copy=False), self.vertices, self.normals
        return tuple(Kept(array) for array in arrays if array is not None)


@dataclass(frozen=True)
class FullSurface:
    """The surface with all its faces that a mesh was simplified from, wound outward.

    vertices [V, 3], faces [F, 3]: closest points and shading normals are found on these. raw [V, 3]: the same vertices
    before they were smoothed (or just ``vertices``): there the voxel materials are read.
    """

    vertices: np.ndarray
    faces: np.ndarray
    raw: np.ndarray


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

    Each texel's point of the mesh is moved to the closest point of ``full`` that faces the same way; there the
    materials are read, the normal (with ``normal_map``) and the occlusion. Without ``full`` the mesh itself is read,
    and there is no normal map. ``report(step, of)`` may raise to cancel.
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
    shown_surface = None if full is None else _ShownSurface(full)
    samples = OcclusionSamples(raster.size, raster.texel) if occlusion else None
    report(2, steps)

    base_color, orm = np.empty((count, 4), dtype=np.uint8), np.full((count, 3), 255, dtype=np.uint8)
    normal = None if frames is None else np.empty((count, 3), dtype=np.uint8)
    alpha = np.empty(count, dtype=np.float32)
    for done, part in enumerate(parts, start=3):
        points, facing = _own_points(raster, lean, part)
        shown, target = points, facing
        if full is not None:
            found = index.closest(points, facing, WALL_VOXELS / material.resolution)
            shown, target = shown_surface.at(found, facing)
        attributes = material.sample(shown)
        alpha[part] = attributes[:, ALPHA]
        base_color[part, :3], base_color[part, 3] = to_bytes(attributes[:, BASE_COLOR]), to_bytes(alpha[part])
        orm[part, 1], orm[part, 2] = to_bytes(attributes[:, ROUGHNESS]), to_bytes(attributes[:, METALLIC])
        if frames is not None:
            normal[part] = frames.encode(raster.face[part], raster.barycentric[part], target)
        if samples is not None:
            origins = points if full is None else found.position
            samples.take(part, points, facing, origins, unit(target))
        report(done, steps)

    if samples is not None:
        extent = np.ptp(lean.vertices, axis=0).max() if full is None else np.ptp(full.vertices, axis=0).max()
        samples.cast(index, float(extent), 1.0 / material.resolution)
        for done, part in enumerate(parts, start=len(parts) + 3):
            orm[part, 0] = to_bytes(samples.read(raster.texel[part], *_own_points(raster, lean, part)))
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


class _ShownSurface:
    """A full surface with its shading normals float32 [F, 3, 3], where texels look for what they show."""

    def __init__(self, full: FullSurface) -> None:
        self._full = full
        self._shading = smooth_corner_normals(full.vertices, full.faces)
        self._kept = Kept(full.faces.astype(np.int64, copy=False)), Kept(full.raw), Kept(self._shading)

    def at(self, found: SurfacePoints, facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the materials are read and the normals that are shown there, float64 [N, 3] each.

        A sheet that is seen from behind (``facing`` [N, 3]: along what) shows the opposite normal.
        """
        if shown := on_card(tensor_bake.shown_points, found.face, found.barycentric, facing, *self._kept):
            return shown
        return by_rows(self._at, found.face, found.barycentric, facing)

    def _at(self, face: np.ndarray, weights: np.ndarray, facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        target = _blend(weights, self._shading[face])
        target[np.einsum("ni,ni->n", target, facing) < 0] *= -1.0
        return interpolate(weights, self._full.raw, self._full.faces[face]), target


def _own_points(raster: UvRaster, lean: LeanMesh, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """The points of the mesh that texels show and the mesh's normals there, float64 [N, 3] each; the latter unit."""
    face, weights = raster.face[part], raster.barycentric[part]
    if found := on_card(tensor_bake.own_points, face, weights, *lean.kept):
        return found

    def locate(face: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = interpolate(weights, lean.vertices, lean.faces[face])
        if lean.normals is None:
            return points, np.zeros_like(points)
        return points, unit(_blend(weights, lean.normals[face]))

    return by_rows(locate, face, weights)


def _blend(weights: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.einsum("nc,nci->ni", weights, normals.astype(np.float64))
