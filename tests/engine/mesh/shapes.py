# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces for the finishing tests: analytic meshes, and voxel assets made from them through the codec."""

import numpy as np
import torch
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.ovoxel import dual_grid_to_mesh, mesh_to_dual_grid


def grid_faces(rows, columns, wrap_rows, wrap_columns):
    """Triangles of a grid of points, wrapped where asked."""
    i, j = np.meshgrid(
        np.arange(rows if wrap_rows else rows - 1), np.arange(columns if wrap_columns else columns - 1), indexing="ij"
    )
    a, b = i * columns + j, (i + 1) % rows * columns + j
    c, d = (i + 1) % rows * columns + (j + 1) % columns, i * columns + (j + 1) % columns
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def torus(rows=48, columns=24, major=0.3, minor=0.12):
    """A closed torus with its normals outward."""
    u, v = np.meshgrid(2 * np.pi * np.arange(rows) / rows, 2 * np.pi * np.arange(columns) / columns, indexing="ij")
    around = major + minor * np.cos(v)
    points = np.stack([around * np.cos(u), around * np.sin(u), minor * np.sin(v)], -1).reshape(-1, 3)
    return points, grid_faces(rows, columns, True, True)


def sphere(radius=0.4, centre=(0.0, 0.0, 0.0), rows=24, columns=48):
    """A closed sphere with its normals outward; a small triangle fan at each pole."""
    theta = np.pi * np.arange(1, rows) / rows
    phi = 2 * np.pi * np.arange(columns) / columns
    ring = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.sin(theta)[:, None] * np.sin(phi),
            np.broadcast_to(np.cos(theta)[:, None], (rows - 1, columns)),
        ],
        -1,
    ).reshape(-1, 3)
    points = np.concatenate([ring, [[0, 0, 1], [0, 0, -1]]])
    j = np.arange(columns)
    last = (rows - 2) * columns
    top = np.stack([np.full(columns, len(ring)), j, (j + 1) % columns], -1)
    bottom = np.stack([np.full(columns, len(ring) + 1), last + (j + 1) % columns, last + j], -1)
    faces = np.concatenate([grid_faces(rows - 1, columns, False, True), top, bottom])
    return radius * points + np.asarray(centre), faces


def cube(size=0.6, centre=(0.0, 0.0, 0.0)):
    """A closed cube of twelve triangles with its normals outward."""
    points = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return size * points + np.asarray(centre), np.array(faces)


def moebius(columns=60):
    """An open Möbius band."""
    u = 2 * np.pi * np.arange(columns) / columns
    width = np.linspace(-0.1, 0.1, 5)
    around = 0.3 + width[None] * np.cos(u / 2)[:, None]
    points = np.stack(
        [around * np.cos(u)[:, None], around * np.sin(u)[:, None], width[None] * np.sin(u / 2)[:, None]], -1
    )
    inner = grid_faces(columns, 5, False, False)
    k = np.arange(4)
    last = (columns - 1) * 5 + k
    seam = np.concatenate([np.stack([last, 4 - k, 3 - k], -1), np.stack([last, 3 - k, last + 1], -1)])
    return points.reshape(-1, 3), np.concatenate([inner, seam])


def merge(*parts):
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    return vertices, np.concatenate([faces + offset for (_, faces), offset in zip(parts, offsets, strict=False)])


def colours_at(points):
    """Attributes float32 [N, 6] that vary smoothly with the position; opaque."""
    x, y, z = np.asarray(points).T
    return np.stack(
        [0.5 + 0.8 * x, 0.5 + 0.8 * y, 0.5 + 0.8 * z, 0.5 + 0.5 * x, 0.5 - 0.5 * z, np.ones_like(x)], 1
    ).astype(np.float32)


def voxel_asset(vertices, faces, resolution, attributes=colours_at):
    """A surface through the codec: raw vertices, raw faces and voxel materials coloured by position."""
    grid = mesh_to_dual_grid(
        torch.as_tensor(np.asarray(vertices), dtype=torch.float32), torch.as_tensor(np.asarray(faces)), resolution
    )
    raw_vertices, raw_faces = dual_grid_to_mesh(grid.coords, grid.local, grid.intersected, None, resolution)
    coords = grid.coords.numpy()
    material = MaterialVoxels(resolution, coords, attributes((coords + 0.5) / resolution - 0.5))
    return raw_vertices.numpy(), raw_faces.numpy(), material


def signed_volume(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6)
