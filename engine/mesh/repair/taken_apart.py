# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw surface taken apart into consistently wound pieces, and what the cuts leave behind: flakes and tears."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...kernels.host_arrays import on_card
from ..surface import clean, tensor_pieces
from ..surface.manifold import split_non_manifold
from ..surface.topology import EdgesOnCard, EdgeTable, edge_table, edges_of_kept, edges_of_turned, face_vectors, unit
from . import tensor_taken_apart
from .orient import Orientation, open_seams, orient_consistently, part_by_sight, turned_faces, which_turned
from .tears import close_tears


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
    arrays = faces, vertices, hints, seen
    if found := on_card(lambda *tensors: tensor_taken_apart.taken_apart(*tensors, voxel), *arrays):
        vertices, surface, edges, *rest = found
        return Parts(vertices, Orientation(*surface), EdgesOnCard(edges), *rest)
    before = faces
    vertices, faces, origin, _ = split_non_manifold(vertices, faces, hints)
    seams = 0
    table = edge_table(faces)
    surface = orient_consistently(faces, table)
    if not surface.orientable.all():
        faces, copies, seams = open_seams(faces, surface, table, partial(_joining_cost, vertices, faces, hints))
        vertices, origin, table = vertices[copies], origin[copies], edge_table(faces)
        surface = orient_consistently(faces, table)
    by_winding = _other_side(seen, which_turned(origin[surface.faces], before))
    parted, copies, cut = part_by_sight(vertices, surface, faces, table, by_winding, voxel)
    if cut:
        faces, seams, table = parted, seams + cut, edge_table(parted)
        vertices, origin = vertices[copies], origin[copies]
        surface = orient_consistently(faces, table)
    over = which_turned(origin[surface.faces], before)
    hints = np.where(over, -hints, hints)
    return Parts(
        vertices, surface, table, which_turned(surface.faces, faces), hints, _other_side(seen, over), origin, seams
    )


def _other_side(seen: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.where(over[:, None], seen[:, ::-1], seen)


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
        edges=edges_of_kept(parts.edges, turned_faces(faces, turned), kept),
        turned=turned,
        hints=parts.hints[kept],
        seen=parts.seen[kept],
    ), int(flake.sum())


def without_tears(parts: Parts, max_perimeter: float) -> tuple[Parts, int]:
    """Close what tears.py finds, each patch as part of the piece around it; returns how many they were."""
    surface = parts.surface
    patches, beside, closed = close_tears(
        parts.vertices, surface.faces, cut_half_edges(parts), max_perimeter, wound_edges(parts)
    )
    if not closed:
        return parts, 0
    faces = np.concatenate([surface.faces, patches])
    turned = np.concatenate([parts.turned, np.zeros(len(patches), dtype=bool)])
    return replace(
        parts,
        surface=Orientation(faces, np.concatenate([surface.piece, surface.piece[beside]]), surface.orientable),
        edges=edge_table(turned_faces(faces, turned)),
        turned=turned,
        hints=np.concatenate([parts.hints, np.zeros(len(patches), dtype=parts.hints.dtype)]),
        seen=np.concatenate([parts.seen, np.zeros((len(patches), 2))]),
    ), closed


def _joining_cost(
    vertices: np.ndarray, faces: np.ndarray, hints: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """How little the faces at pairs of half-edges belong together, float64 [P]: by outside hints, then by the fold."""
    tail = faces.reshape(-1)
    same = np.where(tail[left] == tail[right], -1, 1)
    a, b = left // 3, right // 3
    normal = unit(face_vectors(vertices, faces))
    one, other = normal[a], normal[b]
    # Rounded alike everywhere, unlike einsum: of equally cheap pairs the first ones stay.
    fold = 1.0 - same * (one * other).sum(axis=1)
    hinted = hints[a].astype(np.int64) * hints[b] * same
    return np.where(hinted > 0, 0.1 * fold, np.where(hinted < 0, 10.0 + fold, 1.0 + fold))


def _widths(parts: Parts, rim: np.ndarray) -> np.ndarray:
    """How wide a strip each open piece would be, by its area and the length of its ``rim`` (half-edges of ``edges``).

    float64 [P], infinite for closed pieces.
    """
    corners = _corners_of_edges(parts)
    count = len(parts.surface.orientable)
    arrays = corners, parts.surface.piece, parts.vertices, rim
    if (found := on_card(lambda *tensors: tensor_pieces.widths(*tensors, count), *arrays)) is not None:
        return found
    tail, head = corners[rim // 3, rim % 3], corners[rim // 3, (rim + 1) % 3]
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
    return turned_faces(parts.surface.faces, parts.turned)


def _cut_edges(parts: Parts) -> np.ndarray:
    """Tell which half-edges of ``parts.edges`` are open only because a crowded edge or a seam was taken apart [3F]."""
    rim = parts.edges.boundary()
    before = parts.origin[_corners_of_edges(parts)]
    at_rim = np.zeros(int(before.max(initial=-1)) + 1, dtype=bool)
    at_rim[before[rim // 3, rim % 3]] = at_rim[before[rim // 3, (rim + 1) % 3]] = True
    # No other face had an edge where the rim is now.
    beside = np.flatnonzero(at_rim[before].sum(axis=1) > 1)
    was_open = np.ones(before.shape, dtype=bool)
    was_open[beside] = edge_table(before[beside]).is_open().reshape(-1, 3)
    cut = np.zeros(before.size, dtype=bool)
    cut[rim] = ~was_open.reshape(-1)[rim]
    return cut


def wound_edges(parts: Parts) -> EdgeTable:
    """The edges of the faces as they are wound now."""
    return edges_of_turned(parts.edges, parts.surface.faces, parts.turned)


def cut_half_edges(parts: Parts) -> np.ndarray:
    """Tell which half-edges of the faces, as they are wound now, are open only because of that; bool [3F]."""
    cut = _cut_edges(parts).reshape(-1, 3)
    # Of a face that was turned over, the half-edges change places.
    return np.where(parts.turned[:, None], cut[:, [1, 0, 2]], cut).reshape(-1)
