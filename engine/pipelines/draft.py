# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft: the surface with all its faces and its materials at the vertices. No mending, no unwrap, no maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EspalierError
from ..mesh.alpha import alpha_mode
from ..mesh.bake import ALPHA, BASE_COLOR, MaterialVoxels, to_bytes
from ..mesh.finish_settings import REPAIRS, FinishSettings
from ..mesh.smooth import taubin_smooth
from .preview import render_preview

PREVIEW_FACES = 1_000_000
"""More faces than this are thinned out for the small picture: each still has several to a pixel."""


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
        vertices, faces, counts = REPAIRS[settings.repair](vertices, faces, material.coords, material.resolution)
        if settings.smoothing:
            vertices = taubin_smooth(vertices, faces, settings.smoothing)
        attributes = material.sample(vertices).astype(np.float32)
    else:
        faces = faces[np.isfinite(vertices).all(axis=1)[faces].all(axis=1)]
        used, faces = np.unique(faces, return_inverse=True)
        vertices, attributes, faces = vertices[used], material.attrs[used].astype(np.float32), faces.reshape(-1, 3)
    if len(faces) == 0:
        raise EspalierError("bad_surface", "The generated surface is empty: try another seed, or a clearer image.")
    attributes = np.clip(attributes, 0.0, 1.0)
    mode = alpha_mode(attributes[:, ALPHA])
    if mode == "opaque":
        attributes[:, ALPHA] = 1.0
    counts.update(faces=len(faces), vertices=len(vertices))
    return DraftAsset(vertices.astype(np.float32), faces.astype(np.int32), attributes, mode, counts)


def preview_draft(draft: DraftAsset) -> np.ndarray:
    """The small picture of a draft, as ``render_preview`` makes it: a texel for each face."""
    faces = draft.faces[:: -(-len(draft.faces) // PREVIEW_FACES)]
    side = int(np.ceil(np.sqrt(len(faces))))
    texels = np.zeros((side * side, 3), np.uint8)
    texels[: len(faces)] = to_bytes(draft.attributes[faces][..., BASE_COLOR].mean(axis=1))
    row, column = np.divmod(np.arange(len(faces)), side)
    uv = np.stack([(column + 0.5) / side, 1 - (row + 0.5) / side], axis=1)
    return render_preview(draft.vertices, faces, np.repeat(uv[:, None], 3, axis=1), texels.reshape(side, side, 3))
