# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixed set of procedural objects: triangle meshes within [-0.5, 0.5]^3, Z up, longest side 0.94.

Each function takes ``detail`` (1 for the full set) and returns vertices float64 [V, 3] and faces int64 [F, 3].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]

LONGEST_SIDE = 0.94
# Wires are given in voxels of the grid of this resolution.
WIRE_GRID = 512


def knot(detail: float = 1.0) -> Mesh:
    """A tube along an upright (2, 3) torus knot, displaced by eight waves, open over 6 % of its length; a million
    faces."""
    rows, columns = _steps(2000, detail), _steps(250, detail)
    t = np.linspace(0.0, 0.94 * 2 * np.pi, rows + 1)
    around = 2.0 + np.cos(3 * t)
    path = np.stack([around * np.cos(2 * t), -np.sin(3 * t), around * np.sin(2 * t)], axis=1)
    angle = 2 * np.pi * np.arange(columns) / columns
    random = np.random.default_rng(5)
    radius = np.full((rows + 1, columns), 0.55)
    for wave in range(8):
        along, about = random.integers(3, 40), random.integers(1, 9)
        radius += 0.1 / (2 + wave) * np.sin(along * t[:, None] + about * angle + random.uniform(0, 2 * np.pi))
    return _placed(*_tube(path, radius, angle))


def sphere(detail: float = 1.0) -> Mesh:
    """A geodesic sphere; a million faces."""
    return _geodesic(_steps(224, detail))


def shells(detail: float = 1.0) -> Mesh:
    """Nested shells: an outer one with a window, within it a closed egg, within that a closed ball and a ring."""
    frequency = _steps(96, detail)
    points, faces = _geodesic(frequency)
    outer = points * [1.0, 1.0, 1.06]
    window = (points[faces].mean(axis=1) / np.linalg.norm(points[faces].mean(axis=1), axis=1, keepdims=True)) @ [
        0.45,
        -0.77,
        0.45,
    ]
    egg = points * [0.72, 0.72, 0.8] * (1.0 - 0.12 * points[:, 2:] / 0.47)
    ring = _ring(0.30, 0.045, _steps(240, detail), _steps(48, detail))
    return _placed(*merge((outer, faces[window < 0.82]), (egg, faces), (0.45 * points, faces), ring))


def foliage(detail: float = 1.0) -> Mesh:
    """A shrub: curved stems as thin tubes, and leaves that are single sheets."""
    random = np.random.default_rng(11)
    parts = []
    along, across = _steps(28, detail), _steps(12, detail)
    for stem in range(9):
        turn = 2 * np.pi * stem / 9 + random.uniform(-0.2, 0.2)
        t = np.linspace(0.0, 1.0, _steps(60, detail))[:, None]
        reach, height = random.uniform(0.22, 0.42), random.uniform(0.55, 0.95)
        outward = np.array([np.cos(turn), np.sin(turn), 0.0])
        path = outward * reach * t**1.6 + np.array([0.0, 0.0, height]) * (t - 0.28 * t**3)
        parts.append(_tube(path, np.linspace(0.012, 0.004, len(path))[:, None], np.arange(12) * np.pi / 6, caps=True))
        for leaf in range(14):
            place = int((0.25 + 0.74 * (leaf + random.random()) / 14) * (len(path) - 1))
            heading = turn + random.uniform(-1.7, 1.7)
            parts.append(_leaf(path[place], heading, random.uniform(0.14, 0.24), along, across, random))
    return _placed(*merge(*parts))


def gears(detail: float = 1.0) -> Mesh:
    """Three gears with bores, spokes and a hub each, one meshing with the next; sharp edges, from manifold3d."""
    segments = _steps(160, detail)
    solids = [
        _gear(24, 0.30, 0.10, segments).translate([-0.2, 0.0, 0.0]),
        _gear(16, 0.20, 0.14, segments).rotate([0.0, 0.0, 11.25]).translate([0.305, 0.0, 0.0]),
        _gear(12, 0.15, 0.08, segments).rotate([90.0, 0.0, 0.0]).translate([-0.2, 0.1, 0.23]),
    ]
    return _placed(*merge(*(_arrays(solid.refine_to_length(0.02 / min(detail, 1.0))) for solid in solids)))


