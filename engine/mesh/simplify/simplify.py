# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer faces by quadric edge collapse: a fast one for the bulk, an exact one (collapse.py) for the rest and on CUDA.

The bulk of a large mesh goes by compiled sweeps (simplify_sweeps.py), which end exactly at the target; of a smaller
one, or where numba is missing, by fast-simplification, which ends a little above it and leaves open rims as they are.
Both remove edges below a rising threshold; the collapse in rounds is slower on a processor and closer to the original,
so either ends well above a low target.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ...kernels.host_arrays import on_large_card
from ..compilation import load_loops
from ..surface import clean
from ..surface.manifold import separate_corners
from ..surface.topology import edge_table, face_vectors, vertex_components
from .collapse import collapse
from .simplify_sweeps import collapse_in_sweeps

# The library leaves so many times the faces of the target; the bulk always at least so many.
_LEFT_OVER = 1.04
_LEAST_LEFT = 20_000

# The library cannot remove the faces at open rims, nor some around them: together so many times the faces at rims.
_RIM_FACES = 1.5

# Faces below which the compiled sweeps are not worth loading.
_SWEPT_FACES = 100_000

# The library collapses every edge below a threshold, whatever their order, then raises it. Its first thresholds are
# lengths: with average edges this long they are well below what a fine mesh can lose, so that the cheapest edges do go
# first; and with this rise there are enough rounds for that (its default of 7 doubles the error).
_EDGE_LENGTH = 0.15
_AGGRESSIVENESS = 4.0

# A closed piece needs so many faces, an open one at least one.
_CLOSED = 4

# Pieces may need this part of the target to be there at all; beyond it the smallest ones go, together at most this
# part of the surface.
_PIECES_SHARE = 0.1
_CRUMBS_SHARE = 0.02

# Points are looked for within this share of the object around a box first.
_NEAR = 0.01

# Meshes of more faces than this go to a card that has room for so many bytes each.
_CUDA_FACES = 1_000_000
_CUDA_BYTES_A_FACE = 1024


