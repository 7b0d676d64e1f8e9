# SPDX-License-Identifier: GPL-3.0-or-later
"""``relax`` in torch, for graphics cards: charts found, laid flat, cut and joined, all at once in every step.

The steps are those of the processor. Its sums are added in another order and its equations solved in another way, so
the charts may differ where that decides; they are the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...kernels.host_arrays import home, upload
from ..repair.holes import fill_holes
from ..surface.tensor_reductions import Sums, numbered, order_by, places
from ..surface.tensor_smooth import smoothed
from ..surface.tensor_topology import Edges, components, ends_of
from ..surface.tensor_vectors import dot, face_vectors, lengths
from . import relax as plain
from .judge import STRETCH, STRETCHED_SHARE
from .outlines import Trouble, kept_pairs
from .tensor_charts import find_charts, preferred
from .tensor_flatten import flatten, stretches
from .tensor_outlines import (
    ChartPoints,
    chart_points,
    crossings,
    cut_through,
    overfull_points,
)
from .tensor_tubes import find_tubes
from .tensor_unroll import unrolled
from .tensor_widths import extremes, narrowest

# Charts are named by pairs of numbers below this.
_PAIR = 2**31


def relax(
    vertices: np.ndarray, faces: np.ndarray, texel: float, rest: Callable[[], None], device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``relax.relax`` on ``device``."""
    given = upload(vertices, device), upload(faces, device)
    edge, noisy = _noise(*given)
    *patched, holes = fill_holes(vertices, faces, plain.PATCHED_EDGES * edge)
    exact, corners = (upload(array, device) for array in patched) if holes else given
    work = _Relaxation(exact, corners, len(faces), texel, edge if noisy else None, rest)
    work.open_tubes()
    work.lay_flat()
    work.join_narrow()
    uv, chart, flat = home(work.result())
    return uv, np.where(flat, chart, -1), np.where(flat, -1, chart)


