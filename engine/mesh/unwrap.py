# SPDX-License-Identifier: GPL-3.0-or-later
"""UV layout: charts by xatlas in a child process, packed at the real texture size, with a fallback that cannot fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .box_projection import box_charts
from .packing import pack_rectangles
from .topology import edge_table
from .xatlas_process import ChildFailed, run_task

# Texels between charts, and between charts and the border of the square.
PADDING = 4

# xatlas slows down faster than linearly and is known to crash on large meshes: it never sees more faces at once.
PIECE_FACES = 16_000
_SMALLEST_RETRY = 256

_SMOOTHING_STEPS = 2


@dataclass
class Unwrapped:
    """uv float32 [F, 3, 2] in the unit square (origin lower left), chart int64 [F], and what happened on the way.

    method: "xatlas", "xatlas and box projection" or "box projection". events: one sentence per retry or fallback.
    """

    uv: np.ndarray
    chart: np.ndarray
    method: str
    events: list[str] = field(default_factory=list)


def unwrap(vertices: np.ndarray, faces: np.ndarray, size: int, cancelled: Callable[[], bool]) -> Unwrapped:
    """Unwrap a manifold mesh (vertices [V, 3], faces int64 [F, 3]) for a square texture of ``size`` texels.

    The charts are chosen on a slightly smoothed copy: noise of a voxel's size would shatter them. Raises Cancelled.
    """
    work = _Unwrapping(smoothed(vertices, faces, _SMOOTHING_STEPS), faces, size, cancelled)
    work.parametrise(split_spatially(vertices, faces, PIECE_FACES))
    uv = work.pack()
    boxed = int(work.boxed.sum())
    method = "xatlas" if boxed == 0 else "box projection" if boxed == len(faces) else "xatlas and box projection"
    chart = np.unique(work.chart, return_inverse=True)[1].reshape(-1)
    return Unwrapped(np.clip(uv, 0.0, 1.0).astype(np.float32), chart, method, work.events)


class _Unwrapping:
    """The state of one unwrap: charts found so far, faces that had to be boxed, sentences for the report."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, size: int, cancelled: Callable[[], bool]) -> None:
        self.vertices, self.faces, self.size, self.cancelled = vertices, faces, size, cancelled
        self.uv = np.zeros((len(faces), 3, 2))
        self.chart = np.full(len(faces), -1, dtype=np.int64)
        self.boxed = np.zeros(len(faces), dtype=bool)
        self.events: list[str] = []

    def parametrise(self, piece: np.ndarray) -> None:
        """Find charts for all faces, labelled by ``piece`` int64 [F]: together, then piece by piece, then halved."""
        waiting = [(np.arange(len(self.faces)), piece)]
        while waiting:
            members, labels = waiting.pop(0)
            try:
                answer = run_task(
                    "parametrise",
                    time_limit(np.bincount(labels)),
                    self.cancelled,
                    positions=self.vertices,
                    faces=self.faces[members],
                    piece=labels,
                    size=self.size,
                )
            except ChildFailed as failure:
                self._after_failure(members, labels, str(failure), waiting)
            else:
                self._accept(members, answer["uv"].astype(np.float64), answer["chart"])

    def _after_failure(
        self, members: np.ndarray, labels: np.ndarray, reason: str, waiting: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        groups = np.unique(labels)
        whole = len(members) == len(self.faces)
        if len(groups) == 1 and (len(members) < _SMALLEST_RETRY or (len(members) <= PIECE_FACES // 4 and not whole)):
            self.events.append(f"{len(members)} faces were box-projected: {reason}.")
            self._box(members)
            return
        if len(groups) == 1:
            labels = split_spatially(self.vertices, self.faces[members], (len(members) + 1) // 2)
            groups = np.unique(labels)
        self.events.append(f"{len(members)} faces were tried again as {len(groups)} smaller pieces: {reason}.")
        for group in groups:
            part = members[labels == group]
            waiting.append((part, np.zeros(len(part), dtype=np.int64)))

    def _accept(self, members: np.ndarray, uv: np.ndarray, chart: np.ndarray) -> None:
        good = (chart >= 0) & np.isfinite(uv).all(axis=(1, 2))
        self.uv[members[good]] = uv[good]
        self.chart[members[good]] = chart[good] + self.chart.max() + 1
        if not good.all():
            self.events.append(f"{int((~good).sum())} faces that xatlas left out were box-projected.")
            self._box(members[~good])

    def _box(self, members: np.ndarray) -> None:
        uv, chart = box_charts(self.vertices, self.faces[members])
        self.uv[members] = uv
        self.chart[members] = chart + self.chart.max() + 1
        self.boxed[members] = True

    def pack(self) -> np.ndarray:
        """Place all charts in the unit square; float64 [F, 3, 2]."""
        inner = self.size - PADDING
        chart = np.unique(self.chart, return_inverse=True)[1].reshape(-1)
        placed = np.zeros((0, 3, 2))
        try:
            answer = run_task(
                "pack",
                pack_limit(len(chart), int(chart.max()) + 1),
                self.cancelled,
                uv=self.uv.astype(np.float32),
                chart=chart,
                size=inner,
                padding=PADDING,
            )
            placed = answer["uv"].astype(np.float64)
            reason = "no scale let the charts fit"
        except ChildFailed as failure:
            reason = str(failure)
        if len(placed) == 0 or not np.isfinite(placed).all():
            self.events.append(f"The charts were placed in rows: {reason}.")
            placed = pack_rectangles(self.uv, chart, inner, PADDING)
        return (placed + 0.5 * PADDING) / self.size


def time_limit(piece_faces: np.ndarray) -> float:
    """Return the seconds of processor time after which parametrising pieces of these sizes is given up.

    Ten times what xatlas was measured to need (6.4 s for 50 000 faces on one core, growing with the power 1.7), and a
    minute for slow machines: an ordinary mesh never gets near it.
    """
    return 60.0 + 10.0 * float((6.4 * (np.asarray(piece_faces) / 50_000.0) ** 1.7).sum())


def pack_limit(faces: int, charts: int) -> float:
    """Return the processor seconds after which packing is given up, again ten times the measured and a minute."""
    return 60.0 + 1e-3 * faces + 0.05 * charts


def split_spatially(vertices: np.ndarray, faces: np.ndarray, limit: int) -> np.ndarray:
    """Label faces with pieces of at most ``limit`` faces by halving along the longest extent, int64 [F]."""
    middle = vertices[faces].mean(axis=1)
    piece = np.zeros(len(faces), dtype=np.int64)
    waiting = [np.arange(len(faces))]
    finished = 0
    while waiting:
        members = waiting.pop(0)
        if len(members) <= limit:
            piece[members] = finished
            finished += 1
            continue
        points = middle[members]
        axis = int(np.argmax(np.ptp(points, axis=0)))
        order = np.argsort(points[:, axis], kind="stable")
        half = len(members) // 2
        waiting += [np.sort(members[order[:half]]), np.sort(members[order[half:]])]
    return piece


def smoothed(vertices: np.ndarray, faces: np.ndarray, steps: int) -> np.ndarray:
    """Move every vertex to the mean of itself and its neighbours, ``steps`` times; rims stay. float64 [V, 3]."""
    table = edge_table(faces)
    a, b = table.ends.T
    count = len(vertices)
    fixed = np.zeros(count, dtype=bool)
    fixed[table.ends[table.count == 1].reshape(-1)] = True
    degree = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
    points = vertices.astype(np.float64)
    for _ in range(steps):
        moved = np.empty_like(points)
        for i in range(3):
            around = np.bincount(a, points[b, i], minlength=count) + np.bincount(b, points[a, i], minlength=count)
            moved[:, i] = 0.5 * points[:, i] + 0.5 * around / np.maximum(degree, 1)
        points = np.where((fixed | (degree == 0))[:, None], points, moved)
    return points
