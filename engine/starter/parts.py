# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks of procedural assets: closed or open triangle meshes with outward winding, Z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles: ``vertices`` float64 [V, 3], ``faces`` int32 [F, 3], ``slots`` int32 [F] (material slot per face)."""

    vertices: np.ndarray
    faces: np.ndarray
    slots: np.ndarray

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """Return the mesh translated."""
        return Mesh(self.vertices + np.array([x, y, z]), self.faces, self.slots)

    def turned(self, degrees: float, axis: str = "z") -> Mesh:
        """Return the mesh rotated counter-clockwise about a coordinate axis through the origin."""
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        vertices = self.vertices.copy()
        vertices[:, a] = c * self.vertices[:, a] - s * self.vertices[:, b]
        vertices[:, b] = s * self.vertices[:, a] + c * self.vertices[:, b]
        return Mesh(vertices, self.faces, self.slots)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """Return the mesh scaled about the origin by positive factors."""
        return Mesh(self.vertices * np.array([x, y, z]), self.faces, self.slots)


def surface(points: np.ndarray, wrap_u: bool, wrap_v: bool, slots: int | Sequence[int]) -> Mesh:
    """Join a grid of points [U, V, 3] to triangles that face along (d/du x d/dv).

    ``wrap_u`` and ``wrap_v`` close the grid. Points of one ring u that coincide become a single vertex (a pole). One
    slot for all, or one per step along u.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    poles = np.ptp(points, axis=1).max(1) < 1e-9
    index[poles] = index[poles, :1]
    if wrap_u:
        index = np.concatenate([index, index[:1]])
    if wrap_v:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2)
    steps = np.broadcast_to(np.asarray(slots), (len(index) - 1,)) if np.ndim(slots) == 0 else np.asarray(slots)
    slot = np.broadcast_to(steps[:, None, None], faces.shape[:3]).reshape(-1)
    return _compact(points.reshape(-1, 3), faces.reshape(-1, 3), slot)


def _compact(vertices: np.ndarray, faces: np.ndarray, slots: np.ndarray) -> Mesh:
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    used, inverse = np.unique(faces[whole], return_inverse=True)
    return Mesh(
        vertices[used].astype(np.float64), inverse.reshape(-1, 3).astype(np.int32), slots[whole].astype(np.int32)
    )


def lathe(profile: np.ndarray, slots: int | Sequence[int] = 0, closed: bool = False, segments: int = 44) -> Mesh:
    """Turn a profile [P, 2] of (radius, z) about the z axis.

    Outward faces come from a profile that goes up on the outside (and down on the inside of a shell). ``closed`` joins
    its end to its start. One slot for all, or one per step of the profile.
    """
    profile = np.asarray(profile, dtype=np.float64)
    angle = np.arange(segments) * (2 * np.pi / segments)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(segments)], axis=-1)
    points = profile[:, None, :1] * ring + profile[:, None, 1:] * np.array([0.0, 0.0, 1.0])
    mesh = surface(points, closed, True, slots)
    return Mesh(mesh.vertices, mesh.faces[:, ::-1].copy(), mesh.slots)


def curve(points: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """Resample a Catmull-Rom curve through ``points`` [P, D] at ``count`` even parameters -> [count, D]."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(p) - 3, count)
    k = np.minimum(t.astype(int), len(p) - 4)
    f = (t - k)[:, None]
    a, b, c, d = p[k], p[k + 1], p[k + 2], p[k + 3]
    return 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)


def shell(outside: np.ndarray, wall: float, floor: float) -> np.ndarray:
    """Turn the outside of a vessel, (radius, z) from the foot's rim upwards, into a profile with an inside.

    The result starts at the axis below and ends at the axis on the inner floor, ``floor`` above the foot; horizontal
    wall thickness ``wall``.
    """
    low = outside[0, 1] + floor
    inside = outside[outside[:, 1] > low + 0.25 * wall][::-1] - np.array([wall, 0.0])
    inside[:, 0] = np.maximum(inside[:, 0], 0.02)
    foot = np.array([[0.0, outside[0, 1]]])
    bottom = np.array([[inside[-1, 0] * 0.9, low], [0.0, low]])
    return np.concatenate([foot, outside, inside, bottom])


def disc(radius: float, z: float = 0.0, slot: int = 0) -> Mesh:
    """An open horizontal disc that faces up."""
    return lathe(np.array([[radius, z], [radius / 2, z], [0.0, z]]), slot)


def cylinder(
    radius: float, low: float, high: float, slot: int = 0, top: float | None = None, segments: int = 32
) -> Mesh:
    """A closed cylinder, or a cone frustum with radius ``top`` above (zero for a cone)."""
    top = radius if top is None else top
    profile = [[0.0, low], [radius, low], [top, high], [0.0, high]]
    return lathe(np.array(profile if top > 0 else profile[:3]), slot, segments=segments)


