# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs a raw surface and reduces its faces, keeping account of what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import EspalierError
from . import clean
from .holes import fill_holes
from .manifold import split_non_manifold
from .orient import Orientation, open_seams, orient_consistently, orient_outward, part_by_sight, sheet_pieces
from .sides import GridSides
from .sight import clearly_ahead, seen_areas
from .skin import outer_skin
from .surface_net import net_skin
from .tears import close_tears
from .thin_parts import join_thin_parts
from .topology import EdgeTable, edge_table, face_vectors, half_edge_ends, unit

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
    parts = _take_apart(*clean.compact(found.vertices, found.faces), *_evidence(found, sides, voxel), voxel)
    return _wind(parts, {**found.counts, "floaters": 0, "holes_filled": 0})


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
    hints, seen = hints[~floating], seen[~floating]
    parts = _take_apart(vertices, faces, hints, seen, voxel)
    parts, counts["flakes"] = _without_flakes(parts, voxel)
    filled_vertices, filled, counts["holes_filled"] = fill_holes(
        parts.vertices, parts.surface.faces, _hole_length(vertices, voxel, options), _cut_half_edges(parts)
    )
    if counts["holes_filled"]:
        # Back to shared vertices: where two holes met at a vertex, the fan around it is whole again.
        added = np.arange(len(filled_vertices) - len(parts.vertices)) + len(vertices)
        vertices = np.concatenate([vertices, filled_vertices[len(parts.vertices) :]])
        patches = np.zeros(len(filled) - len(parts.surface.faces))
        hints = np.concatenate([parts.hints, patches.astype(hints.dtype)])
        seen = np.concatenate([parts.seen, np.stack([patches, patches], 1)])
        faces = np.concatenate([parts.origin, added])[filled]
        kept = ~clean.find_degenerate(vertices, faces)
        faces, hints, seen = faces[kept], hints[kept], seen[kept]
        kept = ~clean.find_duplicates(faces)
        faces, hints, seen = faces[kept], hints[kept], seen[kept]
        parts, flakes = _without_flakes(_take_apart(vertices, faces, hints, seen, voxel), voxel)
        counts["flakes"] += flakes
    if _is_layered(found):
        parts, closed = _without_tears(parts, _hole_length(vertices, voxel, options))
        counts["holes_filled"] += closed
    return _wind(parts, counts)


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


