# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs a raw surface and reduces its faces, keeping account of what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EspalierError
from . import clean
from .holes import fill_holes
from .manifold import split_non_manifold
from .orient import open_seams, orient_consistently, orient_outward
from .sides import outside_hints
from .simplify import simplify
from .skin import outer_skin
from .topology import edge_table, face_vectors, half_edge_ends, unit

# Loops up to this length are defects of the extraction (dropped quads), longer ones openings of the object.
HOLE_VOXELS = 8.0

# Vertices closer than this fraction of a voxel are one vertex.
WELD_VOXELS = 0.01


def repair(
    vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Weld, drop what has no shape, take crowded edges apart, wind consistently and outward, fill small holes.

    vertices [V, 3] in the world frame, faces [F, 3] of any winding, ``cells`` int [N, 3] the voxels (of a grid of
    ``resolution``) whose dual vertices the vertices are, or any others. Returns float64 vertices, int64 faces and the
    counts of what was found. Raises EspalierError("bad_surface") when nothing is left.
    """
    counts: dict[str, Any] = {"raw_faces": len(faces)}
    voxel = 1.0 / resolution
    vertices, faces, impossible = clean.check_surface(vertices, faces)
    hints = outside_hints(vertices, faces, cells, resolution)

    def drop(bad: np.ndarray) -> int:
        nonlocal faces, hints
        faces, hints = faces[~bad], hints[~bad]
        return int(bad.sum())

    counts["impossible_faces"] = drop(impossible)
    faces, counts["welded_vertices"] = clean.weld(vertices, faces, WELD_VOXELS * voxel)
    counts["degenerate_faces"] = drop(clean.find_degenerate(vertices, faces))
    counts["duplicate_faces"] = drop(clean.find_duplicates(faces))
    # Before anything is taken apart: a sliver at a crowded edge is part of the skin, not a crumb.
    floating, counts["floaters"] = clean.find_floaters(vertices, faces, voxel)
    drop(floating)
    if len(faces) == 0:
        raise _nothing_left()
    vertices, faces = clean.compact(vertices, faces)
    parts = _take_apart(vertices, faces, hints)
    counts["crowded_edges"] = parts.crowded_edges
    filled_vertices, filled, counts["holes_filled"] = fill_holes(
        parts.vertices, parts.faces, HOLE_VOXELS * voxel, _cut_half_edges(parts.faces, parts.origin)
    )
    if counts["holes_filled"]:
        # Back to shared vertices: where two holes met at a vertex, the fan around it is whole again.
        added = np.arange(len(filled_vertices) - len(parts.vertices)) + len(vertices)
        vertices = np.concatenate([vertices, filled_vertices[len(parts.vertices) :]])
        hints = np.concatenate([parts.hints, np.zeros(len(filled) - len(parts.faces), dtype=hints.dtype)])
        faces = np.concatenate([parts.origin, added])[filled]
        drop(clean.find_degenerate(vertices, faces))
        drop(clean.find_duplicates(faces))
        parts = _take_apart(vertices, faces, hints)
    counts["seam_edges"] = parts.seam_edges
    surface, counts["pieces_turned_outward"] = orient_outward(
        parts.vertices, orient_consistently(parts.faces), parts.hints
    )
    return *clean.compact(parts.vertices, surface.faces), counts


def replace_by_skin(
    vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Take the closed outer skin of the voxels in place of their surface, without floaters.

    Arguments and result as for ``repair``; vertex n must be the dual vertex of voxel n. Raises
    EspalierError("bad_surface") when nothing is left or the vertices are not those of the voxels.
    """
    counts: dict[str, Any] = {"raw_faces": len(faces)}
    if len(vertices) != len(cells):
        raise EspalierError("bad_surface", "A watertight object needs the voxels it was made from. Generate it again.")
    vertices, faces, impossible = clean.check_surface(vertices, faces)
    counts["impossible_faces"] = int(impossible.sum())
    used = np.unique(faces[~impossible])
    if len(used) == 0:
        raise _nothing_left()
    skin, faces = outer_skin(cells[used], vertices[used], resolution)
    floating, counts["floaters"] = clean.find_floaters(skin, faces, 1.0 / resolution)
    return *clean.compact(skin, faces[~floating]), counts


def _nothing_left() -> EspalierError:
    return EspalierError(
        "bad_surface",
        "The generated surface is empty: try another seed, or an image that shows one object clearly.",
    )


@dataclass(frozen=True)
class _Parts:
    """A surface without crowded edges, wound consistently; ``origin`` int64 [V] numbers the vertices before."""

    vertices: np.ndarray
    faces: np.ndarray
    hints: np.ndarray
    origin: np.ndarray
    crowded_edges: int
    seam_edges: int


def _take_apart(vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray) -> _Parts:
    """Split crowded edges, cut what cannot be oriented, and wind; ``hints`` follow the winding of their faces."""
    before = faces
    vertices, faces, origin, crowded = split_non_manifold(vertices, faces, hints)
    seams = 0
    surface = orient_consistently(faces)
    if not surface.orientable.all():
        faces, copies, seams = open_seams(faces, _joining_cost(vertices, faces, hints))
        vertices, origin = vertices[copies], origin[copies]
        surface = orient_consistently(faces)
    turned = (origin[surface.faces] != before).any(axis=1)
    return _Parts(vertices, surface.faces, np.where(turned, -hints, hints), origin, crowded, seams)


def _joining_cost(vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """How little each pair of neighbouring faces belongs together, float64 [P]: by outside hints, then by the fold."""
    left, right = edge_table(faces).pairs()
    tail, _ = half_edge_ends(faces)
    same = np.where(tail[left] == tail[right], -1, 1)
    normal = unit(face_vectors(vertices, faces))
    a, b = left // 3, right // 3
    fold = 1.0 - same * np.einsum("pi,pi->p", normal[a], normal[b])
    hinted = hints[a].astype(np.int64) * hints[b] * same
    return np.where(hinted > 0, 0.1 * fold, np.where(hinted < 0, 10.0 + fold, 1.0 + fold))


def _cut_half_edges(faces: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Tell which half-edges are open only because a crowded edge or a seam was taken apart, bool [3F]."""
    before, after = edge_table(origin[faces]), edge_table(faces)
    return (before.count[before.edge_of_half] > 1) & (after.count[after.edge_of_half] == 1)


def reduce_faces(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Simplify a repaired surface to about ``target_faces`` and repair what the collapses left behind.

    A surface that has no more faces comes back as the same arrays.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    lean_vertices, lean_faces = simplify(vertices, faces, target_faces)
    lean_faces = lean_faces[~clean.find_degenerate(lean_vertices, lean_faces)]
    lean_faces = lean_faces[~clean.find_duplicates(lean_faces)]
    if len(lean_faces) == 0:
        return vertices, faces
    lean_vertices, lean_faces, _, _ = split_non_manifold(lean_vertices, lean_faces)
    return clean.compact(lean_vertices, orient_consistently(lean_faces).faces)