def ellipsoid(x: float, y: float, z: float, slot: int = 0, rings: int = 16, segments: int = 28) -> Mesh:
    """A closed ellipsoid about the origin with the given half axes."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    profile = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    profile[[0, -1], 0] = 0.0
    return lathe(profile, slot, segments=segments).scaled(x, y, z)


def torus(radius: float, thickness: float, slot: int = 0, rings: int = 16, segments: int = 40) -> Mesh:
    """A closed ring about the z axis; ``thickness`` is the radius of its section."""
    angle = np.arange(rings) * (2 * np.pi / rings)
    profile = np.stack([radius + thickness * np.cos(angle), thickness * np.sin(angle)], axis=1)
    return lathe(profile, slot, closed=True, segments=segments)


def box(x: float, y: float, z: float, slot: int = 0, bevel: float = 0.02) -> Mesh:
    """A closed box about the origin with full side lengths and rounded edges."""
    half = np.array([x, y, z]) / 2
    bevel = min(bevel, 0.45 * float(half.min()))
    lines = []
    for h in half:
        inner = np.linspace(-(h - bevel), h - bevel, max(2, int(np.ceil(2 * h / 0.16)) + 1))
        rim = h - bevel * 0.42
        lines.append(np.concatenate([[-h, -rim], inner, [rim, h]]))
    size = np.array([len(line) for line in lines])
    faces = []
    for axis in range(3):
        b, c = (axis + 1) % 3, (axis + 2) % 3
        i, j = np.meshgrid(np.arange(size[b] - 1), np.arange(size[c] - 1), indexing="ij")
        for end in (0, size[axis] - 1):
            corner = np.zeros((4, *i.shape, 3), dtype=np.int64)
            corner[..., axis] = end
            for n, (di, dj) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
                corner[n, ..., b], corner[n, ..., c] = i + di, j + dj
            quad = (corner[..., 0] * size[1] + corner[..., 1]) * size[2] + corner[..., 2]
            quad = quad if end else quad[::-1]
            faces += [np.stack([quad[0], quad[1], quad[2]], -1), np.stack([quad[0], quad[2], quad[3]], -1)]
    triangles = np.concatenate([f.reshape(-1, 3) for f in faces])
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    mesh = _compact(points, triangles, np.full(len(triangles), slot))
    core = np.clip(mesh.vertices, -(half - bevel), half - bevel)
    outward = mesh.vertices - core
    outward *= bevel / np.linalg.norm(outward, axis=1, keepdims=True)
    return Mesh(core + outward, mesh.faces, mesh.slots)


def tube(path: np.ndarray, radius: float | np.ndarray, slot: int = 0, segments: int = 14) -> Mesh:
    """A closed tube with round ends along a path [P, 3]; one radius, or one per point."""
    path = np.asarray(path, dtype=np.float64)
    radius = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(path),))
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    ends = np.array([1.0, 0.85, 0.5])
    widths = np.array([0.0, 0.53, 0.87])
    path = np.concatenate(
        [path[0] - tangent[0] * radius[0] * ends[:, None], path, path[-1] + tangent[-1] * radius[-1] * ends[::-1, None]]
    )
    tangent = np.concatenate([tangent[:1].repeat(3, 0), tangent, tangent[-1:].repeat(3, 0)])
    radius = np.concatenate([radius[0] * widths, radius, radius[-1] * widths[::-1]])
    normal = np.cross(tangent[0], np.eye(3)[np.abs(tangent[0]).argmin()])
    frames = np.empty((len(path), 2, 3))
    for i, t in enumerate(tangent):
        normal = normal - t * (normal @ t)
        normal /= np.linalg.norm(normal)
        frames[i] = normal, np.cross(t, normal)
    angle = np.arange(segments) * (2 * np.pi / segments)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    points = path[:, None] + radius[:, None, None] * np.einsum("sk,pkd->psd", ring, frames)
    mesh = surface(points, False, True, slot)
    return Mesh(mesh.vertices, mesh.faces[:, ::-1].copy(), mesh.slots)


def prism(outline: Sequence[Sequence[float]], depth: float, slot: int = 0) -> Mesh:
    """Extrude a convex outline (x, z), counter-clockwise seen from -Y, along y from -depth/2 to depth/2."""
    corners = np.asarray(outline, dtype=np.float64)
    n = len(corners)
    front = np.stack([corners[:, 0], np.full(n, -depth / 2), corners[:, 1]], axis=1)
    back = front + np.array([0.0, depth, 0.0])
    centres = np.stack([front.mean(0), back.mean(0)])
    i = np.arange(n)
    j = (i + 1) % n
    faces = np.concatenate(
        [
            np.stack([np.full(n, 2 * n), i, j], 1),
            np.stack([np.full(n, 2 * n + 1), n + j, n + i], 1),
            np.stack([i, n + i, n + j], 1),
            np.stack([i, n + j, j], 1),
        ]
    )
    return Mesh(np.concatenate([front, back, centres]), faces.astype(np.int32), np.full(len(faces), slot, np.int32))
