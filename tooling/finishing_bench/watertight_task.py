# SPDX-License-Identifier: GPL-3.0-or-later
"""Watertight repair of procedural starter assets, whole, torn and doubled; closedness as manifold3d judges it."""

from __future__ import annotations

import numpy as np
import torch
from manifold3d import Error, Manifold, Mesh

from ...engine.mesh.finish_settings import REPAIRS
from ...engine.ovoxel import mesh_to_dual_grid
from ...engine.pipelines.asset import VoxelAsset
from ...engine.starter.asset import make_asset
from ...engine.starter.families import FAMILIES
from .damages import DAMAGES
from .surfaces import DIRECTIONS, Surface, component_of_faces, draw_points, unit_normals, views
from .watch import Steps, answer, request_of

SIDE = 384
POINTS = 100_000
# Components with a smaller share of the surface than this are crumbs, not parts.
PART_SHARE = 1e-3
LOST_VOXELS = 2.0


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``first`` and ``count`` of the seeds, ``resolution``."""
    folder, request = request_of(arguments)
    steps, rows = Steps(folder), []
    for seed in range(int(request["first"]), int(request["first"]) + int(request["count"])):
        rows.append(_one(seed, int(request["resolution"]), steps))
    answer(folder, {"rows": rows})
    return 0


def _one(seed: int, resolution: int, steps: Steps) -> dict:
    whole = make_asset(seed)
    grid = mesh_to_dual_grid(torch.from_numpy(whole.vertices), torch.from_numpy(whole.faces).long(), resolution)
    coords = grid.coords.numpy()
    colours = np.full((len(coords), 6), 0.5, np.float32)
    asset = VoxelAsset(resolution, coords, grid.local.numpy(), grid.intersected.numpy(), None, colours)
    damage = list(DAMAGES)[(seed + seed // len(FAMILIES)) % len(DAMAGES)]
    given = DAMAGES[damage](asset)
    # What is torn is to become whole again; of two layers either is as true.
    reference = (given if damage == "doubled" else asset).surface()
    given = given.completed()
    vertices, faces = given.surface()
    row = {"seed": seed, "family": whole.family, "damage": damage, "raw_faces": len(faces)}
    try:
        with steps.step(f"watertight {seed}"):
            vertices, faces, _ = REPAIRS["watertight"](vertices, faces, given.coords, resolution)
    except Exception as error:  # one bad asset is a result, the others are still measured
        return {**row, "closed": False, "problem": f"{type(error).__name__}: {error}"}
    solid = Manifold(Mesh(vertices.astype(np.float32), faces.astype(np.uint32)))
    row["problem"] = "" if solid.status() == Error.NoError else str(solid.status())
    row["closed"] = solid.status() == Error.NoError and solid.volume() > 0
    row["problem"] = row["problem"] or ("" if row["closed"] else f"its volume is {solid.volume():.3g}")
    return {**row, "faces": len(faces), **_compare(vertices, faces, *reference, resolution)}


def _compare(vertices: np.ndarray, faces: np.ndarray, ref_vertices, ref_faces, resolution: int) -> dict:
    """Compare a solid with the surface it stands for, or what of that is seen from outside.

    Distances in thousandths of the object's size, and how many of its parts are nowhere near the solid.
    """
    size = float(np.ptp(ref_vertices[np.unique(ref_faces)], axis=0).max())
    solid, reference = Surface(vertices, faces), Surface(ref_vertices, ref_faces)
    seen, _ = views(ref_vertices, ref_faces, DIRECTIONS, SIDE)
    faces_seen = np.unique(seen)
    points, drawn = draw_points(ref_vertices, ref_faces[faces_seen], POINTS, seed=0)
    part = component_of_faces(ref_faces)[faces_seen[drawn]]
    away = solid.closest(points)[0]
    back_points, back_face = draw_points(vertices, faces, POINTS, seed=0)
    back, _, hit = reference.closest(back_points)
    cosine = np.abs(
        np.einsum("ni,ni->n", unit_normals(vertices, faces[back_face]), unit_normals(ref_vertices, ref_faces[hit]))
    )
    share = np.bincount(part) / len(part)
    gone = np.bincount(part, away > LOST_VOXELS / resolution) / np.maximum(np.bincount(part), 1)
    return {
        "chamfer": float(500 * (away.mean() + back.mean()) / size),
        "surface_to_solid": float(1000 * away.mean() / size),
        "solid_to_surface": float(1000 * back.mean() / size),
        "normal_degrees": float(np.degrees(np.arccos(np.clip(cosine, 0, 1))).mean()),
        "parts": int((share > PART_SHARE).sum()),
        "parts_lost": int(((share > PART_SHARE) & (gone > 0.5)).sum()),
    }
