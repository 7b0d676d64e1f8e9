# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the O-Voxels that a job kept, trusting nothing in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..errors import EspalierError
from ..ovoxel.voxels import MAX_VOXELS
from ..weights.safetensors_file import SafetensorsFile
from .asset import VoxelAsset

VOXELS_FILE = "voxels.safetensors"

MOST_CELLS = 4096
"""Along a side; the finest grid of any model has 1536."""

FARTHEST = 2.0
"""Dual vertices lie within [-0.5, 1.5] voxels of their voxel's corner; more than this is damage."""

_TENSORS = {
    "coords": (torch.int32, (3,)),
    "vertices": (torch.float32, (3,)),
    "intersected": (torch.bool, (3,)),
    "attrs": (torch.float32, (6,)),
    "split_weight": (torch.float32, ()),
}


class _VoxelsFile(SafetensorsFile):
    def problem(self, what: str, hint: str = "") -> EspalierError:
        return EspalierError(
            "bad_input",
            f"The file “{self.path.name}” of the job “{self.path.parent.name}” {what} Generate the object again.",
            hint,
        )


def read_voxels(folder: Path) -> VoxelAsset:
    """The O-Voxels in ``voxels.safetensors`` of a job folder, as ``write_voxels`` wrote them; without latents.

    Raises EspalierError("bad_input") when the file is missing or damaged, or its tensors fit neither each other nor
    their grid.
    """
    file = _VoxelsFile(folder / VOXELS_FILE)
    resolution = _resolution(file)
    count = file.entries["coords"].shape[:1] if "coords" in file else ()
    arrays: dict[str, np.ndarray] = {}
    for name, (dtype, row) in _TENSORS.items():
        if name == "split_weight" and name not in file:
            continue
        entry = file.entries.get(name)
        if entry is None or entry.dtype != dtype or entry.shape != (*count, *row):
            raise file.problem("is damaged: its voxels are incomplete.", name)
        # A copy: what is only mapped would end the process if the file were cut short meanwhile.
        arrays[name] = file.read(name).clone().numpy()
    coords = arrays["coords"]
    if not 0 < len(coords) <= MAX_VOXELS:
        raise file.problem(f"has {len(coords)} voxels, which cannot be finished.")
    if coords.min() < 0 or coords.max() >= resolution or _repeats(coords, resolution):
        raise file.problem("is damaged: its voxels do not lie in their grid.")
    if np.abs(arrays["vertices"]).max() > FARTHEST:
        raise file.problem("is damaged: its surface is not where its voxels are.")
    return VoxelAsset(
        resolution=resolution,
        coords=coords,
        vertices=arrays["vertices"],
        intersected=arrays["intersected"],
        split_weight=arrays.get("split_weight"),
        attrs=arrays["attrs"],
    )


def _resolution(file: SafetensorsFile) -> int:
    entry = file.entries.get("resolution")
    value = 0
    if entry is not None and entry.dtype == torch.int32 and entry.shape == (1,):
        value = int(file.read("resolution"))
    if not 0 < value <= MOST_CELLS:
        raise file.problem("is damaged: it does not say how fine its grid is.")
    return value


def _repeats(coords: np.ndarray, resolution: int) -> bool:
    key = (coords[:, 0].astype(np.int64) * resolution + coords[:, 1]) * resolution + coords[:, 2]
    return len(np.unique(key)) < len(key)
