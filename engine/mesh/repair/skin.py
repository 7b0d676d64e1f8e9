# SPDX-License-Identifier: GPL-3.0-or-later
"""The closed skin of a dual-grid surface: one solid without inner layers, made of the surface's own vertices.

A flood from outside tells which lattice points the surface encloses (lattice.py). The skin runs between those and the
others: where the surface itself separates them it is the surface, where the surface has a hole a smooth plug closes
it. A single sheet, outside on both of its sides, becomes a thin solid of its own; behind a flap of a few faces the
lattice points are taken in as well.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy.sparse import coo_matrix

from ...ovoxel.grid import VoxelTable
from ..lookup.nearest import SurfaceIndex
from ..surface.clean import FLAKE_FACES, compact, find_degenerate
from ..surface.manifold import split_non_manifold
from ..surface.topology import edge_table, unit, vertex_components
from .diagonals import split_quads
from .holes import fill_holes
from .lattice import Lattice, walls_of
from .orient import open_seams, orient_consistently, orient_outward
from .thicken import thicken, vertex_normals

SHEET_VOXELS = 0.25
"""Thickness of single sheets where none is asked for."""
SHEET_FACES = 64
"""A single sheet has at least so many faces; less is a flap of what it is attached to."""
PLUG_PASSES = 30
"""Passes of averaging that make the plug of a hole smooth."""

_AXES = np.eye(3, dtype=np.int64)


def outer_skin(
    cells: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    resolution: int,
    thickness: float = 0.0,
    hole_length: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the closed skin of a dual-grid surface, wound outward: vertices float64 [V, 3], faces int64 [F, 3].

    cells int [N, 3] the voxels of a grid of ``resolution``; vertices [N, 3] the dual vertex of each, in the world
    frame; faces [M, 3] their surface, of any winding. Every edge of the skin has two faces. Single sheets become solids
    of ``thickness`` (world units; 0: ``SHEET_VOXELS``), with the sheet in their middle; holes in them are closed up to
    ``hole_length`` around (world units). A hollow that the flood does not reach is filled. Without any face of a dual
    grid the skin is empty.
    """
    thickness = thickness or SHEET_VOXELS / resolution
    lower, axis, edge_of_face, ahead = walls_of(faces, cells)
    if len(lower) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    lattice = Lattice(lower, axis)
    ends = lattice.index(lower)
    sheet = ~lattice.inside[ends] & ~lattice.inside[lattice.ahead(ends, axis)]
    single = np.flatnonzero((edge_of_face >= 0) & sheet[edge_of_face])
    single = single[~find_degenerate(vertices, faces[single])]
    sheet_vertices, sheets, origin, piece = _one_sided(vertices, faces[single])
    large = np.bincount(piece, minlength=1)[piece] >= SHEET_FACES
    solids = _thickened(sheet_vertices, sheets[large], thickness, hole_length)
    # What is smaller than a sheet becomes part of what it is attached to; flakes of a sheet itself are dropped.
    flap = ~large & ~_flakes_of(origin[sheets], piece, large)
    single, sheets = single[flap], origin[sheets[flap]]
    turned = (sheets != faces[single]).any(axis=1)
    # One face of the two in a quad will do: both face the same way.
    edge, first = np.unique(edge_of_face[single], return_index=True)
    faces_up = ahead[single[first]] != turned[first]
    behind = np.where(faces_up, ends[edge], lattice.ahead(ends[edge], axis[edge]))
    backs = np.zeros(len(lattice.inside), dtype=bool)
    backs[behind] = True
    lattice.inside |= backs
    _join_diagonals(lattice)
    if not lattice.inside.any():
        return solids
    net = _Net(lattice, cells, backs)
    points = net.place(vertices, faces, sheets, resolution, thickness)
    skin = _without_hollows(points, split_quads(points, net.quads))
    return np.concatenate([points, solids[0]]), np.concatenate([skin, solids[1] + len(points)])


