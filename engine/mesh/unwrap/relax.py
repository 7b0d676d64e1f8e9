# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts laid flat: found, relaxed, cut where they would cover themselves, narrow ones joined to their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from ...kernels.host_arrays import MANY_FACES, on_large_card
from ..repair.holes import fill_holes
from ..surface.smooth import smoothed
from ..surface.topology import edge_table, face_vectors, label_components
from .charts import find_charts, winding_pairs
from .flatten import flatten
from .judge import lie_well
from .outlines import ChartPoints, Trouble, chart_points, cut_through, kept_pairs
from .tubes import find_tubes, thin_share
from .unroll import unrolled
from .widths import narrowest, ranges

SMOOTHING_STEPS = 2

# Where edges are longer than this share of the object, what they show is its shape and no noise.
NOISE = 0.05

# Openings up to so many median edges around are closed while charts are laid flat, so that their lips keep apart.
PATCHED_EDGES = 24.0

# Faces lean at most so far from their chart's axis (radians). Charts that do not flatten get a try on the smoothed
# copy, then are grown anew with the second cone, then cut in two so often.
CONE, SECOND_CONE = np.radians(90.0), np.radians(60.0)
CUTS = 7

# So often the faces where a chart covers itself are taken away to see whether what is left lies well as it is.
PEELS = 4

# Charts are flattened together until they have so many faces, two such portions at a time: memory is bounded.
_FACES_AT_ONCE = 8_000
_PORTIONS_AT_ONCE = 2

# What is left of a chart is kept when it is so many texels wide.
THIN_TEXELS = 5.0

# Charts narrower than so many texels join a neighbour where both together flatten well: the gap around them takes more
# room than they do. The faces that are flattened for this are at most so many times those of the mesh.
NARROW_TEXELS = 14.0
JOIN_WORK = 2.0

# An object of which narrow charts have more than this share of the area is made of wires and stems: tubes are unrolled
# too, charts smaller than a square of so many texels join as well, and there is more work.
MUCH = 0.02
SMALL_TEXELS = 48.0
TUBE_WORK = 6.0

# What becomes of such charts is at most so long, as a share of the root of the whole area, or longer by this factor
# than the longer of the two was: long strips are hard to place.
LONGEST, LONGER = 0.25, 1.1

# Tubes at most so many texels around are cut open where they are at least this share of the area. They are cut across
# at such lengths (as shares of the root of the whole area), what is no tube in one length is looked at in the next.
TUBE_TEXELS = 56.0
WIRES = 0.5
TUBE_LENGTHS = (0.16, 0.08, 0.04)

# Meshes of many faces go to a graphics card that has room for so many bytes each.
_CARD_BYTES_A_FACE = 4096


