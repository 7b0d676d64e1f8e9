# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins thin tubes where their voxels hold them only in places: wires of about a voxel's thickness.

A tube that thin encloses a lattice point here and there. Between them its surface is single faces, or two stretches
meet in one edge or vertex: all of it one piece for the voxels, but taken apart as soon as every edge is to have two
faces. Here the lattice points between such stretches are enclosed as well, so that the tube goes on through them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..surface.clean import check_surface
from ..surface.topology import edge_table, label_components
from .diagonals import split_quads
from .lattice import Lattice
from .sides import GridSides
from .skin import averaged

# A place is part of a tube where the dual vertices within so many voxels lie so near a line (root mean square, along
# the wider of the two directions across it). Half a disk, the rim of a sheet, has 0.264 of its radius. Where tubes
# meet, it is where no four lattice points of a square are enclosed.
AROUND = 5.0
THIN = 1.0

# Connected single faces, so many and more, are a sheet: near one nothing changes.
SHEET_FACES = 64

# An enclosed point with so many neighbours outside is on an edge or part of something thin.
EXPOSED = 3

# So far around a place tubes are looked at; stretches that are joined there already need no other way.
WINDOW = 3

_PLACES_AT_ONCE = 8192

_AXES = np.eye(3, dtype=np.int64)
_NEIGHBOURS = np.concatenate([_AXES, -_AXES])
_WINDOW_POINTS = np.argwhere(np.ones((2 * WINDOW + 1,) * 3)) - WINDOW
# The ways to points across a lattice face or across a cell, one of every two opposite ones, faces first.
_STEPS = np.argwhere(np.ones((3, 3, 3))) - 1
_ACROSS = np.concatenate([_STEPS[14:][(_STEPS[14:] ** 2).sum(axis=1) == squared] for squared in (2, 3)])


@dataclass(frozen=True)
class Joined:
    """A raw surface with its thin parts joined: vertices [V, 3], faces [F, 3], cells int [V, 3], the voxels.

    sides: the surface in its lattice, None where it is none of a dual grid. places: at how many places it was joined.
    """

    vertices: np.ndarray
    faces: np.ndarray
    cells: np.ndarray
    sides: GridSides | None
    places: int


def join_thin_parts(vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int) -> Joined:
    """Join thin tubes of a raw dual-grid surface where they hang together by single faces, edges or vertices.

    vertices [V, 3] in the world frame, vertex n the dual vertex of voxel ``cells[n]`` (int [V, 3], of a grid of
    ``resolution``); faces int [F, 3] of any winding. The faces around lattice points that are newly enclosed are
    replaced, and vertices appended for voxels that were not there. Away from tubes thinner than about two voxels, near
    sheets, and where the vertices are not those of the voxels, nothing changes. Raises EspalierError("bad_surface")
    when the arrays are not a triangle list.
    """
    points, corners, impossible = check_surface(vertices, faces)
    sides = None if impossible.any() else GridSides.of(points, corners, cells, resolution)
    if sides is None:
        return Joined(vertices, faces, cells, None, 0)
    loose, sheet = _loose_walls(sides, corners, len(points))
    tubes = _Tubes(sides.lattice, (points + 0.5) * resolution, sheet, resolution)
    tubes.enclose_beside(sides.lower[loose], sides.axis[loose])
    tubes.join_contacts()
    if not tubes.taken:
        return Joined(vertices, faces, cells, sides, 0)
    taken = np.array(sorted(tubes.taken))
    lower, axis = _edges_around(taken)
    inside = sides.lattice.inside
    needed = inside[sides.lattice.index(lower)] != inside[sides.lattice.index(lower + _AXES[axis])]
    wall = sides.wall_at(lower, axis)
    gone = np.zeros(len(sides.lower) + 1, dtype=bool)
    gone[wall[~needed & (wall >= 0)]] = True
    # Faces that are no half of a quad have the wall -1: the last entry, which stays.
    kept = corners[~gone[sides.edge_of_face]]
    u, w = _AXES[(axis + 1) % 3], _AXES[(axis + 2) % 3]
    owner = lower - 1 + _AXES[axis]
    around = np.stack([owner, owner + u, owner + u + w, owner + w], 1)[needed]
    middle = (lower + 0.5 * _AXES[axis])[needed]
    points, cells, rows = _with_cells(points, cells, around, middle, resolution)
    corners = np.concatenate([kept, split_quads(points, rows[wall[needed] < 0])])
    sides = GridSides.of(points, corners, cells, resolution, sides.lattice)
    return Joined(points, corners, cells, sides, _clusters(taken))