def simplify(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until ``target_faces`` remain, at most one fewer; a mesh that has no more comes back as it is.

    vertices [V, 3], faces int [F, 3], wound consistently. Returns float64 vertices and int64 faces. Open rims and
    sharp features stay; no edge of three faces, doubled face or face turned over is made. Where these rules leave
    nothing to collapse, more faces than asked for remain: as few as possible. Pieces vanish only where the target is
    too low for all of them, and only crumbs: smaller than an edge of the result, together a fiftieth of the surface.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    faces = _without_crumbs(vertices, faces, target_faces)
    if len(faces) > max(target_faces, _CUDA_FACES):
        size = len(faces) * _CUDA_BYTES_A_FACE
        if found := on_large_card(lambda device: collapse(vertices, faces, target_faces, device), size):
            return found
    vertices, faces = _bulk(vertices, faces, target_faces)
    return collapse(vertices, faces, target_faces) if len(faces) > target_faces else (vertices, faces)


def reduce_faces(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Simplify a repaired surface to ``target_faces``, every vertex with one fan of faces.

    A surface that has no more faces comes back as the same arrays. No closed piece comes out inside out. See
    ``simplify`` for the rest.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    before = vertices, faces
    vertices, faces = simplify(vertices, faces, target_faces)
    faces, copies = separate_corners(faces, *edge_table(faces).pairs())
    vertices = vertices[copies]
    return vertices, turned_back(before, vertices, faces)


def _bulk(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Take away quickly what can be removed safely; the mesh itself where that is nothing."""
    least = max(target_faces, _LEAST_LEFT)
    if 2 * least < len(faces) > _SWEPT_FACES and (loops := load_loops("simplify.compiled_sweeps")):
        return collapse_in_sweeps(loops, vertices, faces, least)
    return _by_library(vertices, faces, max(int(_LEFT_OVER * target_faces), _LEAST_LEFT))


def _by_library(vertices: np.ndarray, faces: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Let fast-simplification take faces away until ``least`` are left, or as few as it can; see ``_bulk``."""
    # The library leaves faces at open rims alone: what it cannot remove must not count against the others.
    least += int(_RIM_FACES * _at_rims(vertices, faces).sum())
    area = float(np.linalg.norm(face_vectors(vertices, faces), axis=1).sum())
    enlarge = _EDGE_LENGTH / max(float(np.sqrt(4 / np.sqrt(3) * area / max(len(faces), 1))), 1e-30)
    while 2 * least < len(faces):
        from fast_simplification import simplify as library

        points, corners = library(
            vertices * enlarge, faces.astype(np.int32), target_count=least, preserve_border=True, agg=_AGGRESSIVENESS
        )
        if len(corners) <= least:
            return mend_folds(np.asarray(points, dtype=np.float64) / enlarge, np.asarray(corners, dtype=np.int64))
        least *= 2
    return vertices, faces


def _at_rims(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Tell the faces with a vertex on an open rim, bool [F], by a comparison much cheaper than a table of all edges.

    Around a vertex inside a surface, the vertices that edges lead to are those that edges come from: their sums agree.
    """
    name = np.random.default_rng(0).integers(1, 1 << 40, len(vertices)).astype(np.float64)
    leading, coming = np.zeros(len(vertices)), np.zeros(len(vertices))
    for corner in range(3):
        tail, head = faces[:, corner], faces[:, (corner + 1) % 3]
        leading += np.bincount(tail, name[head], minlength=len(vertices))
        coming += np.bincount(head, name[tail], minlength=len(vertices))
    return (leading != coming)[faces].any(axis=1)


def _without_crumbs(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> np.ndarray:
    """Return the faces of the pieces that ``target_faces`` can show; the largest always stays.

    Every piece needs some faces. Where all together need too many of them, the smallest pieces go first, as far as
    their bounding diagonal is below the average edge of a mesh with so many faces and they are little of the surface.
    """
    piece = vertex_components(faces, len(vertices))
    pieces = int(piece.max(initial=0)) + 1
    if pieces == 1 or _CLOSED * pieces <= _PIECES_SHARE * target_faces:
        return faces
    diagonal = clean.piece_diagonals(vertices, faces, piece)
    rank = np.argsort(-diagonal, kind="stable")
    need = np.full(pieces, _CLOSED)
    need[piece[_at_rims(vertices, faces)]] = 1
    area = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1))
    small = diagonal < np.sqrt(4 / np.sqrt(3) * area.sum() / max(target_faces, 1))
    excess = np.cumsum(need[rank]) > max(_PIECES_SHARE * target_faces, need[rank[0]])
    little = np.cumsum(area[rank][::-1])[::-1] < _CRUMBS_SHARE * area.sum()
    stays = np.ones(pieces, dtype=bool)
    stays[rank] = ~(excess & little & small[rank])
    return faces[stays[piece]]


def mend_folds(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mend what collapsing may leave: faces folded onto each other go both, edges of more than two faces are cut open.

    vertices [V, 3], faces int64 [F, 3]; returns the same without faces that repeat a vertex.
    """
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    order = np.argsort(faces, axis=1)
    three = np.take_along_axis(faces, order, 1)
    # Even or odd, as the corners go round in ascending order or against it.
    turn = np.where((order[:, 1] - order[:, 0]) % 3 == 1, 1, -1)
    again = clean.find_duplicates(faces)
    if again.any():
        _, same = np.unique(three, axis=0, return_inverse=True)
        same = same.reshape(-1)
        surplus = np.bincount(same, turn)
        # Of faces on the same corners, what is left over of one winding stays, once.
        first = np.zeros(len(faces), dtype=bool)
        rows = np.lexsort((np.arange(len(faces)), -turn * np.sign(surplus)[same], same))
        first[rows[np.diff(same[rows], prepend=-1) != 0]] = True
        faces = faces[first & (surplus[same] != 0)]
    table = edge_table(faces)
    if (table.count > 2).any():
        faces, copies = separate_corners(faces, *table.pairs())
        vertices = vertices[copies]
    return vertices, faces


def turned_back(before: tuple[np.ndarray, np.ndarray], vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Turn closed pieces over that were the right way round in ``before`` and no longer are; faces int64 [F, 3].

    A piece that is hardly more than two layers of faces may come out of many collapses inside out.
    """
    inside_out, piece = _inside_out(vertices, faces)
    if not inside_out.any():
        return faces
    rows = np.flatnonzero(inside_out[piece])
    nearest = _nearest(before[0], before[1][:, 0], vertices[faces[rows, 0]])
    old_piece = vertex_components(before[1], len(before[0]))
    met = np.zeros(int(old_piece.max()) + 1, dtype=bool)
    met[old_piece[nearest]] = True
    number = np.cumsum(met) - 1
    used, compact = np.unique(before[1][met[old_piece]], return_inverse=True)
    was, _ = _inside_out(before[0][used], compact.reshape(-1, 3))
    was = was[number[old_piece[nearest]]]
    votes = np.bincount(piece[rows], np.where(was, 1.0, -1.0), minlength=len(inside_out))
    turned = inside_out & (votes < 0)
    return np.where(turned[piece][:, None], faces[:, ::-1], faces)


def _nearest(points: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Of ``points[rows]`` the nearest to each of the places [N, 3], int64 [N]: its number in ``rows`` int [M]."""
    size = max(float(column.max() - column.min()) for column in points.T)
    for margin in (_NEAR * size, np.inf):
        inside = np.ones(len(points), dtype=bool)
        for column, wanted in zip(points.T, places.T, strict=True):
            inside &= (column >= wanted.min() - margin) & (column <= wanted.max() + margin)
        near = np.flatnonzero(inside[rows])
        tree = cKDTree(points[rows[near]], balanced_tree=False, compact_nodes=False)
        distance, found = tree.query(places)
        if (distance <= margin).all():
            break
    return near[found]


def _inside_out(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell which pieces are closed and enclose a negative volume, bool [P], and the piece of every face, int64 [F]."""
    piece = vertex_components(faces, len(vertices))
    origin = np.empty(int(piece.max(initial=-1)) + 1, dtype=np.int64)
    origin[piece] = faces[:, 0]
    # By columns, which is several times as fast as by rows of three.
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = (
        column[faces.T] - column[origin][piece] for column in np.ascontiguousarray(vertices.T, dtype=np.float64)
    )
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    negative = np.bincount(piece, volume) < 0
    doubtful = np.flatnonzero(negative[piece])
    if len(doubtful):
        negative[piece[doubtful[edge_table(faces[doubtful]).boundary() // 3]]] = False
    return negative, piece
