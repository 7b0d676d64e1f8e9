# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadric edge collapse of large meshes by compiled loops: the cheapest edges first, level by level of cost.

All edges up to a limit go, in the order of the vertices, then the limit rises: nearly the order of a queue, but the
memory is read in order. The mesh is worked on in pieces side by side. An edge belongs to a piece when all faces at its
ends do, so the pieces share nothing that is written; what lies across them is swept at the end. How many pieces there
are is up to the mesh, so the result is the same for any number of processors.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from .collapse import RIM_WEIGHT

# Vertices in a piece, about, and the most pieces.
_PIECE_VERTICES = 100_000
_MOST_PIECES = 16

# The first limit is what half of the vertices have an edge below; how the limits rise; how many there are at most.
_FIRST_SHARE = 0.5
_RISE = 2.0
_LEVELS = 45

# As collapse.py's, but larger: where long edges cost more, folds narrower than an edge keep more of their vertices.
_LENGTH_WEIGHT = 2e-5


def collapse_in_sweeps(
    loops: ModuleType, vertices: np.ndarray, faces: np.ndarray, target_faces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until about ``target_faces`` are left, hardly fewer, or nothing can go.

    loops: the module ``compiled_sweeps``. vertices [V, 3], faces int [F, 3]. Returns float64 vertices, int64 faces.
    Open rims keep their number and place; vertices at edges of more than two faces and where the winding changes stay
    as they are. No edge of three faces, doubled face or face turned over is made, and no piece vanishes.
    """
    limits = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        mesh = _Mesh(loops, vertices, faces, threads)
        # The faces across pieces are to lose as large a part as the others.
        later = int(mesh.faces_across * max(mesh.left - target_faces, 0) / max(mesh.left, 1))
        while mesh.left > target_faces + later and len(limits) < _LEVELS:
            limits.append(limits[-1] * _RISE if limits else mesh.first_limit(threads))
            mesh.sweep_pieces(limits[-1], target_faces + later, threads)
    mesh.sweep_across(limits, target_faces)
    return mesh.arrays()


class _Mesh:
    """The mesh as the loops work on it. ``left``: its faces; ``faces_across``: those near seams at the beginning."""

    def __init__(self, loops: ModuleType, vertices: np.ndarray, faces: np.ndarray, threads: ThreadPoolExecutor) -> None:
        vertices = np.asarray(vertices, dtype=np.float64)
        # Near the origin the quadrics are most exact.
        self._middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
        points, corners, count = vertices - self._middle, faces.astype(np.int32).reshape(-1), len(vertices)
        summed = threads.submit(loops.planes, points, corners)
        head, following = loops.link(corners, count)
        kind = loops.find_kinds(corners, head, following)
        self.left = len(faces)

        pieces = min(max(count // _PIECE_VERTICES, 1), _MOST_PIECES)
        piece = (np.arange(count) * pieces // count).astype(np.int8)
        seam = loops.find_seams(corners, piece)
        self.faces_across = loops.count_faces(corners, seam, 2)
        if 2 * self.faces_across > len(faces):
            # The vertices are in no order that pieces could be made of.
            piece[:], seam[:], self.faces_across = 0, False, 0
        self._kind, self._seam, self._within = kind, seam, np.where(seam, 0, kind).astype(np.int8)
        within = np.flatnonzero(self._within)
        self._pieces = np.split(within, np.flatnonzero(np.diff(piece[within])) + 1)

        quadrics = summed.result()
        loops.hold_rims(points, quadrics, corners, head, following, kind, RIM_WEIGHT)
        self._points, self._corners, self._head, self._sweep = points, corners, head, loops.sweep
        self._least = np.full(count, -np.inf)
        self._arrays = points, quadrics, corners, head, following, self._least

    def first_limit(self, threads: ThreadPoolExecutor) -> float:
        """Find the cheapest edge of every vertex within a piece; return the cost that ``_FIRST_SHARE`` are below."""
        list(threads.map(lambda part: self._run(self._within, part, -1.0, 1), self._pieces))
        least = self._least[self._within > 0]
        least = least[(least > 0) & np.isfinite(least)]
        rank = int(_FIRST_SHARE * len(least))
        return float(np.partition(least, rank)[rank]) if len(least) else 0.0

    def sweep_pieces(self, limit: float, goal: int, threads: ThreadPoolExecutor) -> None:
        """Collapse the edges within pieces up to ``limit`` until about ``goal`` faces are left."""
        numbers = range(len(self._pieces))
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
