# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured mesh, as Blender hands it over in a folder, and its way to O-Voxels.

The folder holds ``mesh.npz`` (``vertices`` float32 [V, 3] of any size and position, Z up; ``faces`` int32 [F, 3];
``uv`` float32 [F, 3, 2]; ``material`` int32 [F], -1 for none), ``materials.json`` (a list of objects with the fields of
``Material``) and the images as PNG. A texture is ``{"file", "channels", "wrap", "smooth"}``: ``channels`` are those of
the image that are read, [0, 1, 2] for a colour and one number for a value.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import EspalierError
from .dual_grid import mesh_to_dual_grid
from .material import Material, voxelize_material
from .normalise import normalise_mesh
from .ovoxel_file import encode_ovoxels
from .texture import Texture
from .voxels import Voxels

MOST_FACES = 20_000_000
"""On a grid too fine for thinning, voxelising takes about 700 bytes a triangle: 14 GB here."""

_ARRAYS = {"vertices": np.float32, "faces": np.int32, "uv": np.float32, "material": np.int32}
_TEXTURES = ("base_color_texture", "metallic_texture", "roughness_texture", "alpha_texture")


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh in the engine's frame, fitted into the unit box, with a material for each face.

    ``vertices`` float32 [V, 3], none twice; ``faces`` int64 [F, 3]; ``uv`` float32 [F, 3, 2]; ``material`` int32 [F]
    into ``materials``, -1 for the default.
    """

    vertices: torch.Tensor
    faces: torch.Tensor
    uv: torch.Tensor
    material: torch.Tensor
    materials: list[Material]

    def voxelise(self, resolution: int) -> Voxels:
        """Convert to O-Voxels with materials at ``resolution``. Raises EspalierError("bad_input")."""
        grid = mesh_to_dual_grid(self.vertices, self.faces, resolution)
        if len(grid.coords) == 0:
            raise EspalierError(
                "bad_input",
                f"Nothing of the mesh is large enough for voxels at a resolution of {resolution}. Choose a finer one.",
            )
        material = voxelize_material(self.vertices, self.faces, self.uv, self.material, self.materials, resolution)
        return encode_ovoxels(grid, material)


def read_textured_mesh(folder: Path) -> TexturedMesh:
    """Read the folder that this module describes. Raises EspalierError("bad_input"), OSError."""
    try:
        with np.load(folder / "mesh.npz", allow_pickle=False) as file:
            arrays = {name: np.ascontiguousarray(file[name], dtype=dtype) for name, dtype in _ARRAYS.items()}
        described = json.loads((folder / "materials.json").read_text(encoding="utf-8"))
        materials = [_material(entry, folder) for entry in described]
    except (ValueError, KeyError, TypeError) as error:
        raise EspalierError("bad_input", "The mesh was not handed over whole. Convert it again.", str(error)) from error
    faces = arrays["faces"]
    if len(faces) == 0:
        raise EspalierError("bad_input", "The file has no faces. Choose a file with a mesh.")
    if len(faces) > MOST_FACES:
        raise EspalierError(
            "bad_input",
            f"The mesh has {len(faces):,} triangles and at most {MOST_FACES:,} can be converted. Reduce it.",
        )
    used = np.unique(faces)
    # Joined by position: vertices that a file format doubled along a seam are no open edge.
    points, place = np.unique(arrays["vertices"][used].astype(np.float64), axis=0, return_inverse=True)
    vertices, _, _ = normalise_mesh(torch.from_numpy(points))
    faces = place.reshape(-1)[np.searchsorted(used, faces)]
    return TexturedMesh(
        vertices.float(),
        torch.from_numpy(faces.astype(np.int64)),
        torch.from_numpy(arrays["uv"]),
        torch.from_numpy(arrays["material"]),
        materials,
    )


def _material(entry: dict[str, Any], folder: Path) -> Material:
    fields = {field.name for field in dataclasses.fields(Material)} & set(entry)
    values = {name: entry[name] for name in fields}
    values["base_color"] = tuple(values["base_color"])
    for name in _TEXTURES:
        values[name] = _texture(values[name], folder) if values.get(name) else None
    return Material(**values)


def _texture(entry: dict[str, Any], folder: Path) -> Texture:
    name = entry["file"]
    if Path(name).name != name:
        raise ValueError(f"the image {name!r} is not in the folder")
    with Image.open(folder / name, formats=["PNG"]) as image:
        pixels = np.asarray(image.convert("RGBA"))
    channels = pixels[..., entry["channels"]]
    return Texture(torch.from_numpy(np.ascontiguousarray(channels)), bool(entry["smooth"]), entry["wrap"])
