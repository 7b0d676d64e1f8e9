# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadric edge collapse of large meshes by compiled loops: the cheapest edges first, level by level of cost.

All edges up to a limit go, in the order of the vertices, then the limit rises: nearly the order of a queue, but the
memory is read in order. The mesh is worked on in pieces side by side. An edge belongs to a piece when all faces at its
ends do, so the pieces share nothing that is written; what lies across them is swept at the end. How many pieces there
are is up to the mesh, so the result is the same for any number of processors.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from ..compilation import load_loops
from .collapse import RIM_WEIGHT

# Parts in which what is known of vertices is worked out. Vertices in a piece, about, and the most pieces.
_PARTS = 16
_PIECE_VERTICES = 100_000
_MOST_PIECES = 16

# The slabs in whose order the vertices are gone through.
_SLABS = 512

# A limit lets so many times the part of the vertices go that must go, for not all of them can; at least and at most
# this part. It is found from about so many vertices, and does not rise faster, nor more often, than this.
_AIM = 5.0
_LEAST_AT_ONCE, _MOST_AT_ONCE = 0.01, 0.6
_SAMPLES = 20_000
_RISE = 3.0
_LEVELS = 45

# Where nothing goes so many times, nothing can.
_IN_VAIN = 5

# The last faces, so many times the target, are taken from everywhere at once.
_LAST_SHARE = 0.02

# As collapse.py's, but larger: where long edges cost more, folds narrower than an edge keep more of their vertices.
_LENGTH_WEIGHT = 2e-5


