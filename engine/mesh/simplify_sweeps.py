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

from .collapse import RIM_WEIGHT
from .compilation import load_loops

# Parts in which what is known of vertices is worked out. Vertices in a piece, about, and the most pieces.
_PARTS = 16
_PIECE_VERTICES = 100_000
_MOST_PIECES = 16

# A limit lets so many times the part of the vertices go that must go, for not all of them can; at least and at most
# this part. The first is found from every eighth vertex; then limits rise, not faster than this, so often at most.
_AIM = 2.5
_LEAST_AT_ONCE, _MOST_AT_ONCE = 0.01, 0.5
_SAMPLED = 8
_RISE = 2.0
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
    limits: list[float] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        mesh = _Mesh(loops, vertices, faces, threads)
        # The faces across pieces are to lose as large a part as the others.
        later = int(mesh.faces_across * max(mesh.left - target_faces, 0) / max(mesh.left, 1))
        goal = int((1 + _LAST_SHARE) * target_faces) + later
        limit = mesh.first_limit(goal, threads)
        while mesh.left > goal and len(limits) < _LEVELS:
            limits.append(limit)
            if not mesh.sweep_pieces(limit, goal, threads):
                break
            limit = min(_RISE * limit, mesh.limit_to_reach(goal))
    mesh.sweep_across(limits, target_faces)
    mesh.sweep_last(target_faces)
    return mesh.arrays()


class _Mesh:
    """The mesh as the loops work on it. ``left``: its faces; ``faces_across``: those near seams at the beginning."""

    def __init__(self, loops: ModuleType, vertices: np.ndarray, faces: np.ndarray, threads: ThreadPoolExecutor) -> None:
        links = load_loops("compiled_links")
        vertices = np.asarray(vertices, dtype=np.float64)
        count, self.left = len(vertices), len(faces)
        corners = faces.astype(np.int32).reshape(-1)
        # Large arrays are numpy's own, which asks the system for large pages.
        head, following = np.full(count, -1, np.int32), np.empty(len(corners), np.int32)
        linked = threads.submit(links.link, corners, head, following)
        # Near the origin the quadrics are most exact.
        self._middle = np.array([0.5 * (axis.min() + axis.max()) for axis in vertices.T])
        points = vertices - self._middle
        linked.result()

        quadrics, kind = np.zeros((count, 10)), np.zeros(count, np.int8)
        bounds = np.arange(_PARTS + 1) * count // _PARTS
        parts = [
            threads.submit(links.describe, points, corners, head, following, *ends, quadrics, kind)
            for ends in itertools.pairwise(bounds.tolist())
        ]
        pieces = min(max(count // _PIECE_VERTICES, 1), _MOST_PIECES)
        bounds = np.arange(pieces + 1) * count // pieces
        seam = links.find_seams(corners, np.repeat(np.arange(pieces, dtype=np.int8), np.diff(bounds)))
        self.faces_across = links.count_faces(corners, seam, 2)
        if 2 * self.faces_across > len(faces):
            # The vertices are in no order that pieces could be made of.
            bounds, seam[:], self.faces_across = bounds[[0, -1]], False, 0
        for part in parts:
            part.result()
        links.hold_rims(points, quadrics, corners, head, following, kind, RIM_WEIGHT)

        self._kind, self._seam, self._within = kind, seam, np.where(seam, np.int8(0), kind)
        within = np.flatnonzero(self._within)
        self._pieces = np.split(within, np.searchsorted(within, bounds[1:-1]))
        self._points, self._corners, self._head, self._sweep = points, corners, head, loops.sweep
        self._least = np.full(count, -np.inf)
        self._arrays = points, quadrics, corners, head, following, self._least

    def first_limit(self, goal: int, threads: ThreadPoolExecutor) -> float:
        """Estimate the cost up to which half of the vertices within pieces have an edge, or enough for ``goal``."""
        samples = [piece[::_SAMPLED] for piece in self._pieces]
        list(threads.map(lambda sample: self._run(self._within, sample, -1.0, 1), samples))
        return self._limit(np.concatenate(samples), goal)

    def limit_to_reach(self, goal: int) -> float:
        """Return the cost up to which the vertices within pieces have enough edges for ``goal`` faces, about."""
        return self._limit(np.concatenate(self._pieces), goal)

    def _limit(self, vertices: np.ndarray, goal: int) -> float:
        least = self._least[vertices]
        least = least[(least > 0) & (least < np.inf)]
        share = min(max(_AIM * (self.left - goal) / self.left, _LEAST_AT_ONCE), _MOST_AT_ONCE)
        rank = int(share * len(least))
        return float(np.partition(least, rank)[rank]) if len(least) else 0.0

    def sweep_pieces(self, limit: float, goal: int, threads: ThreadPoolExecutor) -> bool:
        """Collapse the edges within pieces up to ``limit`` until about ``goal`` faces are left; tell if any went."""
        before, numbers = self.left, range(len(self._pieces))
        while numbers and self.left > goal:
            size = max(sum(len(self._pieces[n]) for n in numbers), 1)
            budgets = {n: max((self.left - goal) * len(self._pieces[n]) // size, 1) for n in numbers}

            def run(number: int, budgets: dict[int, int] = budgets) -> int:
                return self._run(self._within, self._pieces[number], limit, budgets[number])

            gone = dict(zip(numbers, threads.map(run, numbers), strict=True))
            self.left -= sum(gone.values())
            for number in numbers:
                self._pieces[number] = self._still(self._pieces[number])
            # Those that could do with more get what the others did not need.
            numbers = [n for n in numbers if gone[n] >= budgets[n]]
        return self.left < before

    def sweep_across(self, limits: list[float], goal: int) -> None:
        """Collapse the edges near seams, which are in no piece, up to each of ``limits`` in turn, the same way."""
        corners = self._corners[self._corners >= 0].reshape(-1, 3)
        near = np.zeros(len(self._seam), dtype=bool)
        near[corners[self._seam[corners].any(axis=1)]] = True
        # Meanwhile vertices within pieces may have come to lie on rims.
        self._kind = np.where(self._seam, self._kind, self._within)
        vertices = np.flatnonzero(near & (self._kind > 0))
        # What was known of them left out the edges to seams.
        self._least[vertices] = -np.inf
        for limit in limits:
            if self.left <= goal:
                break
            self.left -= self._run(self._kind, vertices, limit, self.left - goal)
            vertices = self._still(vertices)

    def sweep_last(self, goal: int) -> None:
        """Collapse the cheapest edges of all that are left until ``goal`` faces are, at most one fewer."""
        vertices = np.flatnonzero((self._kind > 0) & (self._head >= 0))
        in_vain = 0
        while self.left > goal and in_vain < _IN_VAIN:
            gone = self._run(self._kind, vertices, self._limit(vertices, goal), self.left - goal)
            self.left -= gone
            in_vain = 0 if gone else in_vain + 1
            vertices = self._still(vertices)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what is left: float64 vertices, int64 faces."""
        used = self._head >= 0
        number = np.cumsum(used) - 1
        return self._points[used] + self._middle, number[self._corners[self._corners >= 0]].reshape(-1, 3)

    def _run(self, kind: np.ndarray, vertices: np.ndarray, limit: float, budget: int) -> int:
        return self._sweep(*self._arrays, kind, vertices, limit, _LENGTH_WEIGHT, budget)

    def _still(self, vertices: np.ndarray) -> np.ndarray:
        """Return those of ``vertices`` that have not been merged into others."""
        return vertices[self._head[vertices] >= 0]
