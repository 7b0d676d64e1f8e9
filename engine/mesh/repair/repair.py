# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs a raw surface in one of three ways, keeping account of what was found and done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import EspalierError
from ...kernels.host_arrays import on_card
from ..surface import clean, tensor_topology
from ..surface.topology import EdgeTable, edge_table
from .holes import fill_holes
from .orient import Orientation, orient_consistently, orient_outward, sheet_pieces
from .sides import GridSides
from .sight import clearly_ahead, seen_areas
from .skin import outer_skin
from .surface_net import net_skin
from .taken_apart import Parts, cut_half_edges, take_apart, without_flakes, without_tears, wound_edges
from .thin_parts import join_thin_parts

# Loops up to this length are defects of the extraction (dropped quads), longer ones openings of the object.
HOLE_VOXELS = 16.0

# Crowded edges for each face from which on a surface counts as loose layers: a model's own objects have less than a
# hundredth, those of the small starter model a tenth and more.
LAYERED = 0.05

# A face of which less than this shows (voxels²) is hidden: a glimpse through a gap tells nothing.
IN_SIGHT = 0.05

# Vertices closer than this fraction of a voxel are one vertex.
WELD_VOXELS = 0.01


@dataclass(frozen=True)
class RepairOptions:
    """Lengths as shares of the object's longest side.

    hole_length: openings up to this length around are closed (None: sixteen voxels). floater_size: loose pieces with a
    smaller bounding diagonal go (None: a fiftieth of the largest piece's, unless the object is made of such pieces).
    thickness: how thick single sheets of a watertight object become (0: a quarter of a voxel).
    """

    hole_length: float | None = None
    floater_size: float | None = None
    thickness: float = 0.0