def collapse_in_sweeps(
    loops: ModuleType, vertices: np.ndarray, faces: np.ndarray, target_faces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until ``target_faces`` are left, at most one fewer, or nothing can go.

    loops: the module ``compiled_sweeps``. vertices [V, 3], faces int [F, 3]. Returns float64 vertices, int64 faces.
    Open rims keep their number and place; vertices at edges of more than two faces and where the winding changes stay
    as they are. No edge of three faces, doubled face or face turned over is made, and no piece vanishes.
    """
    last = max(int(_LAST_SHARE * target_faces), 2 * _MOST_PIECES)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        mesh = _Mesh(loops, vertices, faces, threads)
        across = mesh.divide()
        # The faces across pieces are to lose as large a part as the others.
        later = int(across * max(mesh.left - target_faces, 0) / max(mesh.left, 1))
        goal = target_faces + last + later
        limits, limit = [], mesh.first_limit(goal)
        while mesh.left > goal and len(limits) < _LEVELS:
            limits.append(limit)
            if not mesh.sweep(limit, goal):
                break
            limit = min(_RISE * limit, mesh.limit_to_reach(goal))
        mesh.divide_at_seams()
        for limit in limits:
            mesh.sweep(limit, target_faces + last)
        mesh.join()
        in_vain = 0
        while mesh.left > target_faces and in_vain < _IN_VAIN:
            in_vain = 0 if mesh.sweep(mesh.limit_to_reach(target_faces), target_faces) else in_vain + 1
    return mesh.arrays()


def _in_order(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the vertices [V, 3] slab by slab, so that few faces lie across pieces; also the corners int32 [3F].

    Slabs lie across the axis along which the vertices are in order most. Within a slab they stay in their order.
    """
    best, slab = np.inf, np.zeros(len(vertices), dtype=np.int16)
    for column in vertices.T:
        low, high = column.min(), column.max()
        along = ((column - low) * ((_SLABS - 1) / max(high - low, 1e-300))).astype(np.int16)
        steps = int(np.abs(np.diff(along)).sum())
        if steps < best:
            best, slab = steps, along
    # Of numbers so short, this is a counting sort.
    order = np.argsort(slab, kind="stable")
    number = np.empty(len(vertices), dtype=np.int32)
    number[order] = np.arange(len(vertices), dtype=np.int32)
    return vertices[order], number[faces.reshape(-1)]


class _Mesh:
    """The mesh as the loops work on it: its pieces are the vertices that ``sweep`` goes through side by side.

    ``left``: its faces.
    """

    def __init__(self, loops: ModuleType, vertices: np.ndarray, faces: np.ndarray, threads: ThreadPoolExecutor) -> None:
        self._links, self._sweep, self._threads = load_loops("simplify.compiled_links"), loops.sweep, threads
        vertices, corners = _in_order(np.asarray(vertices, dtype=np.float64), faces)
        count, self.left = len(vertices), len(faces)
        # Large arrays are numpy's own, which asks the system for large pages.
        head, following = np.full(count, -1, np.int32), np.empty(len(corners), np.int32)
        linked = threads.submit(self._links.link, corners, head, following)
        # Near the origin the quadrics are most exact.
        self._middle = np.array([0.5 * (axis.min() + axis.max()) for axis in vertices.T])
        points = vertices - self._middle
        linked.result()
        quadrics, kind = np.zeros((count, 10)), np.zeros(count, np.int8)
        bounds = (np.arange(_PARTS + 1) * count // _PARTS).tolist()
        parts = [
            threads.submit(self._links.describe, points, corners, head, following, *ends, quadrics, kind)
            for ends in itertools.pairwise(bounds)
        ]
        for part in parts:
            part.result()
        self._links.hold_rims(points, quadrics, corners, head, following, kind, RIM_WEIGHT)
        self._points, self._corners, self._head, self._kind = points, corners, head, kind
        self._least = np.full(count, -np.inf)
        self._arrays = points, quadrics, corners, head, following, self._least, kind

    def divide(self) -> int:
        """Make pieces of the vertices in order; return how many faces are near the seams between them."""
        count = len(self._head)
        # Even, so that two processors are done at the same time.
        pieces = min(2 * max(-(-count // (2 * _PIECE_VERTICES)), 1), _MOST_PIECES)
        self._bounds = np.arange(pieces + 1) * count // pieces
        self._seam = self._find_seams()
        across = self._links.count_faces(self._corners, self._seam, 2)
        if 2 * across > self.left:
            # The vertices are in no order that pieces could be made of.
            self._bounds, self._seam[:], across = self._bounds[[0, -1]], False, 0
        self._free = (self._kind > 0) & ~self._seam
        self._make_pieces(self._free)
        return across

    def divide_at_seams(self) -> None:
        """Make pieces of the vertices near the seams instead, each from the middle of one piece to that of the next."""
        near = self._links.find_around(self._corners, self._seam)
        # What was known of them left out the edges to seams.
        self._least[near] = -np.inf
        middles = (self._bounds[1:] + self._bounds[:-1]) // 2
        self._bounds = np.concatenate([self._bounds[:1], middles, self._bounds[-1:]])
        self._free = (self._kind > 0) & ~self._find_seams()
        self._make_pieces(self._free & near)

    def join(self) -> None:
        """Make one piece of all vertices."""
        self._bounds, self._free = self._bounds[[0, -1]], self._kind > 0
        self._make_pieces(self._free)

    def _find_seams(self) -> np.ndarray:
        sizes = np.diff(self._bounds)
        return self._links.find_seams(self._corners, np.repeat(np.arange(len(sizes), dtype=np.int8), sizes))

    def _make_pieces(self, chosen: np.ndarray) -> None:
        vertices = np.flatnonzero(chosen & (self._head >= 0)).astype(np.int32)
        self._pieces = np.split(vertices, np.searchsorted(vertices, self._bounds[1:-1]))

    def first_limit(self, goal: int) -> float:
        """Estimate the cost up to which half of the vertices have an edge, or enough of them for ``goal`` faces."""
        samples = self._samples()
        list(self._threads.map(lambda sample: self._run(sample, -1.0, 1), samples))
        return self._limit(samples, goal)

    def limit_to_reach(self, goal: int) -> float:
        """Estimate the cost up to which half of the vertices may have an edge, or enough of them for ``goal`` faces."""
        return self._limit(self._samples(), goal)

    def _samples(self) -> list[np.ndarray]:
        step = max(sum(len(piece) for piece in self._pieces) // _SAMPLES, 1)
        return [piece[::step].copy() for piece in self._pieces]

    def _limit(self, samples: list[np.ndarray], goal: int) -> float:
        least = self._least[np.concatenate(samples)]
        least = least[(least > 0) & (least < np.inf)]
        share = min(max(_AIM * (self.left - goal) / self.left, _LEAST_AT_ONCE), _MOST_AT_ONCE)
        rank = int(share * len(least))
        return float(np.partition(least, rank)[rank]) if len(least) else 0.0

    def sweep(self, limit: float, goal: int) -> bool:
        """Collapse the edges within pieces up to ``limit`` until about ``goal`` faces are left; tell if any went."""
        before, numbers = self.left, range(len(self._pieces))
        while numbers and self.left > goal:
            size = max(sum(len(self._pieces[n]) for n in numbers), 1)
            budgets = {n: max((self.left - goal) * len(self._pieces[n]) // size, 1) for n in numbers}

            def run(number: int, budgets: dict[int, int] = budgets) -> int:
                left, gone = self._run(self._pieces[number], limit, budgets[number])
                self._pieces[number] = self._pieces[number][:left]
                return gone

            gone = dict(zip(numbers, self._threads.map(run, numbers), strict=True))
            self.left -= sum(gone.values())
            # Those that could do with more get what the others did not need.
            numbers = [n for n in numbers if gone[n] >= budgets[n]]
        return self.left < before

    def _run(self, vertices: np.ndarray, limit: float, budget: int) -> tuple[int, int]:
        return self._sweep(*self._arrays, self._free, vertices, limit, _LENGTH_WEIGHT, budget)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what is left: float64 vertices, int64 faces."""
        used = self._head >= 0
        number = np.cumsum(used) - 1
        return self._points[used] + self._middle, number[self._corners[self._corners >= 0]].reshape(-1, 3)