def _wind(parts: _Parts, counts: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
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


@dataclass(frozen=True)
class _Parts:
    """A surface without crowded edges, wound consistently.

    ``origin`` int64 [V]: the vertices before. ``edges`` number the half-edges as they were before faces were ``turned``
    bool [F] over.
    """

    vertices: np.ndarray
    surface: Orientation
    edges: EdgeTable
    turned: np.ndarray
    hints: np.ndarray
    seen: np.ndarray
    origin: np.ndarray
    seam_edges: int


def _take_apart(vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray, seen: np.ndarray, voxel: float) -> _Parts:
    """Split crowded edges, cut what cannot be oriented or shows both sides, and wind.

    ``hints`` and ``seen`` (see ``_evidence``) follow the winding of their faces.
    """
    before = faces
    vertices, faces, origin, _ = split_non_manifold(vertices, faces, hints)
    seams = 0
    table = edge_table(faces)
    surface = orient_consistently(faces, table)
    if not surface.orientable.all():
        faces, copies, seams = open_seams(faces, _joining_cost(vertices, faces, hints))
        vertices, origin, table = vertices[copies], origin[copies], edge_table(faces)
        surface = orient_consistently(faces, table)
    by_winding = _other_side(seen, _turned(origin[surface.faces], before))
    parted, copies, cut = part_by_sight(vertices, surface, table, by_winding, voxel)
    if cut:
        faces, seams, table = parted, seams + cut, edge_table(parted)
        vertices, origin = vertices[copies], origin[copies]
        surface = orient_consistently(faces, table)
    over = _turned(origin[surface.faces], before)
    hints = np.where(over, -hints, hints)
    return _Parts(
        vertices, surface, table, _turned(surface.faces, faces), hints, _other_side(seen, over), origin, seams
    )


def _other_side(seen: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.where(over[:, None], seen[:, ::-1], seen)


def _turned(faces: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Tell which faces [F, 3] are those of ``before`` turned over, bool [F]."""
    return faces[:, 0] != before[:, 0]


def _without_flakes(parts: _Parts, voxel: float) -> tuple[_Parts, int]:
    """Drop the open pieces of a few faces that stay over where crowded edges were taken apart; returns their number.

    So do strips narrower than ``FLAKE_VOXELS`` that hung by one of their long sides: fins that the grid leaves where a
    sharp edge runs along it. Where all this is more than crumbs of the surface it stays.
    """
    surface = parts.surface
    size = np.bincount(surface.piece)
    rim = parts.edges.boundary()
    open_piece = np.zeros(len(size), dtype=bool)
    open_piece[surface.piece[rim // 3]] = True
    flake = open_piece & (size <= clean.FLAKE_FACES)
    strip = open_piece & ~flake & (_widths(parts, rim) < clean.FLAKE_VOXELS * voxel)
    if strip.any():
        of = surface.piece[rim // 3]
        hung = np.bincount(of, _cut_edges(parts)[rim], minlength=len(size)) / np.maximum(
            np.bincount(of, minlength=len(size)), 1
        )
        flake |= strip & (hung > clean.FLAKE_HANGS)
    if not flake.any() or size[flake].sum() > clean.FLOATER_SHARE * len(surface.faces):
        return parts, 0
    kept = ~flake[surface.piece]
    faces, turned = surface.faces[kept], parts.turned[kept]
    number = np.cumsum(~flake) - 1
    return replace(
        parts,
        surface=Orientation(faces, number[surface.piece[kept]], surface.orientable[~flake]),
        edges=edge_table(np.where(turned[:, None], faces[:, ::-1], faces)),
        turned=turned,
        hints=parts.hints[kept],
        seen=parts.seen[kept],
    ), int(flake.sum())


def _without_tears(parts: _Parts, max_perimeter: float) -> tuple[_Parts, int]:
    """Close what tears.py finds, each patch as part of the piece around it; returns how many they were."""
    surface = parts.surface
    patches, beside, closed = close_tears(parts.vertices, surface.faces, _cut_half_edges(parts), max_perimeter)
    if not closed:
        return parts, 0
    faces = np.concatenate([surface.faces, patches])
    turned = np.concatenate([parts.turned, np.zeros(len(patches), dtype=bool)])
    return replace(
        parts,
        surface=Orientation(faces, np.concatenate([surface.piece, surface.piece[beside]]), surface.orientable),
        edges=edge_table(np.where(turned[:, None], faces[:, ::-1], faces)),
        turned=turned,
        hints=np.concatenate([parts.hints, np.zeros(len(patches), dtype=parts.hints.dtype)]),
        seen=np.concatenate([parts.seen, np.zeros((len(patches), 2))]),
    ), closed


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


def _widths(parts: _Parts, rim: np.ndarray) -> np.ndarray:
    """How wide a strip each open piece would be, by its area and the length of its ``rim`` (half-edges of ``edges``).

    float64 [P], infinite for closed pieces.
    """
    corners = _corners_of_edges(parts)
    tail, head = corners[rim // 3, rim % 3], corners[rim // 3, (rim + 1) % 3]
    count = len(parts.surface.orientable)
    length = np.bincount(
        parts.surface.piece[rim // 3],
        np.linalg.norm(parts.vertices[head] - parts.vertices[tail], axis=1),
        minlength=count,
    )
    inside = np.flatnonzero((length > 0)[parts.surface.piece])
    size = np.linalg.norm(face_vectors(parts.vertices, corners[inside]), axis=1)
    area = np.bincount(parts.surface.piece[inside], size, minlength=count)
    return np.where(length > 0, 2.0 * area / np.where(length > 0, length, 1.0), np.inf)


def _corners_of_edges(parts: _Parts) -> np.ndarray:
    """The faces int64 [F, 3] whose half-edges ``parts.edges`` numbers: as they were before any was turned over."""
    return np.where(parts.turned[:, None], parts.surface.faces[:, ::-1], parts.surface.faces)


def _cut_edges(parts: _Parts) -> np.ndarray:
    """Tell which half-edges of ``parts.edges`` are open only because a crowded edge or a seam was taken apart [3F]."""
    before, after = edge_table(parts.origin[_corners_of_edges(parts)]), parts.edges
    return (before.count[before.edge_of_half] > 1) & (after.count[after.edge_of_half] == 1)


def _cut_half_edges(parts: _Parts) -> np.ndarray:
    """The same for the half-edges of the faces as they are wound now, bool [3F]."""
    cut = _cut_edges(parts).reshape(-1, 3)
    # Of a face that was turned over, the half-edges change places.
    return np.where(parts.turned[:, None], cut[:, [1, 0, 2]], cut).reshape(-1)
