# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading normals and tangents in torch, for graphics cards: see the functions named in each."""

from __future__ import annotations

import torch
from torch import Tensor

from .tensor_topology import Edges, components, ends_of, following, welded
from .tensor_vectors import Groups, alike, by_length, corner_angles, cross, dot, face_vectors, lengths, unit

_CORNERS_AT_ONCE = 1 << 22


def corner_normals(
    faces: Tensor, vertices: Tensor, uv: Tensor | None = None, *, least_cosine: float, same_place: float
) -> Tensor:
    """``normals.corner_normals``; ``least_cosine`` is that of a crease, ``same_place`` the distance of coinciding."""
    count = len(faces)
    normal = unit(face_vectors(vertices, faces))
    together, _ = welded(vertices, faces, same_place)
    left, right = (torch.cat(both) for both in zip(Edges(faces).pairs(), Edges(together).pairs(), strict=True))
    tail, _ = ends_of(together)
    flat = dot(normal[left // 3], normal[right // 3]) > least_cosine
    if uv is not None:
        place = uv.reshape(-1, 2)
        flat |= (place[left] == place[following(right)]).all(1) & (place[following(left)] == place[right]).all(1)
    joined = flat & (tail[left] != tail[right])
    left, right = left[joined], right[joined]
    group = components(3 * count, torch.cat([left, following(left)]), torch.cat([following(right), right]))
    weighted = (corner_angles(vertices, faces)[:, :, None] * normal[:, None]).reshape(-1, 3)
    total = Groups(group, int(group.max()) + 1).sums(weighted)[group]
    short = lengths(total) < 1e-6
    total = torch.where(short[:, None], normal.repeat_interleave(3, 0), total)
    total[(total == 0).all(1)] = total.new_tensor([0.0, 0.0, 1.0])
    return unit(total).view(-1, 3, 3).float()


def smooth_corner_normals(faces: Tensor, vertices: Tensor, rounds: int, crease: float) -> Tensor:
    """``surface_normals.smooth_corner_normals``; ``crease`` is the cosine at one."""
    places = alike(*vertices.float().unbind(1))
    point = places[faces].reshape(-1)
    around = Groups(point, int(places.max()) + 1)
    normals, angles = _normals_and_angles(vertices, faces)
    for _ in range(rounds):
        normals = _face_means(_corner_means(around, point, angles, normals, crease))
    return _corner_means(around, point, angles, normals, crease)


def _normals_and_angles(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """``compiled_normals.normals_and_angles``."""
    points = vertices[faces].double()
    edge = points.roll(-1, 1) - points
    length = lengths(edge)
    vector = cross(edge[:, 0], edge[:, 1])
    area = lengths(vector)[:, None]
    cosine = -dot(edge, edge.roll(1, 1)) / (length * length.roll(1, 1))
    angles = torch.where(area > 0, cosine.clamp(-1.0, 1.0).acos(), 0.0)
    return torch.where(area > 0, vector / area, 0.0).float(), angles.float()


def _corner_means(around: Groups, point: Tensor, angles: Tensor, normals: Tensor, crease: float) -> Tensor:
    """``compiled_normals.corner_means``; ``around`` groups the corners by their ``point`` int64 [3F]."""
    angle, means = angles.reshape(-1), normals.new_empty((len(point), 3))
    for begin in range(0, len(point), _CORNERS_AT_ONCE):
        corner = torch.arange(begin, min(begin + _CORNERS_AT_ONCE, len(point)), device=point.device)
        rank, steps = by_length(around.size[point[corner]])
        corner = corner[rank]
        start, own = around.start[point[corner]], normals[corner // 3]
        total = torch.zeros_like(own, dtype=torch.float64)
        for step, going in steps:
            other = around.items[start[:going] + step]
            normal = normals[other // 3]
            ahead = dot(own[:going], normal).double() - crease
            total[:going] += (angle[other] * ahead.clamp_min(0.0))[:, None] * normal
        length = lengths(total)[:, None]
        means[corner] = torch.where(length > 0, total / length, own.double()).float()
    return means.view(-1, 3, 3)


def _face_means(means: Tensor) -> Tensor:
    """``compiled_normals.face_means``."""
    means = means.double()
    total = means[:, 0] + means[:, 1] + means[:, 2]
    return (total / lengths(total).clamp_min(1e-30)[:, None]).float()


def corner_tangents(faces: Tensor, vertices: Tensor, uv: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """``normal_map.corner_tangents``."""
    points, texture = vertices[faces].double(), uv.double()
    p1, p2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    (u1, v1), (u2, v2) = (texture[:, 1] - texture[:, 0]).unbind(1), (texture[:, 2] - texture[:, 0]).unbind(1)
    sign = torch.where(u1 * v2 - u2 * v1 < 0, -1.0, 1.0).double()
    tangent = unit((p1 * v2[:, None] - p2 * v1[:, None]) * sign[:, None])
    normal = normals.double()
    projected = tangent[:, None] - dot(tangent[:, None], normal)[..., None] * normal
    weighted = (unit(projected) * corner_angles(vertices, faces)[..., None]).view(-1, 3)
    corners = uv.reshape(-1, 2), normals.reshape(-1, 3), sign.float().repeat_interleave(3)[:, None]
    group = alike(faces.reshape(-1), *(column for part in corners for column in part.unbind(1)))
    total = Groups(group, int(group.max()) + 1).sums(weighted)
    return unit(total[group]).view(-1, 3, 3), sign
