# SPDX-License-Identifier: GPL-3.0-or-later
"""Small analytic meshes for the codec's tests, and measures of meshes."""

import math

import torch


def uv_sphere(radius=0.4, rings=24, segments=32, centre=(0.0, 0.0, 0.0)):
    """A closed sphere: vertices float32, faces int64, outward winding. Its poles lie in a general direction.

    A coarse sphere, or one away from the grid's centre, may cross a grid edge twice: the flags record that as once.
    """
    theta = torch.arange(1, rings, dtype=torch.float64) / rings * math.pi
    phi = torch.arange(segments, dtype=torch.float64) / segments * 2 * math.pi
    t, p = torch.meshgrid(theta, phi, indexing="ij")
    points = torch.stack([t.sin() * p.cos(), t.sin() * p.sin(), t.cos()], -1).view(-1, 3)
    points = torch.cat([points, torch.tensor([[0, 0, 1.0], [0, 0, -1.0]], dtype=torch.float64)])
    turn = torch.linalg.qr(torch.tensor([[0.3, -1.2, 0.7], [0.9, 0.4, 1.1], [-0.6, 0.2, 0.8]], dtype=torch.float64)).Q
    points = points @ turn * torch.linalg.det(turn)
    ring, segment = (
        g.flatten() for g in torch.meshgrid(torch.arange(rings - 2), torch.arange(segments), indexing="ij")
    )
    a, b = ring * segments + segment, ring * segments + (segment + 1) % segments
    top, bottom = len(points) - 2, len(points) - 1
    around = torch.arange(segments)
    beside = (around + 1) % segments
    last = (rings - 2) * segments
    faces = torch.cat(
        [
            torch.stack([a, a + segments, b], 1),
            torch.stack([b, a + segments, b + segments], 1),
            torch.stack([torch.full_like(around, top), around, beside], 1),
            torch.stack([torch.full_like(around, bottom), last + beside, last + around], 1),
        ]
    )
    return (points * radius + torch.tensor(centre, dtype=torch.float64)).float(), faces


def box(low, high):
    """An axis-aligned box of 12 triangles, outward winding."""
    corners = torch.tensor([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=torch.float32)
    low, high = torch.tensor(low, dtype=torch.float32), torch.tensor(high, dtype=torch.float32)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return torch.where(corners > 0, high, low), torch.tensor(faces)


def square_sheet(half=0.31, cells=6, height=0.0123, tilt=(0.07, -0.05)):
    """An open, slightly tilted square in the xy plane."""
    line = torch.linspace(-half, half, cells + 1)
    x, y = (g.flatten() for g in torch.meshgrid(line, line, indexing="ij"))
    vertices = torch.stack([x, y, height + tilt[0] * x + tilt[1] * y], 1)
    i, j = (g.flatten() for g in torch.meshgrid(torch.arange(cells), torch.arange(cells), indexing="ij"))
    a = i * (cells + 1) + j
    b = a + cells + 1
    return vertices, torch.cat([torch.stack([a, b, a + 1], 1), torch.stack([b, b + 1, a + 1], 1)])


def joined(*meshes):
    """Several meshes as one, without sharing vertices."""
    vertices, faces, count = [], [], 0
    for v, f in meshes:
        vertices.append(v)
        faces.append(f + count)
        count += len(v)
    return torch.cat(vertices), torch.cat(faces)


def canonical_faces(faces):
    """Rotate each triangle so that its smallest index leads, then sort the rows; orientation is kept."""
    start = faces.argmin(1, keepdim=True)
    faces = faces.gather(1, (start + torch.arange(3)) % 3).long()
    return faces[((faces[:, 0] << 40) + (faces[:, 1] << 20) + faces[:, 2]).argsort()]


def edge_use_counts(faces):
    """How many faces use each undirected edge."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    return torch.unique(edges, dim=0, return_counts=True)
