# SPDX-License-Identifier: GPL-3.0-or-later
"""O-Voxels in files: which attributes carry the dual grid and the materials, and how they become bytes.

Dual vertices are local, 0 to 1 in their voxel, times 255 truncated; the three flags are the bits x + 2y + 4z; materials
are 0 to 1 times 255. spec/ovoxel.md 1.7. What is truncated here the networks were trained on, so it stays truncated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EspalierError
from .dual_grid import DualGrid
from .material import VoxelMaterial
from .npz import read_npz, write_npz
from .voxels import Voxels, damaged
from .vxz import read_vxz, write_vxz

SUFFIXES = (".vxz", ".npz")

# Grids that people and networks use; a file does not say which one it was made on.
RESOLUTIONS = (32, 64, 128, 256, 512, 1024, 1536, 2048, 4096)

# Data sets call the dual vertices "vertices".
_DUAL_VERTICES = ("dual_vertices", "vertices")
_DEFAULTS = {"base_color": (0.8, 0.8, 0.8), "metallic": (0.0,), "roughness": (0.5,), "alpha": (1.0,)}


@dataclass(frozen=True)
class OVoxels:
    """An object as O-Voxels, N of them, unique.

    ``coords`` int32 [N, 3] below ``resolution``; ``dual_vertices`` float32 [N, 3], local, in voxel units;
    ``intersected`` bool [N, 3]; ``attrs`` float32 [N, 6] in 0..1: base colour r, g, b (sRGB), metallic, roughness,
    alpha.
    """

    resolution: int
    coords: np.ndarray
    dual_vertices: np.ndarray
    intersected: np.ndarray
    attrs: np.ndarray


def encode_ovoxels(grid: DualGrid, material: VoxelMaterial) -> Voxels:
    """The voxels of one mesh as they are stored: both parts are of the same voxels in the same order."""
    channels = material.quantised().numpy()
    bits = grid.intersected.numpy().astype(np.uint8)
    return Voxels(
        grid.coords.numpy(),
        {
            "base_color": channels[:, :3],
            "metallic": channels[:, 3:4],
            "roughness": channels[:, 4:5],
            "alpha": channels[:, 5:6],
            "dual_vertices": (grid.local.clamp(0, 1) * 255).byte().numpy(),
            "intersected": bits @ np.array([[1], [2], [4]], dtype=np.uint8),
        },
    )


def decode_ovoxels(voxels: Voxels, name: str, resolution: int | None = None) -> OVoxels:
    """Take the O-Voxels of an object out of a file's attributes.

    ``resolution``: voxels along a side of the unit box; unless given, the smallest of ``RESOLUTIONS`` that holds the
    voxels. Materials that are missing are those of an untextured object. ``name`` is the file's, for people. Raises
    EspalierError("bad_input") when there is no surface in it, or the numbers cannot be used.
    """
    attributes = voxels.attributes
    stored = next((attributes[key] for key in _DUAL_VERTICES if key in attributes), None)
    if stored is None or "intersected" not in attributes:
        raise EspalierError(
            "bad_input",
            f"“{name}” has voxels but no surface: dual vertices or crossed edges are missing. Choose another file.",
        )
    count = len(voxels.coords)
    if count == 0:
        raise EspalierError("bad_input", f"“{name}” is empty: it holds no voxels. Choose another file.")
    vertices = _fractions(stored, 3, "dual_vertices", name)
    parts = [
        _fractions(attributes[key], len(default), key, name)
        if key in attributes
        else np.broadcast_to(np.float32(default), (count, len(default)))
        for key, default in _DEFAULTS.items()
    ]
    coords = np.ascontiguousarray(voxels.coords, dtype=np.int32)
    if len(np.unique(coords @ np.array([1 << 32, 1 << 16, 1], dtype=np.int64))) < count:
        raise damaged(name, "two of its voxels are at the same place")
    return OVoxels(
        _resolution(int(coords.max()) + 1, resolution, name),
        coords,
        vertices,
        _flags(attributes["intersected"], name),
        np.clip(np.concatenate(parts, axis=1), 0.0, 1.0),
    )


def read_voxels(path: Path) -> Voxels:
    """Read a ``.vxz`` or ``.npz`` file. Raises EspalierError("bad_input")."""
    return read_npz(path) if path.suffix.lower() == ".npz" else read_vxz(path)


def write_voxels(path: Path, voxels: Voxels) -> None:
    """Write a ``.vxz`` or ``.npz`` file, complete or not at all. Raises EspalierError("bad_input"), OSError.

    Differences between siblings and zstd at this level take a tenth of the time of the format's defaults and hardly
    more space.
    """
    if path.suffix.lower() == ".npz":
        write_npz(path, voxels.coords, voxels.attributes)
    else:
        write_vxz(path, voxels.coords, voxels.attributes, filter="parent", compression="zstd", level=9)


def _fractions(values: np.ndarray, channels: int, title: str, name: str) -> np.ndarray:
    """Stored values as float32 [N, channels]: bytes are 255ths, floats are taken as they are."""
    values = values.reshape(len(values), -1)
    if values.shape[1] != channels or not (values.dtype == np.uint8 or values.dtype.kind == "f"):
        raise damaged(name, f"its attribute “{title}” has another form than O-Voxels have")
    fractions = values.astype(np.float32)
    if values.dtype == np.uint8:
        return fractions / np.float32(255)
    if not np.isfinite(fractions).all():
        raise damaged(name, f"its attribute “{title}” has undefined numbers")
    return fractions


def _flags(values: np.ndarray, name: str) -> np.ndarray:
    """Crossed edges bool [N, 3] from bits in one channel, or from three channels."""
    values = values.reshape(len(values), -1)
    if values.shape[1] == 3 and values.dtype.kind in "bu":
        return values != 0
    if values.shape[1] != 1 or values.dtype.kind not in "iu" or bool(((values < 0) | (values > 7)).any()):
        raise damaged(name, "its attribute “intersected” has another form than O-Voxels have")
    return (values.astype(np.uint8) >> np.arange(3, dtype=np.uint8) & 1).astype(bool)


def _resolution(needed: int, wanted: int | None, name: str) -> int:
    if wanted is not None and wanted < needed:
        raise EspalierError(
            "bad_input", f"“{name}” has voxels up to {needed} a side, so it was not made at a resolution of {wanted}."
        )
    chosen = wanted or next((size for size in RESOLUTIONS if size >= needed), None)
    if chosen is None or chosen > RESOLUTIONS[-1]:
        raise EspalierError(
            "bad_input",
            f"“{name}” has voxels up to {needed} a side; objects of at most {RESOLUTIONS[-1]} can be converted.",
        )
    return chosen
