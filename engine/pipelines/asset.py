# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generator hands to the finishing stage: an O-Voxel object with materials, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..kernels.host_arrays import on_best_device
from ..mesh.repair.completion import complete_quads
from ..mesh.repair.diagonals import quads_of, split_quads
from ..ovoxel.surface import dual_grid_to_mesh


@dataclass(frozen=True)
class VoxelAsset:
    """An object as O-Voxels with materials, on the host.

    World frame: Z up, voxel (i, j, k) spans ``-0.5 + index / resolution``. Row n of every array is the same voxel.

    resolution: cells along one side of the unit cube.
    coords: int32 [N, 3], the voxel's index.
    vertices: float32 [N, 3], the dual vertex relative to the voxel's minimum corner in voxel units, within [-0.5, 1.5].
    intersected: bool [N, 3], whether the surface crosses the voxel's x-, y- and z-edge.
    split_weight: float32 [N] of the quad split, or None where the diagonal is chosen by geometry.
    attrs: float32 [N, 6] in 0..1: base colour r, g, b (sRGB), metallic, roughness, alpha.
    latents: what the flows produced, by name: ``structure`` [8, r, r, r], ``coords`` int32 [T, 3], ``shape`` and
        ``material`` float32 [T, C] (denormalised), and ``shape_low.coords`` / ``shape_low`` in a cascade.
    """

    resolution: int
    coords: np.ndarray
    vertices: np.ndarray
    intersected: np.ndarray
    split_weight: np.ndarray | None
    attrs: np.ndarray
    latents: dict[str, np.ndarray] = field(default_factory=dict)

    def completed(self) -> VoxelAsset:
        """Add the voxels that crossed edges miss, with vertices and materials from around them (see completion.py).

        The voxels that were there stay as they are, in the first rows. Latents are not carried over.
        """
        has_weight = self.split_weight is not None
        values = np.column_stack([self.attrs, self.split_weight]) if has_weight else self.attrs
        coords, vertices, intersected, values = complete_quads(
            self.coords, self.vertices, self.intersected, values, self.resolution
        )
        if len(coords) == len(self.coords):
            return self
        weight = np.ascontiguousarray(values[:, 6]) if has_weight else None
        attrs = np.ascontiguousarray(values[:, :6])
        return VoxelAsset(self.resolution, coords, vertices, intersected, weight, attrs)

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        """Mesh the O-Voxels: vertices float32 [N, 3], one a voxel in row order, and faces int32 [F, 3].

        Quads are split by their split weights, or without these where they bend less.
        """
        arrays = self.coords, self.vertices, self.intersected, self.split_weight

        def triangulate(device: torch.device) -> tuple[np.ndarray, np.ndarray]:
            given = (None if array is None else torch.from_numpy(array).to(device) for array in arrays)
            vertices, faces = dual_grid_to_mesh(*given, self.resolution)
            return vertices.cpu().numpy(), faces.int().cpu().numpy()

        vertices, faces = on_best_device(triangulate)
        if self.split_weight is None:
            faces = split_quads(vertices, quads_of(faces))
        return vertices, faces
