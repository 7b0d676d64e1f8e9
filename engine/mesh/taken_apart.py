# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw surface taken apart into consistently wound pieces, and what the cuts leave behind: flakes and tears."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import clean
from .manifold import split_non_manifold
from .orient import Orientation, open_seams, orient_consistently, part_by_sight
from .tears import close_tears
from .topology import EdgeTable, edge_table, face_vectors, half_edge_ends, unit


@dataclass(frozen=True)
class Parts:
    """A surface without crowded edges, wound consistently: ``vertices`` [V, 3] and ``surface``.

    ``origin`` int64 [V]: the vertices before. ``edges`` number the half-edges as they were before faces were ``turned``
    bool [F] over. ``hints`` int8 [F] tell on which side of a face outside is (1 the side that its normal points to, -1
    the other, 0 unknown), ``seen`` float64 [F, 2] how much of both sides shows (see sight.py). ``seam_edges``: how many
    edges were cut open along seams.
    """

    vertices: np.ndarray
    surface: Orientation
    edges: EdgeTable
    turned: np.ndarray
    hints: np.ndarray
    seen: np.ndarray
    origin: np.ndarray
    seam_edges: int


def take_apart(vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray, seen: np.ndarray, voxel: float) -> Parts:
    """Split crowded edges, cut what cannot be oriented or shows both sides, and wind.

    vertices [V, 3], faces int64 [F, 3]. ``hints`` and ``seen`` (see ``Parts``) follow the winding of their faces.
    ``voxel``: its side in world units.
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
    return Parts(vertices, surface, table, _turned(surface.faces, faces), hints, _other_side(seen, over), origin, seams)


def _other_side(seen: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.where(over[:, None], seen[:, ::-1], seen)


def _turned(faces: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Tell which faces [F, 3] are those of ``before`` turned over, bool [F]."""
    return faces[:, 0] != before[:, 0]


def without_flakes(parts: Parts, voxel: float) -> tuple[Parts, int]:
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


def without_tears(parts: Parts, max_perimeter: float) -> tuple[Parts, int]:
    """Close what tears.py finds, each patch as part of the piece around it; returns how many they were."""
    surface = parts.surface
    patches, beside, closed = close_tears(parts.vertices, surface.faces, cut_half_edges(parts), max_perimeter)
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


def _widths(parts: Parts, rim: np.ndarray) -> np.ndarray:
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


def _corners_of_edges(parts: Parts) -> np.ndarray:
    """The faces int64 [F, 3] whose half-edges ``parts.edges`` numbers: as they were before any was turned over."""
    return np.where(parts.turned[:, None], parts.surface.faces[:, ::-1], parts.surface.faces)


def _cut_edges(parts: Parts) -> np.ndarray:
    """Tell which half-edges of ``parts.edges`` are open only because a crowded edge or a seam was taken apart [3F]."""
    before, after = edge_table(parts.origin[_corners_of_edges(parts)]), parts.edges
    return (before.count[before.edge_of_half] > 1) & (after.count[after.edge_of_half] == 1)


def cut_half_edges(parts: Parts) -> np.ndarray:
    """Tell which half-edges of the faces, as they are wound now, are open only because of that; bool [3F]."""
    cut = _cut_edges(parts).reshape(-1, 3)
    # Of a face that was turned over, the half-edges change places.
    return np.where(parts.turned[:, None], cut[:, [1, 0, 2]], cut).reshape(-1)