def keep_as_generated(
    vertices: np.ndarray,
    faces: np.ndarray,
    cells: np.ndarray,
    resolution: int,
    options: RepairOptions = RepairOptions(),
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Weld, drop what has no shape, take crowded edges apart, wind consistently and outward; invent and remove nothing.

    Arguments, result and errors as for ``repair``, but no option changes anything: what is open stays open, every
    floating piece stays.
    """
    found = _examine(vertices, faces, resolution)
    voxel = 1.0 / resolution
    sides = GridSides.of(found.vertices, found.all_faces, cells, resolution)
    hints, seen = _evidence(found, sides, voxel)
    counts, (vertices, faces) = found.counts, clean.compact(found.vertices, found.faces)
    # With the millions of faces of a fine grid each of these takes as much as the result.
    del found, sides
    parts = take_apart(vertices, faces, hints, seen, voxel)
    return _wind(parts, {**counts, "floaters": 0, "holes_filled": 0})


def repair(
    vertices: np.ndarray,
    faces: np.ndarray,
    cells: np.ndarray,
    resolution: int,
    options: RepairOptions = RepairOptions(),
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Weld, drop what has no shape and what floats, take crowded edges apart, wind outward, fill small holes.

    Before that, thin tubes that hang together by single faces or edges are made whole (see thin_parts.py).

    vertices [V, 3] in the world frame, faces [F, 3] of any winding, ``cells`` int [N, 3] the voxels (of a grid of
    ``resolution``) whose dual vertices the vertices are, or any others. Returns float64 vertices, int64 faces and the
    counts of what was found and done, with sentences in ``events`` where people should know. Raises
    EspalierError("bad_surface") when nothing is left.
    """
    joined = join_thin_parts(vertices, faces, cells, resolution)
    found = _examine(joined.vertices, joined.faces, resolution)
    voxel, counts = 1.0 / resolution, {**found.counts, "raw_faces": len(faces), "thin_joined": joined.places}
    hints, seen = _evidence(found, joined.sides, voxel)
    # Before anything is taken apart: a sliver at a crowded edge is part of the skin, not a crumb.
    floating, counts["floaters"] = _find_floaters(found.vertices, found.faces, voxel, options)
    vertices, faces = clean.compact(found.vertices, found.faces[~floating])
    hints, seen, is_layered = hints[~floating], seen[~floating], _is_layered(found)
    # As above: what nobody needs any more goes.
    del joined, found, floating
    hole_length = _hole_length(vertices, voxel, options)
    parts = take_apart(vertices, faces, hints, seen, voxel)
    del faces, hints, seen
    parts, counts["flakes"] = without_flakes(parts, voxel)
    filled_vertices, filled, counts["holes_filled"] = fill_holes(
        parts.vertices, parts.surface.faces, hole_length, cut_half_edges(parts), wound_edges(parts)
    )
    if counts["holes_filled"]:
        patched = _patched(vertices, parts, filled_vertices, filled)
        del parts, filled
        parts, flakes = without_flakes(take_apart(*patched, voxel), voxel)
        counts["flakes"] += flakes
    if is_layered:
        parts, closed = without_tears(parts, hole_length)
        counts["holes_filled"] += closed
    return _wind(parts, counts)


def _patched(
    vertices: np.ndarray, parts: Parts, filled_vertices: np.ndarray, filled: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The surface whose holes were filled, with the vertices that it shared before it was taken apart to ``parts``.

    Where two holes met at a vertex, the fan around it is whole again. Returns what ``take_apart`` takes.
    """
    added = np.arange(len(filled_vertices) - len(parts.vertices)) + len(vertices)
    vertices = np.concatenate([vertices, filled_vertices[len(parts.vertices) :]])
    patches = np.zeros(len(filled) - len(parts.surface.faces))
    faces = np.concatenate([parts.origin, added])[filled]
    kept = ~clean.find_degenerate(vertices, faces)
    kept[kept] = ~clean.find_duplicates(faces[kept])
    hints = np.concatenate([parts.hints, patches.astype(parts.hints.dtype)])[kept]
    return vertices, faces[kept], hints, np.concatenate([parts.seen, np.stack([patches, patches], 1)])[kept]


def replace_by_skin(
    vertices: np.ndarray,
    faces: np.ndarray,
    cells: np.ndarray,
    resolution: int,
    options: RepairOptions = RepairOptions(),
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Take the closed outer skin of the voxels in place of their surface, without floaters.

    It is made of the surface's own faces; where these are loose layers rather than a surface (many edges with more
    than two faces) and no thickness of sheets is asked for, a new surface is laid around the voxels instead.
    Arguments and result as for ``repair``; vertex n must be the dual vertex of voxel n. Raises
    EspalierError("bad_surface") when nothing is left or the vertices are not those of the voxels.
    """
    if len(vertices) != len(cells):
        raise EspalierError("bad_surface", "A watertight object needs the voxels it was made from. Generate it again.")
    found = _examine(vertices, faces, resolution)
    thickness = options.thickness * longest_side(found.vertices, found.faces)
    hole_length = _hole_length(found.vertices, 1.0 / resolution, options)
    raw = found.all_faces[found.possible]
    found.counts["layered"] = _is_layered(found) and not thickness
    if found.counts["layered"]:
        skin, faces = net_skin(cells, found.vertices, raw, resolution)
    else:
        skin, faces = outer_skin(cells, found.vertices, raw, resolution, thickness, hole_length)
    if len(faces) == 0:
        raise _nothing_left()
    floating, found.counts["floaters"] = _find_floaters(skin, faces, 1.0 / resolution, options)
    skin, faces = clean.compact(skin, faces[~floating])
    surface = orient_consistently(faces)
    found.counts["sheets"] = 0
    return _with_account(skin, surface, edge_table(faces), found.counts)


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
    limits = WELD_VOXELS / resolution, clean.SLIVER_RATIO
    found = on_card(lambda *arrays: tensor_topology.examined(*arrays, *limits), all_faces, vertices, impossible)
    faces, rows, counts = found or _without_flaws(vertices, all_faces, impossible, limits[0])
    if len(rows) == 0:
        raise _nothing_left()
    counts = {"raw_faces": len(all_faces), **counts}
    return _Found(vertices, all_faces, ~impossible, faces, rows, counts)


def _without_flaws(
    vertices: np.ndarray, faces: np.ndarray, impossible: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return the faces, welded, that have a shape, which rows of ``faces`` they are, and the counts."""
    faces, welded = clean.weld(vertices, faces, tolerance)
    rows = np.flatnonzero(~impossible)
    degenerate = clean.find_degenerate(vertices, faces[rows])
    rows = rows[~degenerate]
    duplicate = clean.find_duplicates(faces[rows])
    rows = rows[~duplicate]
    faces = faces[rows]
    edges = edge_table(faces).count
    return (
        faces,
        rows,
        {
            "impossible_faces": int(impossible.sum()),
            "welded_vertices": welded,
            "degenerate_faces": int(degenerate.sum()),
            "duplicate_faces": int(duplicate.sum()),
            "open_edges": int((edges == 1).sum()),
            "crowded_edges": int((edges > 2).sum()),
        },
    )


def _evidence(found: _Found, sides: GridSides | None, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Which side of each face is outside: hints int8 [F], and what is seen of both float64 [F, 2] (see sight.py).

    Where one side of a face is clearly seen it is outside; of others the voxel grid tells.
    """
    seen = seen_areas(found.vertices, found.faces, voxel)
    ahead = clearly_ahead(seen)
    ahead[np.abs(ahead) < IN_SIGHT * voxel**2] = 0.0
    hidden = 0 if sides is None else sides.hints()[found.rows]
    return np.where(ahead != 0.0, np.sign(ahead), hidden).astype(np.int8), seen


def _is_layered(found: _Found) -> bool:
    return found.counts["crowded_edges"] > LAYERED * len(found.faces)


def _find_floaters(
    vertices: np.ndarray, faces: np.ndarray, voxel: float, options: RepairOptions
) -> tuple[np.ndarray, int]:
    if options.floater_size is None:
        return clean.find_floaters(vertices, faces, voxel)
    return clean.find_smaller(vertices, faces, options.floater_size * longest_side(vertices, faces))


def _hole_length(vertices: np.ndarray, voxel: float, options: RepairOptions) -> float:
    if options.hole_length is None:
        return HOLE_VOXELS * voxel
    return options.hole_length * float(np.ptp(vertices, axis=0).max())


def longest_side(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Return the longest side of the box around the vertices [V, 3] that faces [F, 3] use."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.reshape(-1)] = True
    return float(np.ptp(vertices[used], axis=0).max())


def _wind(parts: Parts, counts: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Turn the pieces outward and complete the account."""
    counts["seam_edges"] = parts.seam_edges
    surface, counts["pieces_turned_outward"] = orient_outward(parts.vertices, parts.surface, parts.hints, parts.seen)
    counts["sheets"] = int(sheet_pieces(parts.vertices, surface, parts.edges).sum())
    return _with_account(parts.vertices, surface, parts.edges, counts)


def _with_account(
    vertices: np.ndarray, surface: Orientation, edges: EdgeTable, counts: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Count the closed pieces of the result and say in sentences what people should know."""
    torn = np.unique(surface.piece[edges.boundary() // 3])
    counts["closed_pieces"] = len(surface.orientable) - len(torn)
    events = counts["events"] = []
    if counts["impossible_faces"]:
        events.append(f"{counts['impossible_faces']} faces stood on impossible points and were left out.")
    if counts["floaters"]:
        events.append(f"Floating crumbs were removed: {counts['floaters']}.")
    if counts.get("thin_joined"):
        events.append(f"Thin parts that the voxels hold only in places were joined: {counts['thin_joined']}.")
    if counts.get("layered"):
        events.append("The surface is made of loose layers: a new one was laid around its voxels.")
    if counts.get("seam_edges"):
        events.append("Part of the surface has no inside and outside of its own and was cut open along a seam.")
    if not counts["closed_pieces"]:
        events.append("No part of the object is closed: choose the repair “watertight” for printing and booleans.")
    return *clean.compact(vertices, surface.faces), counts


def _nothing_left() -> EspalierError:
    return EspalierError(
        "bad_surface",
        "The generated surface is empty: try another seed, or an image that shows one object clearly.",
    )
