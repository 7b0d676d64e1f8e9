"""What the tests of simplification share: surfaces with rims and teeth, and measures of what became of them."""

import numpy as np
from espalier.engine.mesh.surface.clean import find_degenerate, find_duplicates
from espalier.engine.mesh.surface.topology import edge_table, face_vectors, half_edge_ends, unit
from scipy.spatial import cKDTree

from .shapes import grid_faces


def gear(teeth=12, outer=0.45, inner=0.36, height=0.1, hole=0.15):
    """A closed gear with a bore: flat sides, sharp edges, its normals outward."""
    step = 2 * np.pi / teeth
    outline = [
        (radius, tooth * step + part * step)
        for tooth in range(teeth)
        for part, radius in ((0.0, inner), (0.25, inner), (0.32, outer), (0.68, outer), (0.75, inner))
    ]
    radius, angle = np.array(outline).T
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    rings = (
        (radius[:, None] * ring, height),
        (hole * ring, height),
        (hole * ring, -height),
        (radius[:, None] * ring, -height),
    )
    points = np.concatenate([np.column_stack([flat, np.full(len(ring), z)]) for flat, z in rings])
    return points, grid_faces(4, len(ring), True, True)


def dense(vertices, faces, rounds):
    """Every triangle split into four, ``rounds`` times."""
    for _ in range(rounds):
        ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], -1).reshape(-1, 2), axis=1)
        edges, middle = np.unique(ends, axis=0, return_inverse=True)
        middle = middle.reshape(-1, 3) + len(vertices)
        vertices = np.concatenate([vertices, vertices[edges].mean(axis=1)])
        a, b, c = faces.T
        ab, bc, ca = middle.T
        faces = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return vertices, faces


def bumpy_patch(rows=60, columns=60, height=0.05):
    """An open square sheet with bumps; its rim is a square."""
    x, y = np.meshgrid(np.linspace(-0.4, 0.4, rows), np.linspace(-0.4, 0.4, columns), indexing="ij")
    z = height * np.sin(9 * x) * np.cos(7 * y)
    return np.stack([x, y, z], -1).reshape(-1, 3), grid_faces(rows, columns, False, False)


def flaws(vertices, faces):
    """Counts of edges of three faces, edges wound two ways, doubled and empty faces."""
    table = edge_table(faces)
    tail, _ = half_edge_ends(faces)
    left, right = table.pairs()
    return {
        "crowded": int((table.count > 2).sum()),
        "wound two ways": int((tail[left] == tail[right]).sum()),
        "doubled": int(find_duplicates(faces).sum()),
        "empty": int(find_degenerate(np.asarray(vertices, dtype=np.float64), faces).sum()),
    }


NONE = {"crowded": 0, "wound two ways": 0, "doubled": 0, "empty": 0}


def rim_edges(faces):
    return int((edge_table(faces).count == 1).sum())


def samples(vertices, faces, count=20_000):
    """Points spread evenly over a surface, with the normals of their faces."""
    vertices = np.asarray(vertices, dtype=np.float64)
    random = np.random.default_rng(0)
    vector = face_vectors(vertices, faces)
    area = np.linalg.norm(vector, axis=1)
    face = random.choice(len(faces), count, p=area / area.sum())
    root, part = np.sqrt(random.random(count)), random.random(count)
    weights = np.stack([1 - root, root * (1 - part), root * part], 1)
    return np.einsum("nc,nci->ni", weights, vertices[faces[face]]), unit(vector)[face]


def departure(full, lean, count=20_000):
    """Mean distance in the direction of the normal, and mean angle in degrees, between samples of two surfaces."""
    there, their_normals = samples(*full, 20 * count)
    here, normals = samples(*lean, count)
    nearest = cKDTree(there).query(here)[1]
    gap = np.abs(((here - there[nearest]) * their_normals[nearest]).sum(1))
    angle = np.degrees(np.arccos(np.clip((normals * their_normals[nearest]).sum(1), -1, 1)))
    return float(gap.mean()), float(angle.mean())
