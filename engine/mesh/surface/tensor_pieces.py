# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and shapes of a surface's pieces in torch, for graphics cards: within rounding those of the processor."""

from __future__ import annotations

import torch
from torch import Tensor

from .tensor_reductions import Sums
from .tensor_topology import components, ends_of
from .tensor_vectors import dot, face_vectors, lengths, unit


def areas(piece: Tensor, faces: Tensor, vertices: Tensor, count: int) -> Tensor:
    """The area of each of ``count`` pieces."""
    return Sums(piece, count)(lengths(face_vectors(vertices, faces)))


def diagonals(piece: Tensor, faces: Tensor, vertices: Tensor) -> Tensor:
    """``clean.piece_diagonals``."""
    group, corners = Sums(piece, int(piece.max()) + 1), vertices[faces]
    return lengths(group.greatest(corners.amax(1)) - group.least(corners.amin(1)))


def shapes(faces: Tensor, piece: Tensor, vertices: Tensor, count: int) -> tuple[Tensor, ...]:
    """The fields of ``orient._Shape`` of ``count`` pieces."""
    total = Sums(piece, count)
    vector = face_vectors(vertices, faces)
    area = lengths(vector)
    a, b, c = (vertices[corner] for corner in faces.unbind(1))
    # By a tensor: torch multiplies by the reciprocal of a number, which rounds another way.
    middle = (a + b + c) / vertices.new_full((1,), 3.0)
    piece_area = total(area).clamp_min(1e-300)
    centre = total(area[:, None] * middle) / piece_area[:, None]
    from_centre = middle - centre[piece]
    volume = total(dot(vector, from_centre)) / 3.0
    radius = (total(area * dot(from_centre, from_centre)) / piece_area).sqrt()
    return piece_area, centre, volume, radius, total(vector), area


def areas_around(faces: Tensor, vertices: Tensor) -> Tensor:
    """``holes._area_around_vertices``."""
    a, b, c = faces.unbind(1)
    piece = components(len(vertices), torch.cat([a, a]), torch.cat([b, c]))
    return Sums(piece[a], int(piece.max()) + 1)(lengths(face_vectors(vertices, faces)))[piece]


def widths(faces: Tensor, piece: Tensor, vertices: Tensor, rim: Tensor, count: int) -> Tensor:
    """``taken_apart._widths`` of pieces of ``faces``, of which the half-edges ``rim`` are open."""
    tail, head = (vertices[ends[rim]] for ends in ends_of(faces))
    length = Sums(piece[rim // 3], count)(lengths(head - tail))
    inside = (length > 0)[piece].nonzero().squeeze(1)
    area = Sums(piece[inside], count)(lengths(face_vectors(vertices, faces[inside])))
    return torch.where(length > 0, 2.0 * area / torch.where(length > 0, length, 1.0), torch.inf)


def lengths_and_folds(a: Tensor, b: Tensor, ends: Tensor, faces: Tensor, vertices: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths of edges with these ``ends`` int64 [E, 2], and the cosines between the normals of faces a and b.

    For ``orient.part_by_sight``; float64 [E] each.
    """
    one, other = (unit(face_vectors(vertices, faces[side])) for side in (a, b))
    return lengths(vertices[ends[:, 0]] - vertices[ends[:, 1]]), dot(one, other)
