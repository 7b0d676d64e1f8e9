# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer faces by quadric edge collapse: a library for the bulk, our own collapse for the last part and on CUDA.

fast-simplification removes edges below a rising threshold, quickly, but ends early where open rims are in the way
and then wears the rest down; the collapse in rounds (collapse.py) is slower on a processor, closer to the original and
ends exactly at the target. So the library stops a little above the target, and well above a low one.
"""

from __future__ import annotations

import numpy as np
import torch

from . import clean
from .collapse import collapse
from .manifold import separate_corners
from .topology import edge_table, face_vectors, vertex_components

# The library leaves so many times the faces of the target, and at least so many.
_LEFT_OVER = 1.1
_LEAST_LEFT = 20_000

# It cannot remove the faces at open rims, nor some around them: together so many times the faces at rims.
_RIM_FACES = 1.5

# How quickly the library's threshold rises: 3 keeps the error of Blender's Decimate, its default of 7 doubles it.
_AGGRESSIVENESS = 3.0

# Pieces may need this part of the target to be there at all; beyond it the smallest ones go, together at most this
# part of the surface.
_PIECES_SHARE = 0.1
_CRUMBS_SHARE = 0.02

# With CUDA, meshes of more faces than this go there.
_CUDA_FACES = 1_000_000


def simplify(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until ``target_faces`` remain, at most one fewer; a mesh that has no more comes back as it is.

    vertices [V, 3], faces int [F, 3], wound consistently. Returns float64 vertices and int64 faces. Open rims and
    sharp features stay; no edge of three faces, doubled face or face turned over is made. Where these rules leave
    nothing to collapse, more faces than asked for remain: as few as possible. Pieces vanish only where the target is
    too low for all of them, and only crumbs: smaller than an edge of the result, together a fiftieth of the surface.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    device = "cuda" if len(faces) > _CUDA_FACES and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        vertices, faces = _bulk(vertices, faces, target_faces)
    return collapse(vertices, _without_crumbs(vertices, faces, target_faces), target_faces, device)


def reduce_faces(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Simplify a repaired surface to ``target_faces``, every vertex with one fan of faces.

    A surface that has no more faces comes back as the same arrays. See ``simplify`` for the rest.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    vertices, faces = simplify(vertices, faces, target_faces)
    faces, copies = separate_corners(faces, *edge_table(faces).pairs())
    return vertices[copies], faces


def _bulk(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Let the library take away what it can remove safely; the mesh itself where that is nothing."""
    # The library leaves faces at open rims alone: what it cannot remove must not count against the others.
    least = max(int(_LEFT_OVER * target_faces), _LEAST_LEFT) + int(_RIM_FACES * _faces_at_rims(vertices, faces))
    while 2 * least < len(faces):
        from fast_simplification import simplify as library

        points, corners = library(
            vertices, faces.astype(np.int32), target_count=least, preserve_border=True, agg=_AGGRESSIVENESS
        )
        points, corners = np.asarray(points, dtype=np.float64), np.asarray(corners, dtype=np.int64)
        if len(corners) <= least and _is_sound(points, corners):
            return points, corners
        least *= 2
    return vertices, faces


def _faces_at_rims(vertices: np.ndarray, faces: np.ndarray) -> int:
    """Count the faces with a vertex on an open rim, by a comparison much cheaper than a table of all edges.

    Around a vertex inside a surface, the vertices that edges lead to are those that edges come from: their sums agree.
    """
    name = np.random.default_rng(0).integers(1, 1 << 40, len(vertices)).astype(np.float64)
    leading, coming = np.zeros(len(vertices)), np.zeros(len(vertices))
    for corner in range(3):
        tail, head = faces[:, corner], faces[:, (corner + 1) % 3]
        leading += np.bincount(tail, name[head], minlength=len(vertices))
        coming += np.bincount(head, name[tail], minlength=len(vertices))
    return int((leading != coming)[faces].any(axis=1).sum())


def _without_crumbs(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> np.ndarray:
    """Return the faces of the pieces that ``target_faces`` can show; the largest always stays.

    Every piece needs some faces. Where all together need too many of them, the smallest pieces go first, as far as
    their bounding diagonal is below the average edge of a mesh with so many faces and they are little of the surface.
    """
    piece = vertex_components(faces, len(vertices))
    order = np.argsort(piece, kind="stable")
    start = np.flatnonzero(np.diff(piece[order], prepend=-1))
    points = vertices[faces[order]]
    low = np.minimum.reduceat(points.min(axis=1), start, axis=0)
    high = np.maximum.reduceat(points.max(axis=1), start, axis=0)
    diagonal = np.linalg.norm(high - low, axis=1)
    rank = np.argsort(-diagonal, kind="stable")
    # A closed piece needs four faces, an open one at least one.
    table = edge_table(faces)
    need = np.full(len(start), 4)
    need[piece[table.boundary() // 3]] = 1
    area = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1))
    small = diagonal < np.sqrt(4 / np.sqrt(3) * area.sum() / max(target_faces, 1))
    excess = np.cumsum(need[rank]) > max(_PIECES_SHARE * target_faces, need[rank[0]])
    little = np.cumsum(area[rank][::-1])[::-1] < _CRUMBS_SHARE * area.sum()
    stays = np.ones(len(start), dtype=bool)
    stays[rank] = ~(excess & little & small[rank])
    return faces[stays[piece]]


def _is_sound(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Tell whether a mesh has neither edges of three faces nor doubled or empty faces."""
    if clean.find_degenerate(vertices, faces).any() or clean.find_duplicates(faces).any():
        return False
    return bool((edge_table(faces).count <= 2).all())