def relax(
    vertices: np.ndarray, faces: np.ndarray, texel: float, rest: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide a mesh (vertices float64 [V, 3], faces int64 [F, 3]) into charts and lay them flat.

    The charts are chosen on a slightly smoothed copy: noise of a voxel's size would shatter them. What is flattened is
    the mesh as it is. texel: the expected side of a texel, in units of the mesh. ``rest()`` is called now and then and
    may raise. Returns uv float64 [F, 3, 2] in units of the mesh, the chart of each face int64 [F] (-1 where it was not
    laid flat), and the piece of each face that was not (-1 elsewhere).
    """
    if found := _on_card(vertices, faces, texel, rest):
        return found
    work = _Relaxation(vertices, faces, texel, rest)
    work.open_tubes()
    work.lay_flat()
    work.join_narrow()
    chart = work.shown_charts()
    flat = work.flat[work.chart[: len(faces)]]
    return work.uv[: len(faces)], np.where(flat, chart, -1), np.where(flat, -1, chart)


def _on_card(
    vertices: np.ndarray, faces: np.ndarray, texel: float, rest: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """``relax`` on the graphics card where that is worth it and has room, None elsewhere."""
    if len(faces) < MANY_FACES:
        return None
    from .tensor_relax import relax

    return on_large_card(lambda device: relax(vertices, faces, texel, rest, device), len(faces) * _CARD_BYTES_A_FACE)


class _Relaxation:
    """The mesh, small openings closed by faces behind the others, and its charts.

    chart int64 [F]; of charts whether it lies flat, bool [C], width and length there, float64 [C], and area.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, texel: float, rest: Callable[[], None]) -> None:
        self.texel, self.rest, self.count = texel, rest, len(faces)
        edges = np.linalg.norm(vertices[np.roll(faces, 1, axis=1)] - vertices[faces], axis=2)
        edge = float(np.median(edges))
        self.noisy = edge < NOISE * float(np.ptp(vertices[faces].reshape(-1, 3), axis=0).max())
        area = np.linalg.norm(face_vectors(vertices, faces), axis=1)
        self.side = float(np.sqrt(area.sum()))
        self.flat_area = 1e-9 * float(area.mean())
        self.exact, self.faces, _ = fill_holes(vertices, faces, PATCHED_EDGES * edge)
        self.smooth = smoothed(self.exact, self.faces, SMOOTHING_STEPS, 0.5 * edge) if self.noisy else self.exact
        self.middle = self.smooth[self.faces].mean(axis=1)
        self.left, self.right = winding_pairs(self.faces, edge_table(self.faces))
        self.uv = np.zeros((len(self.faces), 3, 2))
        self.chart = np.full(len(self.faces), -1, dtype=np.int64)
        self.flat, self.width, self.area, self.length = np.zeros(0, dtype=bool), *np.zeros((3, 0))
        # How many of the charts, which are the first ones, are tubes cut open.
        self.tubes = 0

    def open_tubes(self) -> None:
        """Cut the tubes of an object made of wires open: one strip for each length of them."""
        widest = TUBE_TEXELS * self.texel
        if thin_share(self.exact, self.faces, self.left, self.right, widest) < WIRES:
            return
        members, left, right, index = np.arange(len(self.faces)), self.left, self.right, np.arange(len(self.left))
        area, gone = np.linalg.norm(face_vectors(self.exact, self.faces), axis=1), []
        for length in TUBE_LENGTHS:
            if len(members) == 0:
                break
            found = find_tubes(self.exact, self.faces[members], left, right, length * self.side, widest)
            chosen = members[found.faces]
            if not gone and area[chosen].sum() < WIRES * area.sum():
                return
            if len(chosen) == 0:
                continue
            points = chart_points(found.label, found.left, found.right)
            uv = self._flatten(self.exact, chosen, found.label, points, found.start)
            well = self._judge(uv, chosen, found.label, points, False)[0][found.label]
            self._keep(chosen[well], found.label[well], uv[well], True)
            rest = np.ones(len(members), dtype=bool)
            rest[found.faces[well]] = False
            gone.append(index[found.cut & ~rest[left // 3]])
            index = index[rest[left // 3] & rest[right // 3]]
            left, right = kept_pairs(np.where(rest, np.cumsum(rest) - 1, -1), left, right)
            members = members[rest]
        self.left, self.right = (np.delete(half, np.concatenate(gone)) for half in (self.left, self.right))
        self.tubes = len(self.flat)

    def lay_flat(self) -> None:
        """Find charts of what is in none, flatten those that can be; of others take what lies well and cut the rest."""
        open_ = self.chart < 0
        members = np.flatnonzero(open_)
        if len(members) == 0:
            return
        left, right = kept_pairs(np.where(open_, np.cumsum(open_) - 1, -1), self.left, self.right)
        label, trouble = self._find(members, left, right, CONE), Trouble.none()
        for turn in range(CUTS + 3):
            if turn == 2:
                label = self._find(members, left, right, SECOND_CONE)
            elif turn > 2:
                label = cut_through(label, self.middle[members], left, right, trouble)
            points = chart_points(label, left, right)
            uv = self._flatten(self.smooth if turn == 1 else self.exact, members, label, points)
            sound, trouble = self._sound_parts(uv, members, label, left, right, points)
            self._keep(members[sound >= 0], sound[sound >= 0], uv[sound >= 0], True)
            over = sound < 0
            f, g = left // 3, right // 3
            same = over[f] & over[g] & (label[f] == label[g])
            part = label_components(len(members), f[same], g[same])
            # Faces that only close an opening need no place.
            over &= (np.bincount(part, over & (members < self.count)) > 0)[part]
            if not over.any():
                return
            place = np.where(over, np.cumsum(over) - 1, -1)
            left, right = kept_pairs(place, left, right)
            members, uv, label = members[over], uv[over], np.unique(part[over], return_inverse=True)[1].reshape(-1)
            trouble = trouble.of(place)
        self._keep(members, label, uv, False)

    def _sound_parts(
        self,
        uv: np.ndarray,
        members: np.ndarray,
        label: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        points: ChartPoints,
    ) -> tuple[np.ndarray, Trouble]:
        """Label the parts of charts that lie well, int64 [F] (-1 elsewhere): whole charts, or what is left of a chart
        without the faces at places where it covers itself. Also return those places of the whole charts.
        """
        good, trouble = self._judge(uv, members, label, points)
        sound = np.where(good[label], label, -1)
        inside, first = (sound < 0) & (members < self.count), trouble
        for _ in range(PEELS):
            inside[trouble.face] = False
            chosen = np.flatnonzero(inside)
            if len(trouble.face) == 0 or len(chosen) == 0:
                break
            of = label[chosen]
            one, other = kept_pairs(np.where(inside, np.cumsum(inside) - 1, -1), left, right)
            same = of[one // 3] == of[other // 3]
            one, other = one[same], other[same]
            part = label_components(len(chosen), one // 3, other // 3)
            good, found = self._judge(uv[chosen], members[chosen], part, chart_points(part, one, other))
            wide = narrowest(uv[chosen], part, len(good))[1] >= THIN_TEXELS * self.texel
            kept = (good & wide)[part]
            sound[chosen[kept]] = sound.max() + 1 + part[kept]
            inside[chosen[(good | ~wide)[part]]] = False
            trouble = Trouble(chosen[found.face], found.place)
        return sound, first

    def join_narrow(self) -> None:
        """Join charts that are narrow, or do not lie flat, to the neighbour along their longest border if it works."""
        apart: set[tuple[int, int]] = set()
        narrow = np.isfinite(self.width) & (self.width < NARROW_TEXELS * self.texel)
        tubes = bool(self.area[narrow].sum() > MUCH * self.area.sum())
        work = (TUBE_WORK if tubes else JOIN_WORK) * len(self.faces)
        while work > 0:
            pairs = self._narrow_pairs(apart, tubes)
            if len(pairs) == 0:
                return
            into = np.full(len(self.flat), -1, dtype=np.int64)
            into[pairs] = np.arange(len(pairs))[:, None]
            second = np.zeros(len(self.flat), dtype=bool)
            second[pairs[:, 1]] = True
            label, beyond = np.where(self.chart >= 0, into[self.chart], -1), second[self.chart]
            longest = np.full(len(pairs), np.inf)
            if tubes:
                longest = np.maximum(LONGEST * self.side, LONGER * self.length[pairs].max(axis=1))
            joined = self._join(np.flatnonzero(label >= 0), label, longest)
            work -= int((label >= 0).sum())
            if tubes:
                # What does not lie well from where it stands may do so unrolled, with a seam.
                rest = (label >= 0) & ~joined[label]
                joined |= self._join(np.flatnonzero(rest), label, longest, beyond)
                work -= int(rest.sum())
            apart.update((int(a), int(b)) for a, b in pairs[~joined])

    def _join(
        self, members: np.ndarray, pair: np.ndarray, longest: np.ndarray, second: np.ndarray | None = None
    ) -> np.ndarray:
        """Flatten the faces ``members`` of each pair of charts (``pair`` int64 [F]) as one; which lay well, bool [N].

        ``longest`` [N]: how long each may become. ``second`` bool [F]: whether a face is of the pair's second chart;
        then the pairs are unrolled (see unroll.py).
        """
        good = np.zeros(len(longest), dtype=bool)
        if len(members) == 0:
            return good
        name, label = np.unique(pair[members], return_inverse=True)
        label = label.reshape(-1)
        place = np.full(len(self.faces), -1, dtype=np.int64)
        place[members] = np.arange(len(members))
        inner = np.flatnonzero((place[self.left // 3] >= 0) & (place[self.right // 3] >= 0))
        left, right = kept_pairs(place, self.left, self.right)
        start, seam = None, np.zeros(len(left), dtype=bool)
        if second is not None:
            start, seam = unrolled(
                self.faces[members], self.exact, self.uv[members], label, second[members], left, right
            )
            left, right = left[~seam], right[~seam]
        points = chart_points(label, left, right)
        uv = self._flatten(self.exact, members, label, points, start)
        well = self._judge(uv, members, label, points, False)[0]
        well &= _lengths(uv, label) <= longest[name]
        self._keep(members[well[label]], label[well[label]], uv[well[label]], True)
        good[name[well]] = True
        if seam.any():
            cut = inner[seam]
            cut = cut[well[label[place[self.left[cut] // 3]]]]
            self.left, self.right = np.delete(self.left, cut), np.delete(self.right, cut)
        return good

    def _narrow_pairs(self, apart: set[tuple[int, int]], small: bool) -> np.ndarray:
        """Pairs of charts int64 [N, 2], each chart in one at most, of which one needs the other; none of ``apart``."""
        needs = np.isfinite(self.width) & ((self.width < NARROW_TEXELS * self.texel) | ~self.flat)
        if small:
            needs |= np.isfinite(self.width) & (self.area < (SMALL_TEXELS * self.texel) ** 2)
        a, b = self.chart[self.left // 3], self.chart[self.right // 3]
        usable = (a != b) & (a >= self.tubes) & (b >= self.tubes)
        usable[usable] &= needs[a[usable]] | needs[b[usable]]
        half = self.left[usable]
        corner = self.faces[half // 3]
        row = np.arange(len(half))
        way = self.exact[corner[row, half % 3]] - self.exact[corner[row, (half + 1) % 3]]
        low, high = np.minimum(a, b)[usable], np.maximum(a, b)[usable]
        key, border = np.unique(low * len(self.flat) + high, return_inverse=True)
        length = np.bincount(border.reshape(-1), np.linalg.norm(way, axis=1), minlength=len(key))
        found, taken = [], set()
        for index in np.lexsort((key, -length)):
            one, other = divmod(int(key[index]), len(self.flat))
            if one not in taken and other not in taken and (one, other) not in apart:
                taken |= {one, other}
                found.append((one, other))
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _find(self, members: np.ndarray, left: np.ndarray, right: np.ndarray, cone: float) -> np.ndarray:
        return find_charts(self.smooth, self.faces[members], left, right, self.texel, cone, self.noisy)

    def _flatten(
        self,
        vertices: np.ndarray,
        members: np.ndarray,
        label: np.ndarray,
        points: ChartPoints,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Flatten the charts ``label`` of the faces ``members``, of which are the ``points``.

        ``start`` [F, 3, 2]: how they lie to begin with. Returns uv [F, 3, 2].
        """
        position = np.empty((len(points.chart), 3))
        position[points.corner] = vertices[self.faces[members]]
        flat, begun = np.empty((len(position), 2)), None
        if start is not None:
            begun = np.empty((len(position), 2))
            begun[points.corner] = start

        def lay(portion: tuple[np.ndarray, int, int]) -> None:
            self.rest()
            inside, begin, end = portion
            corners = points.corner[inside] - begin
            own = None if begun is None else begun[begin:end]
            flat[begin:end] = flatten(position[begin:end], corners, label[inside] - label[inside].min(), own)

        with ThreadPoolExecutor(_PORTIONS_AT_ONCE) as threads:
            list(threads.map(lay, _portions(label, points.first)))
        return flat[points.corner]

    def _judge(
        self, uv: np.ndarray, members: np.ndarray, label: np.ndarray, points: ChartPoints, everywhere: bool = True
    ) -> tuple[np.ndarray, Trouble]:
        """Tell which charts lie well in ``uv`` [F, 3, 2], bool [C], and the places that keep the others from it.

        Not ``everywhere``: no further places in charts that are stretched or have mirrored faces.
        """
        exact, flat = np.empty((len(points.chart), 3)), np.empty((len(points.chart), 2))
        exact[points.corner] = self.exact[self.faces[members]]
        flat[points.corner] = uv
        # Faces that only close an opening may lie as they like.
        real = members < self.count
        good, spot = lie_well(exact, flat, points.corner[real], label[real], points.first, self.flat_area, everywhere)
        face, corner = np.nonzero(spot[points.corner])
        return good, Trouble(face, exact[points.corner[face, corner]])

    def _keep(self, members: np.ndarray, label: np.ndarray, uv: np.ndarray, flat: bool) -> None:
        """Take ``uv`` for the faces ``members`` of the charts ``label``, laid ``flat`` or not."""
        self.uv[members] = uv
        name = np.unique(label, return_inverse=True)[1].reshape(-1)
        self.chart[members] = name + len(self.flat)
        count, real = int(name.max(initial=-1)) + 1, members < self.count
        self.flat = np.concatenate([self.flat, np.full(count, flat)])
        self.width = np.concatenate([self.width, narrowest(uv[real], name[real], count)[1]])
        self.length = np.concatenate([self.length, _lengths(uv, name)])
        area = np.linalg.norm(face_vectors(self.exact, self.faces[members[real]]), axis=1)
        self.area = np.concatenate([self.area, np.bincount(name[real], area, minlength=count)])

    def shown_charts(self) -> np.ndarray:
        """The charts of the mesh itself, int64 [F]: each in as many as it has parts without the closed openings."""
        f, g = self.left // 3, self.right // 3
        same = (self.chart[f] == self.chart[g]) & (f < self.count) & (g < self.count)
        return label_components(self.count, f[same], g[same])


def _lengths(uv: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The diagonals of the boxes around charts (label int [F]) of ``uv`` [F, 3, 2], float64 [C]."""
    along = np.ones(int(label.max(initial=-1)) + 1)
    low, high = ranges(uv, label, along, np.zeros(len(along)))
    return np.linalg.norm(np.maximum(high - low, 0.0), axis=1)


def _portions(label: np.ndarray, first: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """Split charts into portions of about ``_FACES_AT_ONCE`` faces: their faces, and the range of their points."""
    order = np.argsort(label, kind="stable")
    size = np.bincount(label)
    ends = np.cumsum(size)
    cuts = np.flatnonzero(np.diff((ends - size) // _FACES_AT_ONCE, prepend=-1))
    return [
        (order[ends[a] - size[a] : ends[b - 1]], int(first[a]), int(first[b]))
        for a, b in pairwise([*cuts.tolist(), len(size)])
    ]