class _Relaxation:
    """``relax._Relaxation`` as tensors: the mesh with ``count`` faces of its own, the others close openings.

    edge: how long edges are where the surface is noisy, else None.
    """

    def __init__(
        self, exact: Tensor, faces: Tensor, count: int, texel: float, edge: float | None, rest: Callable[[], None]
    ) -> None:
        self.texel, self.rest, self.count = texel, rest, count
        self.exact, self.faces, self.noisy = exact, faces, edge is not None
        vector = face_vectors(exact, faces)
        self.face_area = lengths(vector)
        whole = float(Sums(torch.zeros_like(faces[:count, 0]), 1)(self.face_area[:count]))
        self.side, self.flat_area = whole**0.5, 1e-9 * whole / count
        table = Edges(faces)
        self.smooth = exact if edge is None else smoothed(exact, table, plain.SMOOTHING_STEPS, 0.5 * edge)
        self.middle = self.smooth[faces].mean(1)
        left, right = table.pairs()
        tail = ends_of(faces)[0]
        alike = tail[left] != tail[right]
        self.left, self.right = left[alike], right[alike]
        self.uv = exact.new_zeros((len(faces), 3, 2))
        self.chart = torch.full((len(faces),), -1, device=exact.device)
        self.flat = torch.zeros(0, dtype=torch.bool, device=exact.device)
        self.width, self.area, self.length = exact.new_zeros((3, 0))
        # How many of the charts, which are the first ones, are tubes cut open.
        self.tubes = 0

    def is_of_wires(self) -> bool:
        """Whether the object is made of tubes that are to be cut open (``tubes.thin_share``)."""
        piece = components(len(self.faces), self.left // 3, self.right // 3)
        number = torch.arange(len(piece), device=piece.device)
        pieces = int(piece.max()) + 1
        first = number.new_full((pieces,), len(piece)).scatter_reduce_(0, piece, number, "amin")
        corner = self.exact[self.faces[:, 0]]
        volume = dot(face_vectors(self.exact, self.faces), corner - corner[first[piece]])
        area, volume = Sums(piece, pieces)(torch.stack([self.face_area, volume], 1)).unbind(1)
        thin = 4.0 * torch.pi * volume.abs() / 3.0 <= plain.TUBE_TEXELS * self.texel * area
        return float(area[thin].sum()) >= plain.WIRES * max(float(area.sum()), 1e-300)

    def open_tubes(self) -> None:
        """``relax._Relaxation.open_tubes``."""
        if not self.is_of_wires():
            return
        widest = plain.TUBE_TEXELS * self.texel
        members = torch.arange(len(self.faces), device=self.faces.device)
        left, right, index = self.left, self.right, torch.arange(len(self.left), device=self.left.device)
        stays = torch.ones(len(self.left), dtype=torch.bool, device=self.left.device)
        for length in plain.TUBE_LENGTHS:
            if len(members) == 0:
                break
            self.rest()
            found = find_tubes(self.exact, self.faces[members], left, right, length * self.side, widest)
            chosen = members[found.faces]
            enough = plain.WIRES * float(self.face_area.sum())
            if length == plain.TUBE_LENGTHS[0] and float(self.face_area[chosen].sum()) < enough:
                return
            if len(chosen) == 0:
                continue
            uv = self._flatten(self.exact, chosen, found.label, found.left, found.right, found.start)
            well = self._judge(uv, chosen, found.label, found.left, found.right, False)[0][found.label]
            self._keep(chosen[well], found.label[well], uv[well], True)
            rest = torch.ones(len(members), dtype=torch.bool, device=members.device)
            rest[found.faces[well]] = False
            stays[index[found.cut & ~rest[left // 3]]] = False
            index = index[rest[left // 3] & rest[right // 3]]
            left, right = kept_pairs(places(rest), left, right)
            members = members[rest]
        self.left, self.right = self.left[stays], self.right[stays]
        self.tubes = len(self.flat)

    def lay_flat(self) -> None:
        """``relax._Relaxation.lay_flat``."""
        open_ = self.chart < 0
        members = open_.nonzero().squeeze(1)
        if len(members) == 0:
            return
        left, right = kept_pairs(places(open_), self.left, self.right)
        label = self._find(members, left, right, plain.CONE)
        trouble = Trouble(members[:0], self.exact[:0])
        for turn in range(plain.CUTS + 3):
            if turn == 2:
                label = self._find(members, left, right, plain.SECOND_CONE)
            elif turn > 2:
                label = cut_through(label, self.middle[members], left, right, trouble)
            uv = self._flatten(self.smooth if turn == 1 else self.exact, members, label, left, right)
            sound, trouble = self._sound_parts(uv, members, label, left, right)
            over = sound < 0
            self._keep(members[~over], sound[~over], uv[~over], True)
            f, g = left // 3, right // 3
            same = over[f] & over[g] & (label[f] == label[g])
            part = components(len(members), f[same], g[same])
            # Faces that only close an opening need no place.
            needed = torch.zeros_like(over)
            needed[part[over & (members < self.count)]] = True
            over &= needed[part]
            if not over.any():
                return
            place = places(over)
            left, right = kept_pairs(place, left, right)
            members, uv, label = members[over], uv[over], numbered(part[over])
            trouble = trouble.of(place)
        self._keep(members, label, uv, False)

    def _sound_parts(
        self, uv: Tensor, members: Tensor, label: Tensor, left: Tensor, right: Tensor
    ) -> tuple[Tensor, Trouble]:
        """``relax._Relaxation._sound_parts``."""
        good, first = self._judge(uv, members, label, left, right)
        sound = torch.where(good[label], label, -1)
        inside, trouble = (sound < 0) & (members < self.count), first
        for _ in range(plain.PEELS):
            inside[trouble.face] = False
            chosen = inside.nonzero().squeeze(1)
            if len(trouble.face) == 0 or len(chosen) == 0:
                break
            of = label[chosen]
            one, other = kept_pairs(places(inside), left, right)
            same = of[one // 3] == of[other // 3]
            one, other = one[same], other[same]
            part = components(len(chosen), one // 3, other // 3)
            good, found = self._judge(uv[chosen], members[chosen], part, one, other)
            wide = narrowest(uv[chosen], part, len(good))[1] >= plain.THIN_TEXELS * self.texel
            kept = (good & wide)[part]
            sound[chosen[kept]] = int(sound.max()) + 1 + part[kept]
            inside[chosen[(good | ~wide)[part]]] = False
            trouble = Trouble(chosen[found.face], found.place)
        return sound, first

    def join_narrow(self) -> None:
        """``relax._Relaxation.join_narrow``."""
        apart = self.chart[:0]
        narrow = torch.isfinite(self.width) & (self.width < plain.NARROW_TEXELS * self.texel)
        tubes = bool(self.area[narrow].sum() > plain.MUCH * self.area.sum())
        work = (plain.TUBE_WORK if tubes else plain.JOIN_WORK) * len(self.faces)
        while work > 0:
            pairs = self._narrow_pairs(apart, tubes)
            if len(pairs) == 0:
                return
            into = torch.full((len(self.flat) + 1,), -1, device=pairs.device)
            into[pairs] = torch.arange(len(pairs), device=pairs.device)[:, None]
            second = torch.zeros_like(into, dtype=torch.bool)
            second[pairs[:, 1]] = True
            # The chart -1 is the one after the last.
            label, beyond = into[self.chart], second[self.chart]
            longest = self.uv.new_full((len(pairs),), torch.inf)
            if tubes:
                longest = (plain.LONGER * self.length[pairs].amax(1)).clamp_min(plain.LONGEST * self.side)
            joined = self._join((label >= 0).nonzero().squeeze(1), label, longest)
            work -= int((label >= 0).sum())
            if tubes:
                # What does not lie well from where it stands may do so unrolled, with a seam.
                rest = ((label >= 0) & ~joined[label]).nonzero().squeeze(1)
                joined |= self._join(rest, label, longest, beyond)
                work -= len(rest)
            apart = torch.cat([apart, (pairs[:, 0] * _PAIR + pairs[:, 1])[~joined]])

    def _join(self, members: Tensor, pair: Tensor, longest: Tensor, second: Tensor | None = None) -> Tensor:
        """``relax._Relaxation._join``."""
        good = torch.zeros(len(longest), dtype=torch.bool, device=members.device)
        if len(members) == 0:
            return good
        name, label = torch.unique(pair[members], return_inverse=True)
        place = torch.full((len(self.faces),), -1, device=members.device)
        place[members] = torch.arange(len(members), device=members.device)
        inner = ((place[self.left // 3] >= 0) & (place[self.right // 3] >= 0)).nonzero().squeeze(1)
        left, right = kept_pairs(place, self.left, self.right)
        start, seam = None, torch.zeros(len(left), dtype=torch.bool, device=members.device)
        if second is not None:
            start, seam = unrolled(
                self.faces[members], self.exact, self.uv[members], label, second[members], left, right
            )
            left, right = left[~seam], right[~seam]
        uv = self._flatten(self.exact, members, label, left, right, start)
        well = self._judge(uv, members, label, left, right, False)[0]
        well &= _lengths(uv, label) <= longest[name]
        kept = well[label]
        self._keep(members[kept], label[kept], uv[kept], True)
        good[name[well]] = True
        if seam.any():
            cut = inner[seam]
            cut = cut[kept[place[self.left[cut] // 3]]]
            stays = torch.ones(len(self.left), dtype=torch.bool, device=members.device)
            stays[cut] = False
            self.left, self.right = self.left[stays], self.right[stays]
        return good

    def _narrow_pairs(self, apart: Tensor, small: bool) -> Tensor:
        """``relax._Relaxation._narrow_pairs``: those with the longest border of all that either has, in rounds.

        ``apart``: the pairs not to take, as one number each, int64 [N].
        """
        measured = torch.isfinite(self.width)
        needs = measured & ((self.width < plain.NARROW_TEXELS * self.texel) | ~self.flat)
        if small:
            needs |= measured & (self.area < (plain.SMALL_TEXELS * self.texel) ** 2)
        a, b = self.chart[self.left // 3], self.chart[self.right // 3]
        usable = ((a != b) & (a >= self.tubes) & (b >= self.tubes)).nonzero().squeeze(1)
        usable = usable[needs[a[usable]] | needs[b[usable]]]
        half = self.left[usable]
        tail, head = ends_of(self.faces)
        way = self.exact[tail[half]] - self.exact[head[half]]
        a, b = a[usable], b[usable]
        key, border = torch.unique(torch.minimum(a, b) * _PAIR + torch.maximum(a, b), return_inverse=True)
        length = Sums(border, len(key))(lengths(way))
        open_ = ~torch.isin(key, apart)
        key, length = key[open_], length[open_]
        # The longest first, then as they come: no two are alike.
        key = key[order_by(key, -length)] if len(key) else key
        found = [key[:0]]
        while len(key):
            one, other = key // _PAIR, key % _PAIR
            rank = torch.arange(len(key), device=key.device)
            first = preferred(one, other, (rank,), len(self.flat))
            found.append(key[first])
            taken = torch.zeros_like(self.flat)
            taken[one[first]] = taken[other[first]] = True
            key = key[~(taken[one] | taken[other])]
        key = torch.cat(found)
        return torch.stack([key // _PAIR, key % _PAIR], 1)

    def _find(self, members: Tensor, left: Tensor, right: Tensor, cone: float) -> Tensor:
        self.rest()
        return find_charts(self.smooth, self.faces[members], left, right, self.texel, cone, self.noisy)

    def _flatten(
        self, vertices: Tensor, members: Tensor, label: Tensor, left: Tensor, right: Tensor, start: Tensor | None = None
    ) -> Tensor:
        """``relax._Relaxation._flatten``."""
        self.rest()
        points = chart_points(label, left, right)
        position, begun = vertices.new_empty((len(points.chart), 3)), None
        position[points.corner] = vertices[self.faces[members]]
        if start is not None:
            # Where corners of a point begin apart the last one counts; of threads that write it any could be the last.
            corner = points.corner.reshape(-1)
            last = corner.new_zeros(len(position))
            last.scatter_reduce_(0, corner, torch.arange(len(corner), device=corner.device), "amax")
            begun = start.reshape(-1, 2)[last]
        return flatten(position, points.corner, label, points.chart, begun)[points.corner]

    def _judge(
        self, uv: Tensor, members: Tensor, label: Tensor, left: Tensor, right: Tensor, everywhere: bool = True
    ) -> tuple[Tensor, Trouble]:
        """``relax._Relaxation._judge`` and ``judge.lie_well``."""
        points = chart_points(label, left, right)
        exact, flat = uv.new_empty((len(points.chart), 3)), uv.new_empty((len(points.chart), 2))
        exact[points.corner] = self.exact[self.faces[members]]
        flat[points.corner] = uv
        # Faces that only close an opening may lie as they like.
        real = members < self.count
        corner, of = points.corner[real], label[real]
        area, stretch = stretches(exact, flat, corner)
        mirrored = (area > self.flat_area) & (stretch[:, 1] <= 0)
        uneven = (stretch[:, 0] > STRETCH) | (stretch[:, 1] < 1.0 / STRETCH)
        whole, share = Sums(of, points.charts)(torch.stack([area, area * uneven], 1)).unbind(1)
        bad = share > STRETCHED_SHARE * whole.clamp_min(1e-300)
        bad[of[~torch.isfinite(stretch).all(1)]] = True
        flat = torch.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)
        folded = corner[mirrored].reshape(-1)
        bad[points.chart[folded]] = True
        if not everywhere:
            corner = corner[~bad[of]]
        shown = ChartPoints(corner, points.chart, points.charts, points.inner)
        crossing, (inside, at_rim) = crossings(flat, shown), overfull_points(flat, shown)
        for point in (crossing, inside, at_rim):
            bad[points.chart[point]] = True
        # Where an outline crosses itself next to a point that is too full, the point is the cause.
        causes = torch.zeros_like(bad)
        causes[points.chart[at_rim]] = True
        spot = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        for point in (folded, crossing[~causes[points.chart[crossing]]], inside, at_rim):
            spot[point] = True
        face, place = spot[points.corner].nonzero().unbind(1)
        return ~bad, Trouble(face, exact[points.corner[face, place]])

    def _keep(self, members: Tensor, label: Tensor, uv: Tensor, flat: bool) -> None:
        """``relax._Relaxation._keep``."""
        if len(members) == 0:
            return
        self.uv[members] = uv
        name = numbered(label)
        self.chart[members] = name + len(self.flat)
        count, real = int(name.max()) + 1, members < self.count
        width = narrowest(uv[real], name[real], count)[1]
        area = Sums(name[real], count)(self.face_area[members[real]])
        self.flat = torch.cat([self.flat, torch.full((count,), flat, device=uv.device)])
        self.width, self.length = torch.cat([self.width, width]), torch.cat([self.length, _lengths(uv, name)])
        self.area = torch.cat([self.area, area])

    def result(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the mesh itself uv [F, 3, 2], the connected chart of each face and whether it lies flat."""
        f, g = self.left // 3, self.right // 3
        same = (self.chart[f] == self.chart[g]) & (f < self.count) & (g < self.count)
        chart = components(self.count, f[same], g[same])
        return self.uv[: self.count], chart, self.flat[self.chart[: self.count]]


def _noise(vertices: Tensor, faces: Tensor) -> tuple[float, bool]:
    """The median length of the edges, and whether they are so short that what they show is noise."""
    corners = vertices[faces]
    way = corners.roll(1, 1) - corners
    length = lengths(way).view(-1).sort().values
    edge = 0.5 * float(length[(len(length) - 1) // 2] + length[len(length) // 2])
    return edge, edge < plain.NOISE * float((corners.amax((0, 1)) - corners.amin((0, 1))).max())


def _lengths(uv: Tensor, label: Tensor) -> Tensor:
    """``relax._lengths``."""
    low, high = extremes(uv, Sums(label, int(label.max()) + 1))
    return torch.hypot(*(high - low).clamp_min(0.0).unbind(1))
