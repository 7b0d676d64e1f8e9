# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what carries no shape in a raw surface: doubled vertices, empty and doubled faces, floating crumbs."""

from __future__ import annotations

import numpy as np

from ...errors import EspalierError
from ...kernels.host_arrays import on_card
from ..compilation import in_portions
from . import tensor_pieces, tensor_topology
from .topology import face_vectors, stable_order, vertex_components

# Floating pieces go only when they are this small against the object (bounding diagonals) and, together, this little
# of its surface: an object made of small pieces keeps them all.
FLOATER_SIZE = 0.02
FLOATER_VOXELS = 1.5
FLOATER_SHARE = 0.05

# Open pieces of at most so many faces that come off where more than two faces met are no part of any surface. Nor are
# strips of less than this width (voxels) that hung there by more than this share of their rim.
FLAKE_FACES = 8
FLAKE_VOXELS = 0.75
FLAKE_HANGS = 0.4

# A triangle thinner than this fraction of its longest side has no usable normal.
SLIVER_RATIO = 1e-6

# Objects live in [-0.5, 0.5]; whatever lies further out than this is as wrong as a NaN.
FARTHEST = 2.0


def check_surface(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return float64 vertices [V, 3], int64 faces [F, 3] and which faces stand on impossible vertices, bool [F].

    Impossible is not finite or further than ``FARTHEST`` from the origin (world units); such vertices are moved there.
    Raises EspalierError("bad_surface") when the arrays are not a triangle list.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    faces = np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise EspalierError("bad_surface", "The surface is not a list of triangles, so it cannot be finished.")
    faces = faces.astype(np.int64, copy=False)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise EspalierError("bad_surface", "The surface refers to vertices that it does not have.")
    possible = (np.abs(vertices) <= FARTHEST).all(axis=1)
    return np.where(possible[:, None], vertices, 0.0), faces, ~possible[faces].all(axis=1)


def weld(vertices: np.ndarray, faces: np.ndarray, tolerance: float) -> tuple[np.ndarray, int]:
    """Let faces use one vertex wherever several fall on the same point of a lattice of spacing ``tolerance`` (world).

    The first of each group stands for it. Returns faces and the number of vertices merged away.
    """
    if len(vertices) == 0:
        return faces, 0
    if welded := on_card(lambda *tensors: tensor_topology.welded(*tensors, tolerance), vertices, faces):
        return welded
    cell = np.rint(vertices / tolerance).astype(np.int64)
    cell -= cell.min(axis=0)
    span = cell.max(axis=0) + 1
    key = (cell[:, 0] * span[1] + cell[:, 1]) * span[2] + cell[:, 2]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)][faces], len(vertices) - len(first)


def find_degenerate(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Find faces that repeat a vertex or are flat slivers without a direction, bool [F]."""
    if (
        found := on_card(lambda *arrays: tensor_topology.degenerate(*arrays, SLIVER_RATIO), faces, vertices)
    ) is not None:
        return found
    flat = np.empty(len(faces), dtype=bool)

    def compute(part: slice) -> None:
        a, b, c = faces[part].T
        proper = (a != b) & (b != c) & (c != a)
        a, b, c = (np.ascontiguousarray(vertices[corner].T, dtype=np.float64) for corner in (a, b, c))
        first, second, third = b - a, c - a, c - b
        twice = sum((first[i - 2] * second[i - 1] - first[i - 1] * second[i - 2]) ** 2 for i in range(3))
        longest = np.maximum(np.maximum((first**2).sum(0), (second**2).sum(0)), (third**2).sum(0))
        flat[part] = ~(proper & (0.5 * np.sqrt(twice) > SLIVER_RATIO * longest))

    in_portions(compute, len(faces))
    return flat


def find_duplicates(faces: np.ndarray) -> np.ndarray:
    """Find faces whose three vertices an earlier face has already, in any order; bool [F]."""
    if (found := on_card(tensor_topology.duplicates, faces)) is not None:
        return found
    again = np.zeros(len(faces), dtype=bool)
    if len(faces) == 0:
        return again
    low, high = faces.min(axis=1), faces.max(axis=1)
    middle = faces.sum(axis=1) - low - high
    count = int(high.max()) + 1
    order = stable_order(high, count)
    for corner in (middle, low):
        order = order[stable_order(corner[order], count)]
    same = np.ones(len(faces) - 1, dtype=bool)
    for corner in (low, middle, high):
        ordered = corner[order]
        same &= ordered[1:] == ordered[:-1]
    again[order[1:]] = same
    return again


def find_floaters(vertices: np.ndarray, faces: np.ndarray, voxel: float) -> tuple[np.ndarray, int]:
    """Find pieces that are tiny against the object: their faces bool [F], and how many pieces they are.

    A piece is tiny when its bounding diagonal is below ``FLOATER_SIZE`` of the largest piece's plus ``FLOATER_VOXELS``
    voxels (``voxel`` in world units). Where tiny pieces make up more than ``FLOATER_SHARE`` of the surface they are the
    object and all stay.
    """
    piece, diagonal = _pieces(vertices, faces)
    tiny = diagonal < FLOATER_SIZE * diagonal.max(initial=0.0) + FLOATER_VOXELS * voxel
    if tiny.any():
        area = on_card(lambda *arrays: tensor_pieces.areas(*arrays, len(tiny)), piece, faces, vertices)
        if area is None:
            area = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1), minlength=len(tiny))
        if tiny.all() or area[tiny].sum() > FLOATER_SHARE * area.sum():
            tiny[:] = False
    return tiny[piece], int(tiny.sum())


def find_smaller(vertices: np.ndarray, faces: np.ndarray, size: float) -> tuple[np.ndarray, int]:
    """Find the pieces whose bounding diagonal is below ``size`` (world units), never the largest: as ``find_floaters``.

    What is thin but long is not small.
    """
    piece, diagonal = _pieces(vertices, faces)
    small = (diagonal < size) & (diagonal < diagonal.max(initial=0.0))
    return small[piece], int(small.sum())


def _pieces(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the connected piece of each face int64 [F] and each piece's bounding diagonal float64."""
    piece = vertex_components(faces, len(vertices))
    count = int(piece.max(initial=-1)) + 1
    if count == 1:
        # Nothing to compare with, and sorting millions of faces takes its time.
        return piece, np.array([np.inf])
    return piece, piece_diagonals(vertices, faces, piece)


def piece_diagonals(vertices: np.ndarray, faces: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Return the bounding diagonal float64 [P] of each piece, by the ``piece`` int64 [F] of each face."""
    if (found := on_card(tensor_pieces.diagonals, piece, faces, vertices)) is not None:
        return found
    count = np.bincount(piece)
    order = stable_order(piece, len(count))
    start = np.cumsum(count) - count
    points = vertices[faces[order]]
    low = np.minimum.reduceat(points.min(axis=1), start, axis=0)
    high = np.maximum.reduceat(points.max(axis=1), start, axis=0)
    return np.linalg.norm(high - low, axis=1)


def compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop vertices that no face uses, keeping the order of the rest."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.reshape(-1)] = True
    index = np.cumsum(used) - 1
    return vertices[used], index[faces]