def wires(detail: float = 1.0) -> Mesh:
    """A cage of wires from 0.6 to 3 voxels of a 512 grid thick, most of them thinner than a voxel, around a ball."""
    parts = []
    turns = np.linspace(0.0, 2 * np.pi, _steps(600, detail))
    thickness = np.linspace(0.6, 3.0, 24) / WIRE_GRID
    for index, diameter in enumerate(thickness):
        lean = np.pi * index / len(thickness)
        wave = 0.02 * np.sin((3 + index % 5) * turns)
        ring = np.stack([np.cos(turns), np.sin(turns) * np.cos(lean), np.sin(turns) * np.sin(lean)], axis=1)
        path = (0.45 + wave)[:, None] * ring
        parts.append(_tube(path[:-1], np.full((len(path) - 1, 1), diameter / 2), np.arange(8) * np.pi / 4, closed=True))
    points, faces = _geodesic(_steps(24, detail))
    return _placed(*merge(*parts, (0.25 * points, faces)))


def csg(detail: float = 1.0) -> Mesh:
    """A solid of 28 blocks, balls and bars joined and cut by manifold3d: sharp edges, holes, thin fins."""
    from manifold3d import Manifold, OpType

    random = np.random.default_rng(3)
    segments = _steps(96, detail)
    added, cut = [Manifold.cube([0.6, 0.5, 0.5], True)], []
    for index in range(27):
        place, size = random.uniform(-0.32, 0.32, 3), random.uniform(0.08, 0.3, 3)
        kind = index % 3
        if kind == 0:
            part = Manifold.cube((size * [1.0, 0.35, 1.0]).tolist(), True).rotate(random.uniform(0, 90, 3).tolist())
        elif kind == 1:
            part = Manifold.sphere(float(size[0]) / 1.7, segments)
        else:
            part = Manifold.cylinder(0.9, float(size[1]) / 4, -1.0, segments, True).rotate(
                [90.0 * (index % 2), 90.0 * (index // 2 % 2), 0.0]
            )
        (cut if index % 4 == 2 else added).append(part.translate(place.tolist()))
    body = Manifold.batch_boolean(added, OpType.Add) - Manifold.batch_boolean(cut, OpType.Add)
    return _placed(*_arrays(body.refine_to_length(0.03 / min(detail, 1.0))))


OBJECTS: dict[str, Callable[[float], Mesh]] = {
    "knot": knot,
    "sphere": sphere,
    "shells": shells,
    "foliage": foliage,
    "gears": gears,
    "wires": wires,
    "csg": csg,
}
ORGANIC = ("knot", "sphere", "shells")
"""The objects without sharp edges and sheets; their number of charts has a limit."""


def merge(*parts: Mesh) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    faces = [faces + offset for (_, faces), offset in zip(parts, offsets, strict=True)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def _steps(full: int, detail: float) -> int:
    return max(6, round(full * detail))


def _placed(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Centre the mesh's box on the origin and make its longest side 0.94."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (vertices - (low + high) / 2) * (LONGEST_SIDE / (high - low).max()), faces


def _tube(path: np.ndarray, radius: np.ndarray, angle: np.ndarray, closed: bool = False, caps: bool = False) -> Mesh:
    """A tube along ``path`` [P, 3] with ``radius`` [P, 1 or A] at the angles [A], its frame carried along unturned."""
    tangent = (np.roll(path, -1, 0) - np.roll(path, 1, 0)) if closed else np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.cross(tangent[0], np.eye(3)[np.abs(tangent[0]).argmin()])
    frames = np.empty((len(path), 2, 3))
    for index, along in enumerate(tangent):
        normal = normal - along * (normal @ along)
        normal /= np.linalg.norm(normal)
        frames[index] = normal, np.cross(along, normal)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = path[:, None] + radius[:, :, None] * np.einsum("ak,pkd->pad", ring, frames)
    # The rows of the grid follow the path, so its faces look inward as they come.
    vertices, faces = points.reshape(-1, 3), grid_faces(len(path), len(angle), closed, True)[:, ::-1].copy()
    if not caps:
        return vertices, faces
    column, last, count = np.arange(len(angle)), (len(path) - 1) * len(angle), len(vertices)
    following = (column + 1) % len(angle)
    first = np.stack([np.full(len(angle), count), following, column], axis=1)
    end = np.stack([np.full(len(angle), count + 1), last + column, last + following], axis=1)
    return np.concatenate([vertices, path[:1], path[-1:]]), np.concatenate([faces, first, end])


def grid_faces(rows: int, columns: int, wrap_rows: bool, wrap_columns: bool) -> np.ndarray:
    """Triangles int64 [F, 3] of a grid of points, wrapped where asked."""
    i, j = np.meshgrid(
        np.arange(rows if wrap_rows else rows - 1), np.arange(columns if wrap_columns else columns - 1), indexing="ij"
    )
    a, b = i * columns + j, (i + 1) % rows * columns + j
    c, d = (i + 1) % rows * columns + (j + 1) % columns, i * columns + (j + 1) % columns
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)


def _ring(major: float, minor: float, rows: int, columns: int) -> Mesh:
    u = 2 * np.pi * np.arange(rows)[:, None] / rows
    v = 2 * np.pi * np.arange(columns) / columns
    around = major + minor * np.cos(v)
    points = np.stack(
        [around * np.cos(u), around * np.sin(u), np.broadcast_to(minor * np.sin(v), u.shape[:1] + v.shape)]
    )
    return np.moveaxis(points, 0, -1).reshape(-1, 3), grid_faces(rows, columns, True, True)


def _geodesic(frequency: int) -> Mesh:
    """A sphere of diameter 0.94 from an icosahedron whose edges are cut into ``frequency`` parts."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)], dtype=float)
    corners = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
    gap = np.linalg.norm(corners[:, None] - corners[None], axis=2)
    near = np.isclose(gap, 2.0)
    triangles = [
        (a, b, c) for a in range(12) for b in range(a) for c in range(b) if near[a, b] and near[b, c] and near[a, c]
    ]
    i, j = np.meshgrid(np.arange(frequency + 1), np.arange(frequency + 1), indexing="ij")
    inside = i + j <= frequency
    number = np.full(i.shape, -1)
    number[inside] = np.arange(inside.sum())
    up = np.stack([number[:-1, :-1], number[1:, :-1], number[:-1, 1:]], -1)[(i + j < frequency)[:-1, :-1]]
    down = np.stack([number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1)[(i + j < frequency - 1)[:-1, :-1]]
    weights = np.stack([i, j, frequency - i - j], -1)[inside] / frequency
    points, faces = [], []
    for at, triangle in enumerate(triangles):
        corner = corners[list(triangle)]
        if np.linalg.det(corner) < 0:
            corner = corner[::-1]
        points.append(weights @ corner)
        faces.append(np.concatenate([up, down]) + at * len(weights))
    every = np.concatenate(points)
    _, first, inverse = np.unique(np.rint(every * 1e6).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    vertices = every[first]
    vertices *= LONGEST_SIDE / 2 / np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices, inverse.reshape(-1)[np.concatenate(faces)]


def _leaf(
    foot: np.ndarray, heading: float, length: float, along: int, across: int, random: np.random.Generator
) -> Mesh:
    """A single sheet: pointed at both ends, folded along its middle, bending down."""
    u, v = np.meshgrid(np.linspace(0, 1, along), np.linspace(-1, 1, across), indexing="ij")
    half = 0.21 * length * np.sin(np.pi * u**0.8)
    lift = random.uniform(0.2, 0.7)
    local = np.stack([length * u, half * v, length * (lift * u - 0.75 * u**2) + 0.35 * half * np.abs(v)], axis=-1)
    c, s = np.cos(heading), np.sin(heading)
    turned = np.stack([c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1], local[..., 2]], -1)
    return turned.reshape(-1, 3) + foot, grid_faces(along, across, False, False)


def _gear(teeth: int, radius: float, thickness: float, segments: int):
    """A gear about the z axis: trapezoid teeth, spokes between round windows, a hub with a keyed bore."""
    from manifold3d import CrossSection, Manifold

    depth = 2.2 * radius / teeth
    step = 2 * np.pi / teeth
    outline = []
    for tooth in range(teeth):
        for offset, reach in ((-0.28, -depth), (-0.13, depth * 0.6), (0.13, depth * 0.6), (0.28, -depth)):
            angle = (tooth + offset) * step
            outline.append(((radius + reach) * np.cos(angle), (radius + reach) * np.sin(angle)))
    body = Manifold.extrude(CrossSection([np.array(outline)]), thickness)
    hub = Manifold.cylinder(thickness * 1.6, radius * 0.32, -1.0, segments).translate([0, 0, -0.3 * thickness])
    bore = Manifold.cylinder(thickness * 4, radius * 0.15, -1.0, segments, True)
    key = Manifold.cube([radius * 0.1, radius * 0.2, thickness * 4], True).translate([0, radius * 0.15, 0])
    for window in range(6):
        angle = 2 * np.pi * window / 6
        hole = Manifold.cylinder(thickness * 4, radius * 0.15, -1.0, segments, True)
        body -= hole.translate([0.56 * radius * np.cos(angle), 0.56 * radius * np.sin(angle), 0.0])
    return ((body + hub) - bore - key).translate([0, 0, -thickness / 2])


def _arrays(solid) -> Mesh:
    mesh = solid.to_mesh()
    return np.asarray(mesh.vert_properties[:, :3], dtype=np.float64), np.asarray(mesh.tri_verts, dtype=np.int64)
