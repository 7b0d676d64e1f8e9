# SPDX-License-Identifier: GPL-3.0-or-later
"""UV layout: charts grown by normal cone and shape, flattened here or by xatlas, packed at the real texture size."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...errors import Cancelled
from ..lookup.raster import overlapping_texels
from ..surface.topology import edge_table, face_vectors, label_components
from .box_projection import box_charts
from .charts import winding_pairs
from .flatten import alone, double_areas
from .outlines import ChartPoints, crossings, kept_pairs, overfull_points
from .packing import pack_rectangles
from .relax import relax
from .widths import narrowest
from .xatlas_process import ChildFailed, run_task

# Texels between charts that no chart touches.
PADDING = 4

# xatlas slows down faster than linearly and is known to crash on large meshes: it never sees more faces at once.
PIECE_FACES = 16_000
_SMALLEST_RETRY = 256

# The share of the square that charts are expected to fill, for the size of a texel before they are packed.
_EXPECTED_USE = 0.65

# Of the surface: from so much on, pieces that were projected instead of unfolded are told to the person who asked.
_SHOWS = 0.01

_UNFOLD_ROUNDS = 3

# What is left of a chart stays in its place when it is so many texels wide.
_LEAST_WIDTH = 4.1


@dataclass
class Unwrapped:
    """uv float32 [F, 3, 2] in the unit square (origin lower left), chart int64 [F], and what happened on the way.

    method: how the charts were flattened: "relaxed" (here), "xatlas", "box projection", or several of them joined by
    " and ". events: one sentence per retry or fallback. shows: sentences about what of that shows on the object.
    """

    uv: np.ndarray
    chart: np.ndarray
    method: str
    events: list[str] = field(default_factory=list)
    shows: list[str] = field(default_factory=list)


def unwrap(vertices: np.ndarray, faces: np.ndarray, size: int, cancelled: Callable[[], bool]) -> Unwrapped:
    """Unwrap a mesh (vertices [V, 3], faces int64 [F, 3]) for a square texture of ``size`` texels.

    The charts are chosen on a slightly smoothed copy: noise of a voxel's size would shatter them. What is flattened is
    the mesh as it is, so that texels are as dense everywhere. Every chart keeps its winding; between the texels of two
    charts at least ``PADDING`` stay free. Raises Cancelled.
    """
    work = _Unwrapping(vertices.astype(np.float64), faces.astype(np.int64, copy=False), size, cancelled)
    rest = work.relax()
    work.parametrise(rest)
    uv = work.pack()
    used = np.flatnonzero(np.bincount(work.way, minlength=3))
    method = " and ".join(_WAYS[way] for way in used)
    chart = _numbered(work.chart)
    return Unwrapped(np.clip(uv, 0.0, 1.0).astype(np.float32), chart, method, work.events, work.shows())


_WAYS = ("relaxed", "xatlas", "box projection")
_RELAXED, _XATLAS, _BOXED = range(3)


class _Unwrapping:
    """The state of one unwrap: charts found so far, how each face got its place, sentences for the report."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, size: int, cancelled: Callable[[], bool]) -> None:
        self.faces, self.size, self.cancelled = faces, size, cancelled
        self.exact = vertices
        area = np.linalg.norm(face_vectors(vertices, faces), axis=1)
        self.area = area
        self.texel = float(np.sqrt(area.sum() / _EXPECTED_USE)) / size
        self.uv = np.zeros((len(faces), 3, 2))
        self.chart = np.full(len(faces), -1, dtype=np.int64)
        self.way = np.full(len(faces), _RELAXED)
        self.events: list[str] = []
        # Between the charts as they stand; None where they were not placed by their texels.
        self.padding: int | None = None
        self.in_rows = False

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The half-edges of neighbours (``winding_pairs``)."""
        return winding_pairs(self.faces, edge_table(self.faces))

    def relax(self) -> np.ndarray:
        """Find charts and flatten those that can be; return the label of each other face's chart, -1 elsewhere."""
        self.uv, self.chart, rest = relax(self.exact, self.faces, self.texel, self._rest)
        return rest

    def parametrise(self, rest: np.ndarray) -> None:
        """Let xatlas flatten the faces with a label in ``rest`` int64 [F] (-1 elsewhere): in parallel, then halved."""
        members = np.flatnonzero(rest >= 0)
        if len(members) == 0:
            return
        order = members[np.argsort(rest[members], kind="stable")]
        tasks = []
        for begin in range(0, len(order), PIECE_FACES):
            part = order[begin : begin + PIECE_FACES]
            tasks.append((part, np.unique(rest[part], return_inverse=True)[1].reshape(-1)))
        while tasks:
            with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
                answers = list(threads.map(lambda task: self._ask_xatlas(*task), tasks))
            following: list[tuple[np.ndarray, np.ndarray]] = []
            for (part, labels), answer in zip(tasks, answers, strict=True):
                if isinstance(answer, ChildFailed):
                    following += self._after_failure(part, labels, str(answer))
                else:
                    self._accept(part, answer["uv"].astype(np.float64), answer["chart"])
            tasks = following

    def _ask_xatlas(self, members: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray] | ChildFailed:
        try:
            return run_task(
                "parametrise",
                time_limit(np.bincount(labels)),
                self.cancelled,
                positions=self.exact,
                faces=self.faces[members],
                piece=labels,
                size=self.size,
            )
        except ChildFailed as failure:
            return failure

    def _after_failure(
        self, members: np.ndarray, labels: np.ndarray, reason: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Cut what a child failed on into smaller tasks, or box it when it is small enough to give up on."""
        if len(members) < _SMALLEST_RETRY:
            self.events.append(f"{len(members)} faces were box-projected: {reason}.")
            self._box(members)
            return []
        if labels.max() == 0:
            labels = split_spatially(self.exact, self.faces[members], (len(members) + 1) // 2)
        self.events.append(f"{len(members)} faces were tried again as smaller pieces: {reason}.")
        half = np.searchsorted(np.cumsum(np.bincount(labels)), len(members) / 2)
        upper = labels > min(half, labels.max() - 1)
        return [
            (members[part], np.unique(labels[part], return_inverse=True)[1].reshape(-1)) for part in (~upper, upper)
        ]

    def _accept(self, members: np.ndarray, uv: np.ndarray, chart: np.ndarray) -> None:
        uv = unmirrored(np.nan_to_num(uv), chart)
        bad = badly_flattened(uv, chart) | (chart < 0)
        self._keep(members[~bad], uv[~bad], chart[~bad], _XATLAS)
        if bad.any():
            self.events.append(f"{int(bad.sum())} faces that xatlas left out or folded were box-projected.")
            self._box(members[bad])

    def _box(self, members: np.ndarray) -> None:
        uv, chart = box_charts(self.exact, self.faces[members])
        self._keep(members, uv, chart, _BOXED)

    def _keep(self, members: np.ndarray, uv: np.ndarray, chart: np.ndarray, way: int) -> None:
        """Take ``uv`` for the faces ``members``, each chart in as many charts as it has separate parts."""
        place = np.full(len(self.faces), -1, dtype=np.int64)
        place[members] = np.arange(len(members))
        left, right = kept_pairs(place, *self.pairs)
        f, g = left // 3, right // 3
        joined = chart[f] == chart[g]
        for c, d in ((left % 3, (right % 3 + 1) % 3), ((left % 3 + 1) % 3, right % 3)):
            joined &= (uv[f, c] == uv[g, d]).all(axis=1)
        self.uv[members] = uv
        self.chart[members] = label_components(len(members), f[joined], g[joined]) + self.chart.max() + 1
        self.way[members] = way

    def pack(self) -> np.ndarray:
        """Place all charts in the unit square; float64 [F, 3, 2]. Faces that cover others get charts of their own."""
        placed = self._place()
        for _ in range(_UNFOLD_ROUNDS):
            covering = overlapping_texels(placed.astype(np.float32), self.size)[1]
            if len(covering) == 0:
                break
            self.events.append(f"{len(covering)} faces that lay over others got charts of their own.")
            placed = self._place_again(placed, self._take_out(covering, placed))
        return placed

    def shows(self) -> list[str]:
        """What of the fallbacks a person sees on the object, and what helps; a sentence each."""
        sentences = []
        boxed = float(self.area[self.way == _BOXED].sum() / max(self.area.sum(), np.finfo(float).tiny))
        if boxed >= _SHOWS:
            sentences.append(
                f"{boxed:.0%} of the surface could not be unfolded and was projected from six sides: more seams show."
            )
        if self.in_rows:
            sentences.append("The UV islands fill the maps badly, so that they look coarse: choose larger textures.")
        elif self.padding is not None and self.padding < PADDING:
            sentences.append(
                f"The {int(self.chart.max()) + 1:,} UV islands lie too close together on the maps, so that colours may "
                "bleed at a distance: choose larger textures."
            )
        return sentences

    def _take_out(self, covering: np.ndarray, placed: np.ndarray) -> np.ndarray:
        """Make each of the faces ``covering`` a chart; return the faces [N] that cannot stay where they are ``placed``.

        Those are what falls off the charts of these faces, each piece a chart of its own now, and charts that are too
        narrow without them.
        """
        affected = np.isin(self.chart, self.chart[covering])
        self.uv[covering] = alone(self.exact[self.faces[covering]])
        self.chart[covering] = self.chart.max() + 1 + np.arange(len(covering))
        affected[covering] = False
        part = np.flatnonzero(affected)
        left, right = kept_pairs(np.where(affected, np.cumsum(affected) - 1, -1), *self.pairs)
        f, g = left // 3, right // 3
        same = self.chart[part[f]] == self.chart[part[g]]
        piece = label_components(len(part), f[same], g[same])
        size, owner = np.bincount(piece), self.chart[part[np.unique(piece, return_index=True)[1]]]
        order = np.lexsort((-size, owner))
        largest = np.zeros(len(size), dtype=bool)
        largest[order[np.diff(owner[order], prepend=-1) != 0]] = True
        wide = narrowest(placed[part] * self.size, piece, len(size))[1] >= _LEAST_WIDTH
        loose = ~largest[piece]
        self.chart[part[loose]] = self.chart.max() + 1 + piece[loose]
        return np.concatenate([covering, part[~(largest & wide)[piece]]])

    def _place_again(self, placed: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Place the charts of the faces ``changed`` in the room that the others leave, or all anew."""
        if self.padding is None:
            return self._place()
        from .bitmap_packing import pack_beside

        kept = np.ones(len(placed), dtype=bool)
        kept[changed] = False
        standing = placed[kept] * self.size
        areas, texels = double_areas(self.uv[kept]), double_areas(standing)
        real = areas > 0
        if not real.any():
            return self._place()
        scale = np.sqrt(np.median(texels[real] / areas[real]))
        chart = np.unique(self.chart[changed], return_inverse=True)[1].reshape(-1)
        beside = pack_beside(standing, self.uv[changed] * scale, chart, self.size, self.padding)
        if beside is None:
            return self._place()
        placed = placed.copy()
        placed[changed] = beside / self.size
        return placed

    def _place(self) -> np.ndarray:
        self._rest()
        self.padding, self.in_rows = None, False
        chart = _numbered(self.chart)
        try:
            from .bitmap_packing import pack_bitmaps
        except ImportError:  # numba is missing, or does not know this version of numpy
            return self._place_by_xatlas(chart)
        for padding in (PADDING, PADDING // 2, 1):
            placed = pack_bitmaps(self.uv, chart, self.size, padding)
            if placed is not None:
                self.padding = padding
                if padding < PADDING:
                    self.events.append(
                        f"{int(chart.max()) + 1} charts left room for {padding} free texels between them, "
                        f"not {PADDING}: choose a larger texture."
                    )
                return placed / self.size
        return self._place_in_rows(chart, "they are too many for this texture")

    def _place_by_xatlas(self, chart: np.ndarray) -> np.ndarray:
        inner = self.size - PADDING
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
        except ChildFailed as failure:
            return self._place_in_rows(chart, str(failure))
        placed = answer["uv"].astype(np.float64)
        if len(placed) == 0 or not np.isfinite(placed).all():
            return self._place_in_rows(chart, "no scale let the charts fit")
        return (placed + 0.5 * PADDING) / self.size

    def _place_in_rows(self, chart: np.ndarray, reason: str) -> np.ndarray:
        self.events.append(f"The charts were placed in rows: {reason}.")
        self.in_rows = True
        placed = pack_rectangles(self.uv, chart, self.size - PADDING, PADDING)
        return (placed + 0.5 * PADDING) / self.size

    def _rest(self) -> None:
        if self.cancelled():
            raise Cancelled


def time_limit(piece_faces: np.ndarray) -> float:
    """Return the seconds of processor time after which parametrising pieces of these sizes is given up.

    Ten times what xatlas was measured to need (6.4 s for 50 000 faces on one core, growing with the power 1.7), and a
    minute for slow machines: an ordinary mesh never gets near it.
    """
    return 60.0 + 10.0 * float((6.4 * (np.asarray(piece_faces) / 50_000.0) ** 1.7).sum())


def pack_limit(faces: int, charts: int) -> float:
    """Return the processor seconds after which packing is given up, again ten times the measured and a minute."""
    return 60.0 + 1e-3 * faces + 0.05 * charts


def unmirrored(uv: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Mirror the charts (face label int [F], -1 for none) of ``uv`` [F, 3, 2] that show themselves from behind."""
    behind = np.bincount(chart + 1, double_areas(uv))[chart + 1] < 0
    return np.where(behind[:, None, None], uv * [-1.0, 1.0], uv)


def badly_flattened(uv: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Tell which faces [F] belong to a chart with a mirrored face or an outline that crosses itself."""
    area = double_areas(uv)
    rows = np.concatenate([np.repeat(chart, 3)[:, None].astype(np.float64), uv.reshape(-1, 2)], axis=1)
    rows, corner = np.unique(rows, axis=0, return_inverse=True)
    owner = rows[:, 0].astype(np.int64)
    first = np.searchsorted(owner, np.arange(-1, int(chart.max()) + 2))
    points = ChartPoints(corner.reshape(-1, 3), owner + 1, first, np.zeros(0, dtype=bool))
    folded = np.bincount(chart + 1, area < -1e-6 * np.abs(area).mean()) > 0
    for point in (crossings(rows[:, 1:], points), *overfull_points(rows[:, 1:], points)):
        folded[points.chart[point]] = True
    return folded[chart + 1]


def _numbered(label: np.ndarray) -> np.ndarray:
    """The labels int64 [F] renamed, in their order, so that no number is left out."""
    named = np.zeros(int(label.max()) + 1, dtype=bool)
    named[label] = True
    return (np.cumsum(named) - 1)[label]


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
