# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft: the surface with all its faces and its materials at the vertices. No mending, no unwrap, no maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EspalierError
from ..mesh.bake.alpha import alpha_mode
from ..mesh.bake.bake import ALPHA, MaterialVoxels
from ..mesh.finish_settings import REPAIRS, FinishSettings
from ..mesh.surface.smooth import taubin_smooth


@dataclass(frozen=True)
class DraftAsset:
    """A draft in the engine's frame (Z up, within [-0.5, 0.5]).

    vertices float32 [V, 3]; faces int32 [F, 3]; attributes float32 [V, 6] in 0..1: base colour r, g, b (sRGB),
    metallic, roughness, alpha (1 everywhere in an opaque draft). alpha_mode: "opaque", "mask" or "blend". report:
    counts of what was found and done.
    """

    vertices: np.ndarray
    faces: np.ndarray
    attributes: np.ndarray
    alpha_mode: str
    report: dict[str, Any]


def make_draft(
    vertices: np.ndarray, faces: np.ndarray, material: MaterialVoxels, settings: FinishSettings
) -> DraftAsset:
    """Keep every face of a raw surface, whose vertex n is that of voxel n, and the materials at its vertices.

    Only the closed skin is made first where it is asked for; mending would take longer than a quick look may. Raises
    EspalierError("bad_surface") when no surface is left.
    """
    counts: dict[str, Any] = {}
    if settings.repair == "watertight":
        grid = material.coords, material.resolution
        vertices, faces, counts = REPAIRS[settings.repair](vertices, faces, *grid, settings.repair_options())
        if settings.smoothing:
            vertices = taubin_smooth(vertices, faces, settings.smoothing)
        attributes = material.sample(vertices).astype(np.float32)
    else:
        possible = np.isfinite(vertices).all(axis=1)
        if not possible.all():
            faces = faces[possible[faces].all(axis=1)]
        used = np.zeros(len(vertices), dtype=bool)
        used[faces] = True
        faces = (np.cumsum(used, dtype=np.int32) - 1)[faces]
        vertices, attributes = vertices[used], material.attrs[used].astype(np.float32)
    if len(faces) == 0:
        raise EspalierError("bad_surface", "The generated surface is empty: try another seed, or a clearer image.")
    attributes = np.clip(attributes, 0.0, 1.0)
    mode = alpha_mode(attributes[:, ALPHA])
    if mode == "opaque":
        attributes[:, ALPHA] = 1.0
    counts.update(faces=len(faces), vertices=len(vertices))
    return DraftAsset(vertices.astype(np.float32), faces.astype(np.int32), attributes, mode, counts)
