# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples the voxel materials at the surface points that texels show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ...errors import EspalierError
from ...kernels.host_arrays import on_best_device, upload
from ...ovoxel import SparseValues
from ...ovoxel.grid import VoxelTable
from ...ovoxel.sampling import check_inside
from ..compilation import in_portions, load_loops

# Channels of the voxel attributes.
BASE_COLOR = slice(0, 3)
METALLIC = 3
ROUGHNESS = 4
ALPHA = 5


@dataclass(frozen=True)
class MaterialVoxels:
    """Voxel materials in the world frame: voxel (i, j, k) spans ``-0.5 + index / resolution``.

    coords: int [N, 3], unique. attrs: float [N, 6] in 0..1: base colour r, g, b (sRGB), metallic, roughness, alpha.
    Raises EspalierError("bad_surface") when the arrays do not fit together or no voxel is given.
    """

    resolution: int
    coords: np.ndarray
    attrs: np.ndarray

    def __post_init__(self) -> None:
        fits = self.coords.ndim == 2 and self.coords.shape[1] == 3 and self.attrs.shape == (len(self.coords), 6)
        if not fits or len(self.coords) == 0:
            raise EspalierError("bad_surface", "The object has no voxel materials, so no textures can be made.")

    def sample(self, positions: np.ndarray) -> np.ndarray:
        """Return attributes float32 [M, 6] at positions [M, 3]: trilinear over the existing voxels.

        Where none of the eight voxels around exists (a filled hole, a vertex that left its voxel) the nearest voxel's.
        """
        points = np.ascontiguousarray(positions, dtype=np.float32)

        def sample(device: torch.device) -> np.ndarray:
            if device.type == "cpu" and (loops := load_loops("bake.compiled_sampling")):
                return self._sampled_by(loops, points)
            return self._on(device).at(torch.from_numpy(points).to(device)).cpu().numpy()

        sampled = on_best_device(sample)
        alone = np.flatnonzero(sampled[:, 6] < 0.5)
        if len(alone):
            sampled[alone] = self._nearest(points[alone])
        return np.clip(sampled[:, :6], 0.0, 1.0)

    def sample_on_card(self, positions: Tensor) -> Tensor:
        """``sample`` of positions [M, 3] on a card, there."""
        points = positions.float()
        sampled = self._on(points.device).at(points)
        alone = (sampled[:, 6] < 0.5).nonzero()[:, 0]
        if len(alone):
            sampled[alone] = upload(self._nearest(points[alone].cpu().numpy()), points.device)
        return sampled[:, :6].clamp(0.0, 1.0)

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        """The values of the voxels whose centres are closest to points [M, 3]."""
        return self._tensors[1].numpy()[self._tree.query(points, workers=-1)[1]]

    def _on(self, device: torch.device) -> SparseValues:
        """The voxels on ``device``, which keeps them for the next positions."""
        if device not in self._kept:
            self._kept[device] = SparseValues(*(part.to(device) for part in self._tensors), self.resolution)
        return self._kept[device]

    def _sampled_by(self, loops: ModuleType, points: np.ndarray) -> np.ndarray:
        values, sampled = self._tensors[1].numpy(), np.empty((len(points), 7), dtype=np.float32)

        def sample(part: slice) -> None:
            loops.trilinear(*self._table.arrays(), self.resolution, values, points[part], sampled[part])

        in_portions(sample, len(points))
        return sampled

    @cached_property
    def _kept(self) -> dict[torch.device, SparseValues]:
        return {}

    @cached_property
    def _table(self) -> VoxelTable:
        coords, shape = self._tensors[0], (self.resolution,) * 3
        check_inside(coords, shape)
        return VoxelTable(coords, shape)

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor]:
        clean = np.nan_to_num(np.asarray(self.attrs, dtype=np.float32), nan=0.5, posinf=1.0, neginf=0.0)
        # The seventh channel is one wherever anything was sampled.
        values = np.concatenate([clean, np.ones((len(clean), 1), dtype=np.float32)], axis=1)
        return torch.from_numpy(np.ascontiguousarray(self.coords, dtype=np.int32)), torch.from_numpy(values)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree((self.coords + 0.5) / self.resolution - 0.5)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Quantise 0..1 to uint8 by rounding."""
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