class _Tubes:
    """Thin tubes in a lattice. ``taken``: the lattice points that they enclose only since here."""

    def __init__(self, lattice: Lattice, points: np.ndarray, sheet: np.ndarray, resolution: int) -> None:
        """``points`` float64 [V, 3]: the dual vertices, in voxels; ``sheet`` bool [V]: which are part of a sheet."""
        self.taken: set[tuple[int, ...]] = set()
        self._lattice, self._points, self._sheet, self._resolution = lattice, points, sheet, resolution

    def enclose_beside(self, lower: np.ndarray, axis: np.ndarray) -> None:
        """Enclose a point beside those of the walls (lattice edges: lower ends [W, 3], axes [W]) that are all there is
        of a tube."""
        place, centre, along = self._lines(lower + 0.5 * _AXES[axis])
        for both, *line in zip(np.stack([lower, lower + _AXES[axis]], 1)[place], centre, along, strict=True):
            if not self._lattice.inside[self._lattice.index(both)].any():
                point = both[np.argmin(_distances(both, *line))]
                if not self._goes_on(point, line[1]):
                    self._take(point)

    def join_contacts(self) -> None:
        """Join what tubes enclose where it meets across a lattice face or a cell alone."""
        first, way = self._contacts()
        place, centre, along = self._lines(first + 0.5 * way)
        for start, step, *line in zip(first[place], way[place], centre, along, strict=True):
            if not self._joined(start, step):
                for point in min(_ways(start, step), key=lambda points: float(_distances(points, *line).sum())):
                    self._take(point)

    def _contacts(self) -> tuple[np.ndarray, np.ndarray]:
        """Enclosed points [N, 3] and the way [N, 3] to another across a lattice face or a cell; both are exposed."""
        lattice = self._lattice
        found = lattice.exposed(EXPOSED)
        exposed = np.zeros(len(lattice.inside), dtype=bool)
        exposed[found] = True
        points = lattice.points(found)
        first, ways = [], []
        for way in _ACROSS:
            index = lattice.index(points + way)
            meets = points[(index >= 0) & exposed[index]]
            beside = np.stack([lattice.index(meets + step) for step in _single_steps(way)])
            first.append(meets[~lattice.inside[beside].any(axis=0)])
            ways.append(np.broadcast_to(way, first[-1].shape))
        return np.concatenate(first), np.concatenate(ways)

    def _take(self, point: np.ndarray) -> None:
        if point.min() > 0 and point.max() < self._resolution:
            self._lattice.inside[self._lattice.index(point[None])] = True
            self.taken.add(tuple(point.tolist()))

    def _near(self, point: np.ndarray) -> np.ndarray:
        """Label the connected parts, int [W, W, W] (0 outside), of what is enclosed in the window around a point."""
        index = self._lattice.index(point + _WINDOW_POINTS)
        inside = (index >= 0) & self._lattice.inside[index]
        return ndimage.label(inside.reshape((2 * WINDOW + 1,) * 3))[0]

    def _joined(self, start: np.ndarray, way: np.ndarray) -> bool:
        near = self._near(start)
        return bool(near[WINDOW, WINDOW, WINDOW] == near[tuple(way + WINDOW)])

    def _goes_on(self, point: np.ndarray, along: np.ndarray) -> bool:
        """Tell if one enclosed part passes the point on both sides along a direction."""
        near, ahead = self._near(point).reshape(-1), _WINDOW_POINTS @ along
        return bool(set(near[ahead < -1.0].tolist()) & set(near[ahead > 1.0].tolist()) - {0})

    def _lines(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the places [N, 3] (in voxels) those on thin tubes, int64 [T], and the lines the tubes follow there.

        A line is its centre, float64 [T, 3], and its direction [T, 3].
        """
        found, centres, ways = [np.zeros(0, np.int64)], [np.zeros((0, 3))], [np.zeros((0, 3))]
        if len(places):
            near = self._points_near(places)
            points, sheet, tree = self._points[near], self._sheet[near], cKDTree(self._points[near])
        for start in range(0, len(places), _PLACES_AT_ONCE):
            lists = tree.query_ball_point(places[start : start + _PLACES_AT_ONCE], AROUND, return_sorted=True)
            size = np.array([len(rows) for rows in lists])
            of, rows = np.repeat(np.arange(len(size)), size), np.concatenate(lists).astype(np.int64)
            centre = _sums(of, points[rows], len(size)) / size[:, None]
            offset = points[rows] - centre[of]
            products = (offset[:, :, None] * offset[:, None]).reshape(-1, 9)
            spread, axes = np.linalg.eigh((_sums(of, products, len(size)) / size[:, None]).reshape(-1, 3, 3))
            long = spread[:, 2] > THIN**2
            thin = long & (spread[:, 1] <= THIN**2) | self._bare(places[start : start + _PLACES_AT_ONCE])
            thin &= np.bincount(of, sheet[rows], minlength=len(size)) == 0
            found.append(start + np.flatnonzero(thin))
            centres.append(centre[thin])
            ways.append(axes[thin, :, 2])
        return np.concatenate(found), np.concatenate(centres), np.concatenate(ways)

    def _bare(self, places: np.ndarray) -> np.ndarray:
        """Tell around which places [N, 3] lattice points are enclosed, but nowhere four of a square, bool [N]."""
        index = self._lattice.index((np.floor(places).astype(np.int64)[:, None] + _WINDOW_POINTS).reshape(-1, 3))
        inside = ((index >= 0) & self._lattice.inside[index]).reshape(len(places), *(2 * WINDOW + 1,) * 3)
        some = inside.any(axis=(1, 2, 3))
        for one, other in ((1, 2), (1, 3), (2, 3)):
            pair = np.delete(inside, 0, one) & np.delete(inside, -1, one)
            some &= ~(np.delete(pair, 0, other) & np.delete(pair, -1, other)).any(axis=(1, 2, 3))
        return some

    def _points_near(self, places: np.ndarray) -> np.ndarray:
        """The dual vertices that are within ``AROUND`` of one of the places, and others not far away, int64."""
        block = np.zeros((self._resolution // 8 + 3,) * 3, dtype=bool)
        block[tuple(_blocks(places, self._resolution).T)] = True
        block = ndimage.binary_dilation(block, np.ones((3, 3, 3)))
        return np.flatnonzero(block[tuple(_blocks(self._points, self._resolution).T)])


def _blocks(points: np.ndarray, resolution: int) -> np.ndarray:
    return np.clip(points, 0, resolution - 1).astype(np.int64) // 8 + 1


def _sums(group: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.stack([np.bincount(group, column, minlength=count) for column in values.T], 1)


def _distances(points: np.ndarray, centre: np.ndarray, along: np.ndarray) -> np.ndarray:
    """How far points [N, 3] are from a line, [N]."""
    offset = points - centre
    return np.linalg.norm(offset - np.outer(offset @ along, along), axis=1)


def _single_steps(way: np.ndarray) -> np.ndarray:
    """The steps along single axes that make a way up."""
    return way * _AXES[np.flatnonzero(way)]


def _ways(start: np.ndarray, way: np.ndarray) -> list[np.ndarray]:
    """The points between ``start`` and ``start + way``, for each order of the single steps."""
    steps = _single_steps(way)
    if len(steps) == 2:
        return [start + steps[:1], start + steps[1:]]
    return [start + np.stack([steps[a], steps[a] + steps[b]]) for a in range(3) for b in range(3) if a != b]


def _loose_walls(sides: GridSides, faces: np.ndarray, vertex_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The walls that enclose nothing and are no part of a sheet, int64 [N], and the vertices of sheets, bool [V]."""
    sheet = np.zeros(vertex_count, dtype=bool)
    single = ~sides.lattice.inside[sides.ends] & ~sides.lattice.inside[sides.lattice.ahead(sides.ends, sides.axis)]
    rows = np.flatnonzero((sides.edge_of_face >= 0) & single[sides.edge_of_face])
    if len(rows) == 0:
        return rows, sheet
    table = edge_table(faces[rows])
    same = table.edge_of_half[table.halves]
    beside = np.flatnonzero(same[1:] == same[:-1])
    cluster = label_components(len(rows), table.halves[beside] // 3, table.halves[beside + 1] // 3)
    large = np.bincount(cluster)[cluster] >= SHEET_FACES
    sheet[faces[rows[large]]] = True
    return np.unique(sides.edge_of_face[rows[~large]]), sheet


def _edges_around(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lattice edges at the points int64 [N, 3], each once: lower ends [E, 3] and axes [E]."""
    lower = (points[:, None] + np.minimum(_NEIGHBOURS, 0)).reshape(-1, 3)
    edges = np.unique(np.column_stack([lower, np.tile(np.arange(6) % 3, len(points))]), axis=0)
    return edges[:, :3], edges[:, 3]


def _with_cells(
    points: np.ndarray, cells: np.ndarray, around: np.ndarray, middle: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add vertices in those of the cells ``around`` int64 [Q, 4, 3] that have none; return also the rows [Q, 4].

    They begin at the mean of the ``middle`` [Q, 3] (in voxels) of the edges they lie around and settle between their
    neighbours.
    """
    code, own = (
        (x * resolution + y) * resolution + z for x, y, z in (around.reshape(-1, 3).T, cells.astype(np.int64).T)
    )
    wanted, of = np.unique(code, return_inverse=True)
    of = of.reshape(-1)
    held = np.flatnonzero(np.isin(own, wanted))
    row = np.full(len(wanted), -1, dtype=np.int64)
    row[np.searchsorted(wanted, own[held])] = held
    fresh = row < 0
    place = _sums(of, np.repeat(middle, 4, axis=0), len(wanted)) / np.bincount(of)[:, None] / resolution - 0.5
    place[~fresh] = points[row[~fresh]]
    place = averaged(place, of.reshape(-1, 4), fresh)
    row[fresh] = len(points) + np.arange(int(fresh.sum()))
    added = np.stack([wanted // resolution**2, wanted // resolution % resolution, wanted % resolution], 1)[fresh]
    cells = np.concatenate([cells, added.astype(cells.dtype)])
    return np.concatenate([points, place[fresh]]), cells, row[of].reshape(-1, 4)


def _clusters(points: np.ndarray) -> int:
    """How many groups lattice points [N, 3] form: neighbours across faces, edges and corners are together."""
    pairs = cKDTree(points).query_pairs(1.0, p=np.inf, output_type="ndarray")
    return int(label_components(len(points), pairs[:, 0], pairs[:, 1]).max()) + 1
