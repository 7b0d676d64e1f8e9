# SPDX-License-Identifier: GPL-3.0-or-later
"""Ambient occlusion: how much of the sky each texel sees past the object itself.

The share of cosine-weighted rays that meet nothing, as glTF's occlusion texture holds it: 1 is open. Rays are of all
lengths up to a bound T, so that a face at distance t counts as 1 - (t / T)^2; there is no ground. One sample in a block
of texels, each with a part of one low-discrepancy set of rays, is smoothed over as many neighbours as there are parts:
it then shows all the rays.
"""

from __future__ import annotations

import numpy as np
import torch

from ...kernels import choice
from ...kernels.host_arrays import Kept, on_best_device, upload
from ..compilation import in_portions, load_loops
from ..lookup.nearest import SurfaceIndex

FINEST = 1024
"""Blocks along a side at the most: occlusion is soft, and finer than this it costs more than all the other maps."""
PATTERNS = 16
"""Parts of the set of rays, as many as 4 x 4 blocks."""
RAYS = 16
REACH = 0.4
"""The longest ray, as a share of the object's longest side."""
LIFT = 0.75
"""Voxels that a ray starts above the surface: unevenness below that is noise."""
SMOOTHED = 2.5
"""Blocks each way: four in a row hold each pattern once."""
_ROWS_AT_ONCE = 64
"""Of the grid of samples."""


class OcclusionSamples:
    """The samples of one mesh: chosen first, then taken while texels are looked up, cast at the end, and read again.

    texel int64 [T], ascending: the covered texels of an image of ``size`` x ``size``.
    """

    def __init__(self, size: int, texel: np.ndarray) -> None:
        self._size = size
        self._stride = stride = -(-size // FINEST)
        side = -(-size // stride)
        covered = np.zeros((side * stride, side * stride), dtype=bool)
        image = np.zeros(size * size, dtype=bool)
        image[texel] = True
        covered[:size, :size] = image.reshape(size, size)
        block = np.arange(side) * stride
        first, chosen = block[:, None] * size + block, np.full((side, side), -1)
        # Of several in a block the last one stays: a texel in the block's middle where there is one.
        for row, column in [*np.ndindex(stride, stride), (stride // 2, stride // 2)]:
            np.copyto(chosen, first + (row * size + column), where=covered[row::stride, column::stride])
        image[:] = False
        image[chosen[chosen >= 0]] = True
        self._taken = image[texel]
        number = np.cumsum(image, dtype=np.int32) - 1
        self._sample = np.where(chosen >= 0, number[chosen], -1).astype(np.int64)
        count = int(self._taken.sum())
        self._points, self._origins, self._normals, self._facing = np.empty((4, count, 3), dtype=np.float32)
        self._shares = np.ones(count, dtype=np.float32)
        self._filled = 0

    def among(self, part: slice) -> np.ndarray:
        """Which of the texels ``part`` are samples, bool [N]."""
        return self._taken[part]

    def take(self, points: np.ndarray, facing: np.ndarray, origins: np.ndarray, normals: np.ndarray) -> None:
        """Keep the next samples, in the order of texels, all [N, 3] in world units.

        points and facing: where the mesh is there and its normal; origins and normals: the same of the full surface.
        """
        rows = slice(self._filled, self._filled + len(points))
        self._points[rows], self._facing[rows] = points, facing
        self._origins[rows], self._normals[rows] = origins, normals
        self._filled = rows.stop

    def cast(self, index: SurfaceIndex, longest_side: float, voxel: float) -> None:
        """Cast the rays against ``index`` (which must be able to) and smooth what comes back."""
        row, column = np.nonzero(self._sample >= 0)
        pattern = np.empty(len(self._shares), dtype=np.int64)
        pattern[self._sample[row, column]] = row % 4 * 4 + column % 4
        origins = self._origins + LIFT * voxel * self._normals
        self._shares = index.open_share(origins, self._normals, pattern, ray_patterns(REACH * longest_side))
        self._spacing = self._typical_spacing()
        self._shares = on_best_device(self._smoothed)
        self._kept = tuple(map(Kept, (self._sample, self._shares, self._points, self._facing)))

    def read(self, texel: np.ndarray, points: np.ndarray, facing: np.ndarray) -> np.ndarray:
        """Return the occlusion float32 [N] of texels [N] at points [N, 3] of the mesh that face [N, 3]."""
        row, column = np.divmod(texel, self._size)
        place = (np.stack([row, column], axis=1) - self._stride // 2) / self._stride
        return on_best_device(lambda device: self._read(device, place, points, facing))

    def _smoothed(self, device: torch.device) -> np.ndarray:
        """The shares, smoothed: by the kernel where it serves ``device``, else on the processor, to the same bits."""
        given = self._sample, self._shares, self._points, self._facing
        if choice.serve(device):
            from ...kernels import occlusion_triton

            tensors = (upload(part, device) for part in given)
            return occlusion_triton.smooth_samples(*tensors, SMOOTHED, self._spacing).cpu().numpy()
        loops, result = load_loops("bake.compiled_occlusion"), self._shares.copy()

        def smooth(rows: slice) -> None:
            loops.smooth_samples(*given, SMOOTHED, self._spacing, rows.start, min(rows.stop, len(self._sample)), result)

        in_portions(smooth, len(self._sample), _ROWS_AT_ONCE)
        return result

    def _read(self, device: torch.device, place: np.ndarray, points: np.ndarray, facing: np.ndarray) -> np.ndarray:
        """``read`` at places float64 [N, 2] in blocks, as ``_smoothed``."""
        if choice.serve(device):
            from ...kernels import occlusion_triton

            tensors = [kept.on(device) for kept in self._kept]
            tensors += [upload(part, device) for part in (place, points, facing)]
            return occlusion_triton.read_samples(*tensors, self._spacing).cpu().numpy()
        loops, given = load_loops("bake.compiled_occlusion"), (self._sample, self._shares, self._points, self._facing)
        shown = np.empty(len(place), dtype=np.float32)

        def show(part: slice) -> None:
            shown[part] = loops.read_samples(*given, place[part], points[part], facing[part], self._spacing)

        in_portions(show, len(place))
        return shown

    def _typical_spacing(self) -> float:
        """The median distance in space of samples side by side."""
        left, right = self._sample[:, :-1], self._sample[:, 1:]
        both = (left >= 0) & (right >= 0)
        if not both.any():
            return 1.0
        gap = np.linalg.norm(self._points[left[both]] - self._points[right[both]], axis=1)
        return max(float(np.median(gap)), 1e-9)


def ray_patterns(reach: float) -> np.ndarray:
    """Rays float64 [PATTERNS, RAYS, 4] about +z: cosine-weighted unit vectors, of all lengths up to ``reach``.

    A Sobol sequence: each run of 2^n points is evenly spread, so each pattern is and all of them together are.
    """
    sequence = torch.quasirandom.SobolEngine(3, scramble=False).draw(PATTERNS * RAYS, dtype=torch.float64).numpy()
    points = sequence + 0.5 / (PATTERNS * RAYS)
    radius, angle = np.sqrt(points[:, 0]), 2.0 * np.pi * points[:, 1]
    rays = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - points[:, 0]), reach * np.sqrt(points[:, 2])],
        axis=1,
    )
    return rays.reshape(PATTERNS, RAYS, 4)
