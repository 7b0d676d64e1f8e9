# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh that is to be textured: read from the job folder, checked, and fitted into the unit cube."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import EspalierError
from ..ovoxel import normalise_mesh
from ..ovoxel.textured_mesh import MOST_FACES

UV_SLACK = 1e-4
"""How far rounding may carry a coordinate out of the unit square; the texel is the same."""

_ARRAYS = {"vertices": (np.float32, (3,)), "faces": (np.int32, (3,)), "uv": (np.float32, (3, 2))}


@dataclass(frozen=True)
class SurfaceMesh:
    """A triangle mesh with UVs. It may be open, non-manifold, of any size and anywhere; Z is up, its front faces -Y.

    vertices: float32 [V, 3] in any unit. faces: int32 [F, 3]. uv: float32 [F, 3, 2] per corner, in the unit square,
    origin lower left, without overlaps (trusted). Raises EspalierError("bad_input") for arrays that are no such mesh.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray

    def __post_init__(self) -> None:
        if len(self.faces) == 0:
            raise EspalierError("bad_input", "The mesh has no faces. Choose an object with a surface.")
        if len(self.faces) > MOST_FACES:
            raise EspalierError(
                "bad_input",
                f"The mesh has {len(self.faces):,} triangles and at most {MOST_FACES:,} can be textured. "
                "Reduce it with a Decimate modifier.",
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise EspalierError(
                "bad_input", "The mesh has faces that point to missing vertices. Validate the mesh and try again."
            )
        if self.uv.shape != (len(self.faces), 3, 2):
            raise EspalierError(
                "bad_input", "The UV coordinates do not fit the faces of the mesh. Unwrap the mesh and try again."
            )
        if not (self.uv.min() >= -UV_SLACK and self.uv.max() <= 1 + UV_SLACK):
            raise EspalierError(
                "bad_input",
                "The UV coordinates of the mesh leave the unit square or are undefined. Unwrap the mesh and try again.",
            )

    def fitted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return vertices float32 [V', 3] in the unit cube and faces int32 [F, 3] (models.md 8.2, step 1, unturned).

        The box of the surface is centred on the origin, its longest side just below 1. Vertices that no face uses are
        left out and do not count. Raises EspalierError("bad_input") for undefined positions and for a single point.
        """
        used = np.zeros(len(self.vertices), dtype=bool)
        used[self.faces] = True
        place = np.cumsum(used, dtype=np.int32) - 1
        vertices, _, _ = normalise_mesh(torch.from_numpy(self.vertices[used].astype(np.float64)))
        return vertices.float().numpy(), place[self.faces]


def read_mesh(path: Path) -> SurfaceMesh:
    """Read ``mesh.npz``. Raises EspalierError("bad_input") when it is missing, damaged or no mesh."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {name: _header(archive, name) for name in _ARRAYS}
        if sizes["faces"] > MOST_FACES or max(sizes.values()) > 3 * MOST_FACES:
            raise EspalierError(
                "bad_input",
                f"The mesh has {sizes['faces']:,} triangles and {sizes['vertices']:,} vertices, more than can be "
                "textured. Reduce it with a Decimate modifier.",
            )
        with np.load(path, allow_pickle=False) as file:
            return SurfaceMesh(**{name: np.ascontiguousarray(file[name]) for name in _ARRAYS})
    except FileNotFoundError:
        raise EspalierError("bad_input", "The job has no mesh. Start it again from an object.") from None
    except (EspalierError, MemoryError):
        raise
    except Exception as error:  # zip and array readers that are fed with damage raise what they like
        raise EspalierError(
            "bad_input", "The mesh of this job cannot be read. Start the job again from the object.", str(error)[:200]
        ) from None


def _header(archive: zipfile.ZipFile, name: str) -> int:
    """Check the type and shape of one array before it is read, and return its number of rows."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    expected, rest = _ARRAYS[name]
    if dtype != expected or shape[1:] != rest:
        raise ValueError(f"{name} is {dtype} {shape}")
    return shape[0]
