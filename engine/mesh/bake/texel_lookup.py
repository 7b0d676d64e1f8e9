# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks up what texels show of the surface that their mesh was made from.

Where there is a graphics card, it does so from end to end: only texels go there, and only what they show comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from ...kernels.host_arrays import Kept, on_card
from ..compilation import by_rows
from ..lookup.nearest import SurfaceIndex, SurfacePoints, interpolate
from ..lookup.raster import UvRaster
from ..surface.tensor_vectors import unit as unit_there
from ..surface.topology import unit
from . import tensor_bake
from .bake import ALPHA, BASE_COLOR, METALLIC, ROUGHNESS, MaterialVoxels, to_bytes
from .normal_map import TangentFrames
from .surface_normals import smooth_corner_normals

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

    @cached_property
    def shading(self) -> np.ndarray:
        """Shading normals float32 [F, 3, 3] of the corners."""
        return smooth_corner_normals(self.vertices, self.faces)

    @cached_property
    def kept(self) -> tuple[Kept, Kept, Kept]:
        """Faces, raw vertices and shading normals for the card."""
        return Kept(self.faces.astype(np.int64, copy=False)), Kept(self.raw), Kept(self.shading)

    def shown_at(self, found: SurfacePoints, facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the materials are read and the normals that are shown there, float64 [N, 3] each.

        A sheet that is seen from behind (``facing`` [N, 3]: along what) shows the opposite normal.
        """
        shading = self.shading

        def look(face: np.ndarray, weights: np.ndarray, facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            target = _blend(weights, shading[face])
            target[np.einsum("ni,ni->n", target, facing) < 0] *= -1.0
            return interpolate(weights, self.raw, self.faces[face]), target

        return by_rows(look, found.face, found.barycentric, facing)


@dataclass(frozen=True)
class ShownTexels:
    """What N texels show, and for S of them where rays begin.

    base_color uint8 [N, 4] with alpha; surface uint8 [N, 2]: roughness, metallic; alpha float32 [N]; points and facing
    [S, 3]: the mesh's own points and normals; origins and normals [S, 3]: those of the full surface; normal uint8
    [N, 3] in tangent space, or None.
    """

    base_color: np.ndarray
    surface: np.ndarray
    alpha: np.ndarray
    points: np.ndarray
    facing: np.ndarray
    origins: np.ndarray
    normals: np.ndarray
    normal: np.ndarray | None = None


class TexelLookup:
    """Looks up runs of the texels that ``raster`` covers of the mesh ``lean``.

    Each texel's point of the mesh is moved to the closest point of ``full`` (by ``index``) that faces the same way;
    there ``material`` is read and the normal, expressed in ``frames`` unless they are None. Without ``full`` the mesh's
    own points are read.
    """

    def __init__(
        self,
        raster: UvRaster,
        lean: LeanMesh,
        full: FullSurface | None,
        index: SurfaceIndex | None,
        material: MaterialVoxels,
        frames: TangentFrames | None,
    ) -> None:
        self._raster, self._lean, self._full, self._index = raster, lean, full, index
        self._material, self._frames = material, frames
        self._margin = WALL_VOXELS / material.resolution

    def shown(self, part: slice, sampled: np.ndarray) -> ShownTexels:
        """What the texels ``part`` show; ``sampled`` bool [N] says from which of them rays begin."""
        given = self._raster.face[part], self._raster.barycentric[part], sampled
        return ShownTexels(*(on_card(self._on_card, *given) or self._on_host(*given)))

    def own_points(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """The points of the mesh that texels show and the mesh's unit normals there, float64 [N, 3] each."""
        given = self._raster.face[part], self._raster.barycentric[part]
        return on_card(self._own_points_on_card, *given) or self._own_points(*given)

    def _own_points(self, face: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lean = self._lean

        def locate(face: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            points = interpolate(weights, lean.vertices, lean.faces[face])
            if lean.normals is None:
                return points, np.zeros_like(points)
            return points, unit(_blend(weights, lean.normals[face]))

        return by_rows(locate, face, weights)

    def _own_points_on_card(self, face: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return tensor_bake.own_points(face, weights, *(kept.on(face.device) for kept in self._lean.kept))

    def _on_host(self, face: np.ndarray, weights: np.ndarray, sampled: np.ndarray) -> tuple[np.ndarray, ...]:
        points, facing = self._own_points(face, weights)
        shown, target, origins = points, facing, points
        if self._full is not None:
            found = self._index.closest(points, facing, self._margin)
            origins = found.position
            shown, target = self._full.shown_at(found, facing)
        attributes = self._material.sample(shown)
        seen = to_bytes(attributes)
        rays = points[sampled], facing[sampled], origins[sampled], unit(target[sampled])
        maps = () if self._frames is None else (self._frames.encode(face, weights, target),)
        return seen[:, _COLOR], seen[:, _SURFACE], attributes[:, ALPHA], *rays, *maps

    def _on_card(self, face: Tensor, weights: Tensor, sampled: Tensor) -> tuple[Tensor, ...]:
        """``_on_host`` on the card."""
        device = face.device
        points, facing = self._own_points_on_card(face, weights)
        shown, target, origins = points, facing, points
        if self._full is not None:
            origins, at, along = self._index.closest_on_card(points, facing, self._margin)
            shown, target = tensor_bake.shown_points(at, along, facing, *(kept.on(device) for kept in self._full.kept))
        attributes = self._material.sample_on_card(shown)
        seen = tensor_bake.to_bytes(attributes)
        rays = points[sampled], facing[sampled], origins[sampled], unit_there(target[sampled])
        maps = () if self._frames is None else (self._frames.encode_on_card(face, weights, target),)
        return seen[:, _COLOR], seen[:, _SURFACE], attributes[:, ALPHA], *rays, *maps


_COLOR = [*range(BASE_COLOR.start, BASE_COLOR.stop), ALPHA]
_SURFACE = [ROUGHNESS, METALLIC]


def _blend(weights: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.einsum("nc,nci->ni", weights, normals.astype(np.float64))
