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
from .topology import edge_table, face_vectors, half_edge_ends, unit, vertex_components

# Loops up to this length are defects of the extraction (dropped quads), longer ones openings of the object.
HOLE_VOXELS = 8.0

# Vertices closer than this fraction of a voxel are one vertex.
WELD_VOXELS = 0.01


def keep_as_generated(
    vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Weld, drop what has no shape, take crowded edges apart, wind consistently and outward; invent and remove nothing.

    Arguments, result and errors as for ``repair``: what is open stays open, every floating piece stays.
    """
    found = _examine(vertices, faces, resolution)
    hints = outside_hints(found.vertices, found.all_faces, cells, resolution)[found.rows]
    parts = _take_apart(*clean.compact(found.vertices, found.faces), hints)
    return _wind(parts, {**found.counts, "floaters": 0, "holes_filled": 0})


def repair(
    vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Weld, drop what has no shape and what floats, take crowded edges apart, wind outward, fill small holes.

    vertices [V, 3] in the world frame, faces [F, 3] of any winding, ``cells`` int [N, 3] the voxels (of a grid of
    ``resolution``) whose dual vertices the vertices are, or any others. Returns float64 vertices, int64 faces and the
    counts of what was found and done, with sentences in ``events`` where people should know. Raises
    EspalierError("bad_surface") when nothing is left.
    """
    found = _examine(vertices, faces, resolution)
    voxel, counts = 1.0 / resolution, found.counts
    hints = outside_hints(found.vertices, found.all_faces, cells, resolution)[found.rows]
    # Before anything is taken apart: a sliver at a crowded edge is part of the skin, not a crumb.
    floating, counts["floaters"] = clean.find_floaters(found.vertices, found.faces, voxel)
    vertices, faces = clean.compact(found.vertices, found.faces[~floating])
    parts = _take_apart(vertices, faces, hints[~floating])
    filled_vertices, filled, counts["holes_filled"] = fill_holes(
        parts.vertices, parts.faces, HOLE_VOXELS * voxel, _cut_half_edges(parts.faces, parts.origin)
    )
    if counts["holes_filled"]:
        # Back to shared vertices: where two holes met at a vertex, the fan around it is whole again.
        added = np.arange(len(filled_vertices) - len(parts.vertices)) + len(vertices)
        vertices = np.concatenate([vertices, filled_vertices[len(parts.vertices) :]])
        hints = np.concatenate([parts.hints, np.zeros(len(filled) - len(parts.faces), dtype=hints.dtype)])
        faces = np.concatenate([parts.origin, added])[filled]
        kept = ~clean.find_degenerate(vertices, faces)
        faces, hints = faces[kept], hints[kept]
        kept = ~clean.find_duplicates(faces)
        faces, hints = faces[kept], hints[kept]
        parts = _take_apart(vertices, faces, hints)
    return _wind(parts, counts)


def replace_by_skin(
    vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Take the closed outer skin of the voxels in place of their surface, without floaters.

    Arguments and result as for ``repair``; vertex n must be the dual vertex of voxel n. Raises
    EspalierError("bad_surface") when nothing is left or the vertices are not those of the voxels.
    """
    if len(vertices) != len(cells):
        raise EspalierError("bad_surface", "A watertight object needs the voxels it was made from. Generate it again.")
    found = _examine(vertices, faces, resolution)
    skin, faces = outer_skin(cells, found.vertices, found.all_faces[found.possible], resolution)
    floating, found.counts["floaters"] = clean.find_floaters(skin, faces, 1.0 / resolution)
    return _with_account(*clean.compact(skin, faces[~floating]), found.counts)


@dataclass(frozen=True)
class _Found:
    """A checked surface: ``faces`` welded and without flaws, taken from rows ``rows`` of ``all_faces``.

    ``possible`` bool tells which of all faces stand on finite points; ``counts`` what the raw surface was like.
    """

    vertices: np.ndarray
    all_faces: np.ndarray
    possible: np.ndarray
    faces: np.ndarray
    rows: np.ndarray
    counts: dict[str, Any]


def _examine(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> _Found:
    """Weld the surface, drop faces without shape and count; raises EspalierError("bad_surface") when none is left."""
    vertices, all_faces, impossible = clean.check_surface(vertices, faces)
    rows = np.flatnonzero(~impossible)
    faces, welded = clean.weld(vertices, all_faces, WELD_VOXELS / resolution)
    degenerate = clean.find_degenerate(vertices, faces[rows])
    rows = rows[~degenerate]
    duplicate = clean.find_duplicates(faces[rows])
    rows = rows[~duplicate]
    if len(rows) == 0:
        raise _nothing_left()
    faces = faces[rows]
    edges = edge_table(faces).count
    counts = {
        "raw_faces": len(all_faces),
        "impossible_faces": int(impossible.sum()),
        "welded_vertices": welded,
        "degenerate_faces": int(degenerate.sum()),
        "duplicate_faces": int(duplicate.sum()),
        "open_edges": int((edges == 1).sum()),
        "crowded_edges": int((edges > 2).sum()),
    }
    return _Found(vertices, all_faces, ~impossible, faces, rows, counts)


def _wind(parts: _Parts, counts: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Turn the pieces outward and complete the account."""
    counts["seam_edges"] = parts.seam_edges
    surface, counts["pieces_turned_outward"] = orient_outward(
        parts.vertices, orient_consistently(parts.faces), parts.hints
    )
    return _with_account(*clean.compact(parts.vertices, surface.faces), counts)


def _with_account(
    vertices: np.ndarray, faces: np.ndarray, counts: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Count the closed pieces of the result and say in sentences what people should know."""
    piece = vertex_components(faces, len(vertices))
    torn = np.unique(piece[edge_table(faces).boundary() // 3])
    counts["closed_pieces"] = int(piece.max(initial=-1)) + 1 - len(torn)
    events = counts["events"] = []
    if counts["impossible_faces"]:
        events.append(f"{counts['impossible_faces']} faces stood on impossible points and were left out.")
    if counts["floaters"]:
        events.append(f"Floating crumbs were removed: {counts['floaters']}.")
    if counts.get("seam_edges"):
        events.append("Part of the surface has no inside and outside of its own and was cut open along a seam.")
    if not counts["closed_pieces"]:
        events.append("No part of the object is closed: choose the repair “watertight” for printing and booleans.")
    return vertices, faces, counts


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
    seam_edges: int


def _take_apart(vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray) -> _Parts:
    """Split crowded edges, cut what cannot be oriented, and wind; ``hints`` follow the winding of their faces."""
    before = faces
    vertices, faces, origin, _ = split_non_manifold(vertices, faces, hints)
    seams = 0
    surface = orient_consistently(faces)
    if not surface.orientable.all():
        faces, copies, seams = open_seams(faces, _joining_cost(vertices, faces, hints))
        vertices, origin = vertices[copies], origin[copies]
        surface = orient_consistently(faces)
    turned = (origin[surface.faces] != before).any(axis=1)
    return _Parts(vertices, surface.faces, np.where(turned, -hints, hints), origin, seams)


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
