# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse voxels with named attributes: what voxel files hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EspalierError

# Limits on what a file may ask for. A surface at 4096 has about 80 million voxels, one at 1536 about 11 million.
MAX_VOXELS = 1 << 27
MAX_CHANNELS = 64
MAX_BYTES = 4 << 30
MAX_COORDINATE = 65535


@dataclass(frozen=True)
class Voxels:
    """``coords`` int [N, 3]: voxel indices x, y, z from 0 to 65535; ``attributes``: arrays [N, ...] by name.

    Raises EspalierError("bad_input") for arrays that do not fit each other or the limits.
    """

    coords: np.ndarray
    attributes: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        coords = self.coords
        if coords.ndim != 2 or coords.shape[1] != 3 or coords.dtype.kind not in "iu":
            raise EspalierError("bad_input", "The voxels' coordinates are not three whole numbers each.")
        if len(coords) > MAX_VOXELS:
            raise EspalierError("bad_input", f"These are {len(coords)} voxels; at most {MAX_VOXELS} are possible.")
        if len(coords) and (coords.min() < 0 or coords.max() > MAX_COORDINATE):
            raise EspalierError("bad_input", f"The voxels' coordinates are not all between 0 and {MAX_COORDINATE}.")
        for name, values in self.attributes.items():
            if values.ndim == 0 or len(values) != len(coords):
                raise EspalierError("bad_input", f"The voxel attribute “{name}” has not one entry for each voxel.")


def damaged(name: str, reason: str) -> EspalierError:
    """The error for a file that is of the right kind and cannot be used."""
    return EspalierError("bad_input", f"The voxel file “{name}” is damaged: {reason}. Copy or make it again.")


def read_source(source: Path | str | bytes) -> tuple[bytes, str]:
    """The bytes of a file, and its name for people; bytes are passed on. Raises EspalierError("bad_input")."""
    if isinstance(source, bytes):
        return source, "voxels"
    path = Path(source)
    try:
        return path.read_bytes(), path.name
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EspalierError("bad_input", f"The file {path} cannot be read: {reason}.") from error