def _one_sided(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take single sheets apart where more than two meet and wind them alike: vertices and faces, in the same order.

    Also the vertex that each was, and the piece of each face.
    """
    if len(faces) == 0:
        return vertices, faces, np.arange(len(vertices)), np.zeros(0, dtype=np.int64)
    apart, split, origin, _ = split_non_manifold(vertices, faces)
    table = edge_table(split)
    surface = orient_consistently(split, table)
    if not surface.orientable.all():
        split, copies, _ = open_seams(split, surface, table, lambda left, _: np.zeros(len(left)))
        apart, origin = apart[copies], origin[copies]
        surface = orient_consistently(split)
    surface, _ = orient_outward(apart, surface)
    return apart, surface.faces, origin, surface.piece


def _flakes_of(faces: np.ndarray, piece: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Tell which faces [F, 3] belong to pieces of a few faces that share a vertex with a ``large`` one, bool [F]."""
    used = np.zeros(int(faces.max(initial=0)) + 1, dtype=bool)
    used[faces[large].reshape(-1)] = True
    touching = np.zeros(int(piece.max(initial=0)) + 1, dtype=bool)
    touching[piece[used[faces].any(axis=1)]] = True
    return touching[piece] & (np.bincount(piece, minlength=1)[piece] <= FLAKE_FACES)


def _thickened(
    vertices: np.ndarray, faces: np.ndarray, thickness: float, hole_length: float
) -> tuple[np.ndarray, np.ndarray]:
    if len(faces) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    vertices, faces = compact(vertices, faces)
    vertices, faces, _ = fill_holes(vertices, faces, hole_length)
    return thicken(vertices, faces, thickness)


def _without_hollows(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Leave out the pieces that face inward: they bound hollows in a solid."""
    piece = vertex_components(faces, len(points))
    a, b, c = (points[corner] for corner in faces.T)
    volume = np.bincount(piece, np.einsum("fi,fi->f", a, np.cross(b, c)))
    return faces[(volume > 0)[piece]]


def _join_diagonals(lattice: Lattice) -> None:
    """Take in points between every two enclosed ones that face each other across a lattice face or a cell alone.

    Across a face four faces of the skin would meet at one edge; across a cell two solids would touch at a point only.
    """
    lower, axis = lattice.borders(lattice.inside)
    points = np.unique(np.where(lattice.inside[lower], lower, lattice.ahead(lower, axis)))

    def outside(index: np.ndarray) -> np.ndarray:
        return (index >= 0) & ~lattice.inside[index]

    while len(points):
        joined = []
        for sign in (-1, 1):
            for first, second in ((0, 1), (0, 2), (1, 2)):
                near = lattice.step(points, first, sign)
                alone = np.flatnonzero(outside(near))
                for other in (-1, 1):
                    beside = lattice.step(points[alone], second, other)
                    across = lattice.step(near[alone], second, other)
                    meets = outside(beside) & (across >= 0) & lattice.inside[across]
                    joined.append(near[alone[meets]])
            x = lattice.step(points, 0, sign)
            corner = np.flatnonzero(outside(x))
            for along_y in (-1, 1):
                y, xy = (lattice.step(part, 1, along_y) for part in (points[corner], x[corner]))
                free = np.flatnonzero(outside(y) & outside(xy))
                for along_z in (-1, 1):
                    own = corner[free]
                    z, xz, yz, xyz = (
                        lattice.step(part, 2, along_z) for part in (points[own], x[own], y[free], xy[free])
                    )
                    meets = outside(z) & outside(xz) & outside(yz) & (xyz >= 0) & lattice.inside[xyz]
                    joined += [x[own[meets]], xy[free[meets]]]
        points = np.unique(np.concatenate(joined))
        lattice.inside[points] = True


class _Net:
    """The quads between enclosed and other lattice points, with a vertex for each sheet of them in each cell.

    quads int64 [Q, 4] wound outward; per quad ``walled`` (the surface itself lies there) and ``back`` (it encloses one
    of the points behind a sheet); ``middle`` float64 [Q, 3] of its lattice edge, in voxels. Per vertex ``cell`` int64,
    a row of ``cells`` [C, 3].
    """

    def __init__(self, lattice: Lattice, surface_cells: np.ndarray, backs: np.ndarray) -> None:
        lower, axis = lattice.borders(lattice.inside)
        rising = lattice.inside[lower]
        self.walled = (lattice.walls[lower] >> axis & 1).astype(bool)
        self.back = np.where(rising, backs[lower], backs[lattice.ahead(lower, axis)])
        points = lattice.points(lower)
        self.middle = points + 0.5 * _AXES[axis]
        u, w = _AXES[(axis + 1) % 3], _AXES[(axis + 2) % 3]
        base = points.min(axis=0) - 1
        around = [points - base + shift for shift in (-u - w, -w, 0, -u)]
        shape = tuple(int(n) for n in np.max(around[2], axis=0) + 1)
        batches = [tuple(torch.from_numpy(np.ascontiguousarray(column)) for column in cell.T) for cell in around]
        _, cells, rows = VoxelTable.of_cells(batches, shape)
        self.cells = cells.numpy() + base
        rows = np.stack([row.numpy() for row in rows], 1)
        # The place of the lattice edge among the twelve of each cell around it: by axis, upper in u, upper in w.
        place = axis[:, None] * 4 + np.array([3, 2, 0, 1])
        mask = np.bincount(rows.reshape(-1), (1 << place).reshape(-1)).astype(np.int64)
        kinds, kind = np.unique(mask, return_inverse=True)
        loops = np.array([_loops(int(edges)) for edges in kinds])
        count = loops.max(axis=1) + 1
        first = np.cumsum(count[kind]) - count[kind]
        quads = first[rows] + loops[kind[rows], place]
        self.quads = np.where(rising[:, None], quads, quads[:, ::-1])
        self.cell = np.repeat(np.arange(len(mask)), count[kind])
        self._surface_cells = surface_cells

    def place(
        self, vertices: np.ndarray, faces: np.ndarray, sheets: np.ndarray, resolution: int, thickness: float
    ) -> np.ndarray:
        """Return the vertices of the skin in the world frame, float64 [V, 3].

        ``vertices`` and ``faces`` of the surface, ``sheets`` [S, 3] the faces of its single sheets wound alike.
        """
        width = 1.0 / resolution
        half = 0.5 * thickness
        quads, count = self.quads, len(self.cell)

        def per_vertex(value: np.ndarray) -> np.ndarray:
            return sum(np.bincount(corner, value, minlength=count) for corner in quads.T)

        walls = per_vertex(self.walled)
        edges = per_vertex(np.ones(len(quads)))
        backs = per_vertex(self.back)
        points = np.stack([per_vertex(column) for column in self.middle.T], 1) / edges[:, None] * width - 0.5
        row = self._rows_of_surface(faces)[self.cell]
        alone = (np.bincount(self.cell)[self.cell] == 1) & (backs == 0)
        own = (row >= 0) & ((walls > 0) | alone)
        points[own] = vertices[row[own]]

        shell = quads[self.walled]
        a, b, c, d = (points[corner] for corner in shell.T)
        facing = np.cross(c - a, d - b)
        normal = unit(
            np.stack([sum(np.bincount(corner, n, minlength=count) for corner in shell.T) for n in facing.T], 1)
        )
        fronts = per_vertex(self.back & self.walled)
        layers = np.bincount(self.cell, own & (walls > 0))[self.cell]
        share = np.where(layers > 1, 1.0, fronts / np.maximum(walls, 1))
        points += np.where(own, half * share, 0.0)[:, None] * normal

        behind = np.flatnonzero(~own & (backs > 0) & (walls == 0)) if len(sheets) else np.zeros(0, dtype=np.int64)
        if len(behind):
            found = SurfaceIndex(vertices, sheets).closest(points[behind], np.zeros((len(behind), 3)))
            sheet_normal = vertex_normals(vertices, sheets)[sheets[found.face]]
            inward = unit((sheet_normal * found.barycentric[..., None]).sum(1))
            points[behind] = found.position - half * inward
        plug = ~own
        plug[behind] = False
        return averaged(points, quads, plug)

    def _rows_of_surface(self, faces: np.ndarray) -> np.ndarray:
        """Return for each cell the surface's voxel there that has a face, or -1."""
        is_used = np.zeros(len(self._surface_cells), dtype=bool)
        is_used[faces.reshape(-1)] = True
        used = np.flatnonzero(is_used)
        coords = self._surface_cells[used]
        low = np.minimum(coords.min(axis=0), self.cells.min(axis=0))
        shape = tuple(int(n) for n in np.maximum(coords.max(axis=0), self.cells.max(axis=0)) - low + 1)
        table = VoxelTable(torch.from_numpy(coords - low), shape)
        row = table.rows(*(torch.from_numpy(np.ascontiguousarray(column)) for column in (self.cells - low).T)).numpy()
        return np.where(row >= 0, used[row], -1)


def averaged(points: np.ndarray, quads: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Let the ``free`` points settle between their neighbours; the others stay."""
    rows = np.flatnonzero(free)
    if len(rows) == 0:
        return points
    start, stop = quads.reshape(-1), np.roll(quads, -1, axis=1).reshape(-1)
    start, stop = np.concatenate([start, stop]), np.concatenate([stop, start])
    moving = free[start]
    start, stop = start[moving], stop[moving]
    place = np.cumsum(free) - 1
    links = coo_matrix((np.ones(len(start)), (place[start], stop)), shape=(len(rows), len(points))).tocsr()
    links.data[:] = 1.0
    weight = 1.0 / np.asarray(links.sum(axis=1))
    for _ in range(PLUG_PASSES):
        points[rows] = weight * (links @ points)
    return points


@functools.cache
def _loops(edges: int) -> tuple[int, ...]:
    """Number the closed curves that a surface crossing these of a cell's twelve edges (bits) draws on its faces.

    Edge ``4 * axis + upper_u + 2 * upper_w``; -1 where it is not crossed. On a face two crossed edges are one piece of
    a curve.
    """
    loop = [place if edges >> place & 1 else -1 for place in range(12)]
    for axis in range(3):
        for upper in range(2):
            u, w = 4 * ((axis + 1) % 3), 4 * ((axis + 2) % 3)
            face = [u + 2 * upper, u + 1 + 2 * upper, w + upper, w + upper + 2]
            met = {loop[place] for place in face if loop[place] >= 0}
            loop = [min(met) if name in met else name for name in loop]
    names = sorted({name for name in loop if name >= 0})
    return tuple(names.index(name) if name >= 0 else -1 for name in loop)
