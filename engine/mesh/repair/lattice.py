# SPDX-License-Identifier: GPL-3.0-or-later
"""The lattice points around a dual-grid surface, and which of them the surface encloses.

The faces of a dual grid are walls across lattice edges. Point (i, j, k) is the smallest corner of voxel (i, j, k). Only
blocks of 8x8x8 points near the surface are stored; what lies between them is free.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...kernels.host_arrays import Kept, on_card
from ..compilation import by_rows, load_loops
from ..surface.topology import label_components
from . import tensor_lattice

REACH = 3
"""The flood passes holes wider than about twice so many voxels; narrower ones close a hollow that is wider itself."""
THROAT = 1.0
"""A hollow with more edges in its mouth than this share of those in its walls is part of the outside."""
LEAK = 0.02
"""The same for a narrow hollow, which has no point ``REACH`` steps from its walls: a crevice is not to be filled."""
ROUNDS = 12
"""Rounds in which points beside a hole settle on a side."""
OUTSIDE = 1

_LIMITS = tensor_lattice.Limits(REACH, THROAT, LEAK, ROUNDS)
_PAD = 8
_SHIFTS = (6, 3, 0)
_AXES = np.eye(3, dtype=np.int64)
_WITHIN_BLOCK = np.zeros((3, 3, 3, 3), dtype=bool)
_WITHIN_BLOCK[1] = ndimage.generate_binary_structure(3, 1)


def walls_of(faces: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the lattice edges that faces of a dual grid cross.

    faces [F, 3] over voxels ``cells`` int [V, 3]. Returns the lower ends int64 [W, 3] and axes [W] of the edges; for
    each face its edge or -1 where it is no half of a dual quad, int64 [F]; and whether it faces along its axis, bool.
    """
    if found := on_card(tensor_lattice.walls_of, faces.astype(np.int64, copy=False), cells):
        return found
    a, b, c = (cells[corner].astype(np.int32) for corner in faces.T)
    owner = np.minimum(np.minimum(a, b), c)
    spread = np.maximum(np.maximum(a, b), c) - owner
    axis = np.argmin(spread, axis=1)
    regular = (spread.sum(axis=1) == 2) & (spread.max(axis=1) == 1)
    side = int(cells.max(initial=0)) + 3
    lower = owner.astype(np.int64) + 1 - _AXES[axis]
    key = ((lower[:, 0] * side + lower[:, 1]) * side + lower[:, 2]) * 3 + axis
    key = key[regular]
    # The two halves of a quad mostly follow each other: only one of them needs sorting.
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = key[1:] != key[:-1]
    keys, edge = np.unique(key[fresh], return_inverse=True)
    edge_of_face = np.full(len(faces), -1, dtype=np.int64)
    edge_of_face[regular] = edge.reshape(-1)[np.cumsum(fresh) - 1]
    first, second = b - a, c - a
    ahead = np.zeros(len(faces), dtype=bool)
    for k in range(3):
        u, w = (k + 1) % 3, (k + 2) % 3
        own = axis == k
        ahead[own] = first[own, u] * second[own, w] > first[own, w] * second[own, u]
    points = keys // 3
    ends = np.stack([points // (side * side), points // side % side, points % side], 1)
    return ends, keys % 3, edge_of_face, ahead


class Lattice:
    """A sparse lattice; a point is an index into blocks, -1 where nothing is stored.

    ``walls`` uint8 [P]: bit k tells that the edge from a point along axis k is a wall. ``steps`` uint8 [P]: steps to
    the nearest corner of a surface voxel, ``REACH`` at most. ``inside`` bool [P]: the surface encloses the point.
    ``kept``: ``steps`` and the slots of the next blocks for functions on a graphics card.
    """

    def __init__(self, lower: np.ndarray, axis: np.ndarray) -> None:
        """``lower`` int64 [W, 3], ``axis`` [W]: the edges that are walls, at least one (see ``walls_of``)."""
        if found := on_card(lambda *walls: tensor_lattice.flooded(*walls, _LIMITS), lower, axis):
            self._origin, self._count, self._blocks, self._slot, self._next, self.walls, self.steps, self.inside = found
            self.kept = Kept(self.steps), Kept(self._next)
        else:
            self._flood(lower, axis)

    def _flood(self, lower: np.ndarray, axis: np.ndarray) -> None:
        self._origin = lower.min(axis=0) - 2 - _PAD
        self._count = (lower.max(axis=0) + 2 + _PAD - self._origin) // 8 + 1
        used = _near_blocks(lower - self._origin, self._count)
        self._blocks = np.argwhere(used)
        self._slot = np.full(used.shape, -1, dtype=np.int64)
        self._slot[used] = np.arange(len(self._blocks))
        padded = np.pad(self._slot, 1, constant_values=-1)
        # The slot of the next block, [2, 3, B]: backwards and onwards along each axis.
        self._next = np.array(
            [[padded[tuple((self._blocks + 1 + sign * _AXES[k]).T)] for k in range(3)] for sign in (-1, 1)]
        )
        self.walls = np.zeros(512 * len(self._blocks), dtype=np.uint8)
        self.steps = np.full(len(self.walls), REACH, dtype=np.uint8)
        for k in range(3):
            ends = self.index(lower[axis == k])
            self.walls[ends] |= 1 << k
            self._mark_corners(ends, k)
        self._measure()
        self.kept = Kept(self.steps), Kept(self._next)
        self._label = self._core()
        for level in range(REACH - 1, -1, -1):
            self._settle(np.flatnonzero(self.steps == level))
        self._open_wide_mouths()
        self.inside = self._label != OUTSIDE
        del self._label
        self._agree()

    def index(self, points: np.ndarray) -> np.ndarray:
        """Return the index of lattice points int [N, 3] that lie in the stored range; -1 where none is stored."""
        place = points - self._origin
        block, inner = place >> 3, place & 7
        slot = self._slot[tuple(block.T)]
        return np.where(slot < 0, -1, slot * 512 + (inner[:, 0] * 8 + inner[:, 1]) * 8 + inner[:, 2])

    def points(self, index: np.ndarray) -> np.ndarray:
        """Return the lattice points int64 [N, 3] of indices."""
        inner = np.stack([index >> 6 & 7, index >> 3 & 7, index & 7], 1)
        return self._blocks[index >> 9] * 8 + inner + self._origin

    def step(self, index: np.ndarray, axis: int, sign: int) -> np.ndarray:
        """Return the neighbour of each point along an axis (``sign`` +1 or -1), -1 where none is stored."""
        if loops := load_loops("repair.compiled_lattice"):
            return loops.steps(index, axis, sign, self._next[int(sign > 0), axis])
        shift = _SHIFTS[axis]
        inner = index >> shift & 7
        leaves = np.flatnonzero(inner == (7 if sign > 0 else 0))
        result = index + (sign << shift)
        slot = self._next[int(sign > 0), axis][index[leaves] >> 9]
        crossed = slot * 512 + ((index[leaves] & 511) - (sign * 7 << shift))
        result[leaves] = np.where(slot < 0, -1, crossed)
        return result

    def open_step(self, index: np.ndarray, axis: int, sign: int) -> np.ndarray:
        """As ``step``, and -1 where a wall stands between."""
        if loops := load_loops("repair.compiled_lattice"):
            return loops.open_steps(index, axis, sign, self._next[int(sign > 0), axis], self.walls)
        other = self.step(index, axis, sign)
        walled = self.walls[index if sign > 0 else other] >> axis & 1
        return np.where(walled.astype(bool), -1, other)

    def borders(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges between points of different ``value`` [P]: lower ends int64 [E] and axes [E]."""
        if found := on_card(lambda *arrays: tensor_lattice.borders(*arrays, REACH), value, *self.kept):
            return found
        lowers, axes = [], []
        near = np.flatnonzero(self.steps < REACH)
        loops = load_loops("repair.compiled_lattice")
        for axis in range(3):
            for sign in (1, -1):
                if loops:
                    given = axis, sign, self._next[int(sign > 0), axis], value, self.steps, REACH
                    lowers.append(by_rows(lambda rows, given=given: (loops.borders(rows, *given),), near)[0])
                    axes.append(np.full(len(lowers[-1]), axis))
                    continue
                other = self.step(near, axis, sign)
                differs = (other >= 0) & (value[other] != value[near])
                if sign < 0:  # Between two near points it was found from the other end.
                    differs &= self.steps[other] == REACH
                lowers.append((near if sign > 0 else other)[differs])
                axes.append(np.full(int(differs.sum()), axis))
        return np.concatenate(lowers), np.concatenate(axes)

    def exposed(self, least: int) -> np.ndarray:
        """Return the enclosed points that have so many neighbours outside, or more; int64 [N], ascending."""
        found = on_card(lambda *arrays: tensor_lattice.exposed(*arrays, REACH, least), self.inside, *self.kept)
        if found is not None:
            return found
        lower, axis = self.borders(self.inside)
        own = np.where(self.inside[lower], lower, self.ahead(lower, axis))
        return np.flatnonzero(np.bincount(own, minlength=1) >= least)

    def _mark_corners(self, ends: np.ndarray, axis: int) -> None:
        """Mark the corners of the four voxels around each wall from ``ends`` along ``axis`` as being at the surface."""
        marked = np.zeros(len(self.steps), dtype=bool)
        for k, signs in ((axis, (1,)), ((axis + 1) % 3, (-1, 1)), ((axis + 2) % 3, (-1, 1))):
            marked[ends] = True
            for sign in signs:
                marked[self.step(ends, k, sign)] = True
            ends = np.flatnonzero(marked)
        self.steps[ends] = 0

    def _open_wide_mouths(self) -> None:
        """Count hollows with a wide mouth as outside; regions that no wall parts are one hollow."""
        lower, axis = self.borders(self._label)
        a, b = self._label[lower], self._label[self.ahead(lower, axis)]
        walled = (self.walls[lower] >> axis & 1).astype(bool)
        parted = walled | (a == OUTSIDE) | (b == OUTSIDE)
        hollow = label_components(self._fresh, a[~parted], b[~parted])
        to_outside = np.minimum(a, b) == OUTSIDE
        region = hollow[np.where(a == OUTSIDE, b, a)]
        mouth = np.bincount(region[~walled & to_outside], minlength=self._fresh)
        wall = np.bincount(hollow[a[walled]], minlength=self._fresh)
        wall += np.bincount(hollow[b[walled]], minlength=self._fresh)
        limit = np.full(self._fresh, LEAK)
        limit[hollow[: self._deep]] = THROAT
        wide = (mouth > limit * wall)[hollow]
        self._label[wide[self._label]] = OUTSIDE

    def _agree(self) -> None:
        """Let points change sides where most of their six neighbours want it: beyond a wall is the other side.

        Where a surface has holes the floods from both sides meet somewhere beside them; this moves the meeting place
        into the holes. A point only joins a side that it can reach. Where walls and sides agree nothing changes.
        """
        lower, axis = self.borders(self.inside)
        lower, axis = (part[(self.walls[lower] >> axis & 1) == 0] for part in (lower, axis))
        points = [lower, self.ahead(lower, axis)]
        for k in range(3):
            ends = np.flatnonzero(self.walls >> k & 1)
            other = self.step(ends, k, 1)
            same = self.inside[ends] == self.inside[other]
            points += [ends[same], other[same]]
        points = np.unique(np.concatenate(points))
        for _ in range(ROUNDS):
            changed = []
            # Points of one colour of a checkerboard have no neighbours among themselves.
            odd = ((points >> 6) + (points >> 3) + points) & 1
            for own in (points[odd == 0], points[odd == 1]):
                votes, open_votes = np.zeros(len(own), dtype=np.int8), np.zeros(len(own), dtype=np.int8)
                for k in range(3):
                    for sign in (-1, 1):
                        other = self.step(own, k, sign)
                        walled = (self.walls[own if sign > 0 else other] >> k & 1).astype(bool)
                        side = np.where(other >= 0, self.inside[other], self.inside[own])
                        votes += side != walled
                        open_votes += (side != self.inside[own]) & ~walled
                turned = own[np.where(self.inside[own], votes < 3, votes > 3) & (open_votes > 0)]
                self.inside[turned] ^= True
                changed.append(turned)
            changed = np.concatenate(changed)
            if len(changed) == 0:
                break
            around = [self.step(changed, k, sign) for k in range(3) for sign in (-1, 1)]
            points = np.unique(np.concatenate([changed, *around]))
            points = points[points >= 0]

    def ahead(self, index: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return the next point of each along its own axis [N]."""
        if (found := on_card(tensor_lattice.ahead, index, axis, self.kept[1])) is not None:
            return found
        result = np.empty_like(index)
        for k in range(3):
            own = axis == k
            result[own] = self.step(index[own], k, 1)
        return result

    def _measure(self) -> None:
        """Count the steps from the corners of surface voxels outwards."""
        for distance in range(1, REACH):
            front = np.flatnonzero(self.steps == distance - 1)
            for axis in range(3):
                for sign in (-1, 1):
                    other = self.step(front, axis, sign)
                    other = other[other >= 0]
                    self.steps[other[self.steps[other] > distance]] = distance

    def _core(self) -> np.ndarray:
        """Label the connected regions of points that are ``REACH`` steps away: the outside first, then hollows."""
        far = (self.steps == REACH).reshape(-1, 8, 8, 8)
        region, count = ndimage.label(far, _WITHIN_BLOCK)
        empty, _ = ndimage.label(self._slot < 0)
        left, right = [], []
        for axis in range(3):
            last, first = np.take(region, 7, axis + 1), np.take(region, 0, axis + 1)
            following = self._next[1, axis]
            own = np.flatnonzero(following >= 0)
            left.append(last[own].reshape(-1))
            right.append(first[following[own]].reshape(-1))
            for sign, face in ((1, last), (-1, first)):
                place = self._blocks + sign * _AXES[axis]
                inside = (place >= 0).all(1) & (place < self._count).all(1)
                free = np.flatnonzero(inside)
                free = free[empty[tuple(place[free].T)] > 0]
                name = count + empty[tuple(place[free].T)]
                left.append(face[free].reshape(-1))
                right.append(np.repeat(name, 64))
        left, right = np.concatenate(left), np.concatenate(right)
        both = (left > 0) & (right > 0)
        nodes = count + int(empty.max(initial=0)) + 1
        pairs = np.unique(left[both].astype(np.int64) * nodes + right[both])
        joined = label_components(nodes, pairs // nodes, pairs % nodes)
        corner = self._slot[0, 0, 0]
        outer = joined[count + empty[0, 0, 0]] if corner < 0 else joined[region[corner, 0, 0, 0]]
        names = np.where(joined == outer, OUTSIDE, joined + 2).astype(np.int32)
        names[0] = 0
        self._deep = self._fresh = nodes + 3
        return names[region].reshape(-1)

    def _settle(self, points: np.ndarray) -> None:
        """Give the points of one level the label of the region that reaches them first; leftovers become regions."""
        for _ in range(4):
            points = self._pull(points)
        if len(points) == 0:
            return
        left, right, touched, seen = [], [], [], []
        for axis in range(3):
            for sign in (-1, 1):
                other = self.open_step(points, axis, sign)
                known = np.flatnonzero(other >= 0)
                label = self._label[other[known]]
                touched.append(known[label > 0])
                seen.append(label[label > 0])
                if sign > 0:
                    place = np.minimum(np.searchsorted(points, other[known]), len(points) - 1)
                    found = points[place] == other[known]
                    left.append(known[found])
                    right.append(place[found])
        part = label_components(len(points), np.concatenate(left), np.concatenate(right))
        touched, seen = np.concatenate(touched), np.concatenate(seen)
        parts = int(part.max()) + 1
        lowest = np.full(parts, np.iinfo(np.int32).max, dtype=np.int32)
        highest = np.zeros(parts, dtype=np.int32)
        np.minimum.at(lowest, part[touched], seen)
        np.maximum.at(highest, part[touched], seen)
        name = np.where(highest == 0, self._fresh + np.arange(parts), lowest).astype(np.int32)
        self._fresh += parts
        decided = (highest == 0) | (lowest == highest)
        self._label[points[decided[part]]] = name[part[decided[part]]]
        rest = points[~decided[part]]
        while len(rest):
            rest = self._pull(rest)

    def _pull(self, points: np.ndarray) -> np.ndarray:
        """Let points take the lowest label among their neighbours; returns those that have none yet."""
        if loops := load_loops("repair.compiled_lattice"):
            best = by_rows(lambda rows: (loops.lowest_labels(rows, self._next, self.walls, self._label),), points)[0]
        else:
            best = np.full(len(points), np.iinfo(np.int32).max, dtype=np.int32)
            for axis in range(3):
                for sign in (-1, 1):
                    other = self.open_step(points, axis, sign)
                    label = np.where(other >= 0, self._label[other], 0)
                    best = np.where(label > 0, np.minimum(best, label), best)
        found = best < np.iinfo(np.int32).max
        self._label[points[found]] = best[found]
        return points[~found]


def _near_blocks(points: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Tell which blocks of 8 hold a point within four of the given ones [N, 3], bool of shape ``count``."""
    halves = np.zeros(tuple(2 * count), dtype=bool)
    halves[tuple((points >> 2).T)] = True
    for axis in range(3):
        view = np.moveaxis(halves, axis, 0)
        spread = view.copy()
        spread[1:] |= view[:-1]
        spread[:-1] |= view[1:]
        view[...] = spread
    x, y, z = count
    return halves.reshape(x, 2, y, 2, z, 2).any(axis=(1, 3, 5))
