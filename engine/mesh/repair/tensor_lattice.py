# SPDX-License-Identifier: GPL-3.0-or-later
"""``lattice`` in torch, for graphics cards: the walls of a surface, and which points of their lattice they enclose.

All points take a step at a time, each from what its neighbours were before it: the same integers as on the processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..surface.tensor_topology import components
from .tensor_blocks import POINTS, SIDE, Blocks, Ways, near_blocks

OUTSIDE = 1
_NOBODY = torch.iinfo(torch.int32).max
_PAD = 8
_PULLS = 4
_BLOCKS_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Limits:
    """The constants of ``lattice`` of these names."""

    reach: int
    throat: float
    leak: float
    rounds: int


def walls_of(faces: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``lattice.walls_of``."""
    cells = cells.long()
    a, b, c = (cells[corner] for corner in faces.unbind(1))
    owner = torch.minimum(torch.minimum(a, b), c)
    spread = torch.maximum(torch.maximum(a, b), c) - owner
    # The first of equal ones, which argmin does not promise.
    axis = (spread * 3 + torch.arange(3, device=spread.device)).amin(1) % 3
    regular = (spread.sum(1) == 2) & (spread.amax(1) == 1)
    side = int(cells.max()) + 3
    lower = owner + 1 - (torch.arange(3, device=axis.device) == axis[:, None]).long()
    key = ((lower[:, 0] * side + lower[:, 1]) * side + lower[:, 2]) * 3 + axis
    del owner, spread, lower
    keys, edge = torch.unique(key[regular], return_inverse=True)
    edge_of_face = torch.full_like(key, -1)
    edge_of_face[regular] = edge
    u, w = ((axis + step)[:, None] % 3 for step in (1, 2))
    first, second = b - a, c - a
    ahead = first.gather(1, u) * second.gather(1, w) > first.gather(1, w) * second.gather(1, u)
    points = keys // 3
    ends = torch.stack([points // (side * side), points // side % side, points % side], 1)
    return ends, keys % 3, edge_of_face, ahead[:, 0]


def flooded(lower: Tensor, axis: Tensor, limits: Limits) -> tuple[Tensor, ...]:
    """What ``lattice.Lattice`` makes of the walls ``lower`` int64 [W, 3] and ``axis`` [W].

    Returns its origin, the number of blocks along each axis, the blocks, their slots and the next blocks of each, and
    of each point the walls, the steps to the surface and whether it is inside.
    """
    flood = _Flood(lower, axis, limits)
    blocks = flood.blocks
    points = flood.walls.view(-1), flood.steps.view(-1), flood.inside
    return blocks.origin, blocks.count, blocks.place, blocks.slot, blocks.next, *points


class _Flood:
    """``walls`` and ``steps`` uint8 and ``label`` int32 [B, 8, 8, 8], where ``_NOBODY`` is no label yet."""

    def __init__(self, lower: Tensor, axis: Tensor, limits: Limits) -> None:
        self._limits = limits
        origin = lower.amin(0) - 2 - _PAD
        count = (lower.amax(0) + 2 + _PAD - origin) // SIDE + 1
        self.blocks = Blocks(origin, count, near_blocks(lower - origin, count))
        self.walls = self.blocks.filled(0, torch.uint8)
        self.steps = self.blocks.filled(limits.reach, torch.uint8)
        for k in range(3):
            self._mark_walls(self.blocks.index(lower[axis == k]), k)
        self._measure()
        self._near = self.steps < limits.reach
        self._label = self._core()
        for level in range(limits.reach - 1, -1, -1):
            self._settle(level)
        self._open_wide_mouths()
        self.inside = self._label.view(-1) != OUTSIDE
        del self._label
        self._agree()

    def _mark_walls(self, ends: Tensor, axis: int) -> None:
        """Walls from ``ends`` along an axis; the corners of the four voxels around each are at the surface."""
        marked = self.blocks.filled(False, torch.bool)
        marked.view(-1)[ends] = True
        self.walls |= marked.byte() << axis
        marked = self.blocks.spread(marked, axis, 1)
        for k in (axis + 1) % 3, (axis + 2) % 3:
            marked = self.blocks.spread(marked, k, -1, 1)
        self.steps.masked_fill_(marked, 0)

    def _measure(self) -> None:
        """``Lattice._measure``."""
        for distance in range(1, self._limits.reach):
            front = self.steps == distance - 1
            reached = torch.zeros_like(front)
            for axis in range(3):
                reached |= self.blocks.spread(front, axis, -1, 1)
            self.steps.masked_fill_(reached & (self.steps > distance), distance)

    def _core(self) -> Tensor:
        """``Lattice._core``: regions within each block first, then what they make up together.

        Nodes are the regions, from 1 on, and after them all places of blocks; those where none is stored are free.
        """
        blocks, far = self.blocks, self.steps == self._limits.reach
        local = _regions_within(far)
        own = torch.arange(POINTS, dtype=torch.int16, device=far.device).view(SIDE, SIDE, SIDE)
        first = (far & (local == own)).view(-1).nonzero().squeeze(1)
        count = len(first)
        region = self.blocks.filled(0, torch.int32).view(-1)
        region[first] = torch.arange(1, count + 1, dtype=torch.int32, device=far.device)
        before = POINTS * torch.arange(len(far), device=far.device)[:, None, None]

        def face(axis: int, side: int) -> Tensor:
            shown = far.select(axis + 1, side)
            return torch.where(shown, region[before + local.select(axis + 1, side) * shown].long(), 0)

        left, right = _free_neighbours(blocks.slot, count + 1)
        for axis in range(3):
            last, begin = face(axis, 7), face(axis, 0)
            following = blocks.next[1, axis]
            beyond = torch.where((following >= 0)[:, None, None], begin[following.clamp_min(0)], 0)
            for one, other in (_links(last, beyond), *self._links_to_free(axis, last, begin, count + 1)):
                left, right = torch.cat([left, one]), torch.cat([right, other])
        joined = components(count + 1 + blocks.slot.numel(), left, right)
        corner = blocks.slot[0, 0, 0]
        node = torch.where(corner < 0, count + 1, region[corner.clamp_min(0) * POINTS].long())
        names = torch.where(joined[: count + 1] == joined[node], OUTSIDE, joined[: count + 1] + 2).int()
        self._deep = self._fresh = len(joined) + 3
        region[first] = names[1:]
        label = self.blocks.filled(_NOBODY, torch.int32)
        for start in range(0, len(far), _BLOCKS_AT_ONCE):
            part = slice(start, start + _BLOCKS_AT_ONCE)
            label[part] = torch.where(far[part], region[before[part, None] + local[part] * far[part]], _NOBODY)
        return label

    def _links_to_free(self, axis: int, last: Tensor, begin: Tensor, first_place: int) -> list[tuple[Tensor, Tensor]]:
        """Regions on the faces of blocks, beyond which no block is stored, and the nodes of the places there."""
        blocks, links = self.blocks, []
        strides = blocks.slot.stride()
        number = (blocks.place * blocks.place.new_tensor(strides)).sum(1)
        for sign, face in ((1, last), (-1, begin)):
            place = blocks.place[:, axis] + sign
            free = (blocks.next[int(sign > 0), axis] < 0) & (place >= 0) & (place < blocks.slot.shape[axis])
            node = first_place + number + sign * strides[axis]
            links.append(_links(torch.where(free[:, None, None], face, 0), node[:, None, None].expand_as(face)))
        return links

    def _settle(self, level: int) -> None:
        """``Lattice._settle``."""
        own = self.steps == level
        for _ in range(_PULLS):
            self._pull_all(own)
        label = self._label.view(-1)
        points = (own.view(-1) & (label == _NOBODY)).nonzero().squeeze(1)
        if len(points) == 0:
            return
        row = torch.arange(len(points), device=points.device)
        lowest, highest = torch.full_like(row, _NOBODY), torch.zeros_like(row)
        left, right = [], []
        for axis in range(3):
            for sign in (-1, 1):
                other = self._open_step(points, axis, sign)
                known = other >= 0
                seen = label[other.clamp_min(0)].long()
                seen_at_all = known & (seen < _NOBODY)
                lowest = torch.where(seen_at_all, torch.minimum(lowest, seen), lowest)
                highest = torch.where(seen_at_all, torch.maximum(highest, seen), highest)
                if sign > 0:
                    place = torch.searchsorted(points, other).clamp_max(len(points) - 1)
                    found = known & (points[place] == other)
                    left.append(row[found])
                    right.append(place[found])
        part = components(len(points), torch.cat(left), torch.cat(right))
        parts = int(part.max()) + 1
        low = row.new_full((parts,), _NOBODY).scatter_reduce_(0, part, lowest, "amin")
        high = row.new_zeros(parts).scatter_reduce_(0, part, highest, "amax")
        name = torch.where(high == 0, self._fresh + row[:parts], low).int()
        self._fresh += parts
        decided = ((high == 0) | (low == high))[part]
        label[points[decided]] = name[part[decided]]
        rest = points[~decided]
        while len(rest):
            rest = self._pull(rest)

    def _pull_all(self, own: Tensor) -> None:
        """Let the ``own`` points bool [B, 8, 8, 8] without a label take the lowest one among their neighbours."""
        best = torch.full_like(self._label, _NOBODY)
        for axis in range(3):
            walled = (self.walls >> axis & 1).bool()
            beyond = self.blocks.shifted(self._label, axis, 1, _NOBODY)
            torch.minimum(best, beyond.masked_fill_(walled, _NOBODY), out=best)
            before = self.blocks.shifted(self._label.masked_fill(walled, _NOBODY), axis, -1, _NOBODY)
            torch.minimum(best, before, out=best)
        self._label = torch.where(own & (self._label == _NOBODY), best, self._label)

    def _pull(self, points: Tensor) -> Tensor:
        """The same for a few ``points`` int64 [N]; returns those that have none yet."""
        label = self._label.view(-1)
        best = label.new_full((len(points),), _NOBODY)
        for axis in range(3):
            for sign in (-1, 1):
                other = self._open_step(points, axis, sign)
                best = torch.where(other >= 0, torch.minimum(best, label[other.clamp_min(0)]), best)
        label[points] = best
        return points[best == _NOBODY]

    def _open_step(self, index: Tensor, axis: int, sign: int) -> Tensor:
        """``Lattice.open_step``."""
        other = self.blocks.step(index, axis, sign)
        return torch.where(self._walled(index if sign > 0 else other.clamp_min(0), axis), -1, other)

    def _walled(self, lower: Tensor, axis: int) -> Tensor:
        return (self.walls.view(-1)[lower] >> axis & 1).bool()

    def _open_wide_mouths(self) -> None:
        """``Lattice._open_wide_mouths``."""
        label = self._label.view(-1)
        a, b, walled = self._borders(label)
        parted = walled | (a == OUTSIDE) | (b == OUTSIDE)
        hollow = components(self._fresh, a[~parted], b[~parted])
        to_outside = torch.minimum(a, b) == OUTSIDE
        region = hollow[torch.where(a == OUTSIDE, b, a)]
        mouth = torch.bincount(region[~walled & to_outside], minlength=self._fresh)
        wall = torch.bincount(hollow[torch.cat([a[walled], b[walled]])], minlength=self._fresh)
        limit = torch.full((self._fresh,), self._limits.leak, dtype=torch.float64, device=label.device)
        limit[hollow[: self._deep]] = self._limits.throat
        wide = (mouth > limit * wall)[hollow]
        for start in range(0, len(label), POINTS * _BLOCKS_AT_ONCE):
            part = label[start : start + POINTS * _BLOCKS_AT_ONCE]
            part.masked_fill_(wide[part.long()], OUTSIDE)

    def _borders(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The values int64 at both ends of the edges between points of different ``value`` [P], and where walls are."""
        found, blocks = [], value.view_as(self.steps)
        for axis in range(3):
            lower = _border(self.blocks, self._near, blocks, axis).view(-1).nonzero().squeeze(1)
            upper = self.blocks.step(lower, axis, 1)
            found.append((value[lower].long(), value[upper].long(), self._walled(lower, axis)))
        a, b, walled = map(torch.cat, zip(*found, strict=True))
        return a, b, walled

    def _agree(self) -> None:
        """``Lattice._agree``."""
        sides, asked = self.inside.view_as(self.steps), self.blocks.filled(False, torch.bool)
        for axis in range(3):
            walled = (self.walls >> axis & 1).bool()
            differs = _border(self.blocks, self._near, sides, axis)
            same = walled & (self.blocks.shifted(sides, axis, 1, False) == sides)
            asked |= self.blocks.spread((differs & ~walled) | same, axis, 1)
        points = asked.view(-1).nonzero().squeeze(1)
        for _ in range(self._limits.rounds):
            changed = []
            odd = ((points >> 6) + (points >> 3) + points) & 1
            for own in (points[odd == 0], points[odd == 1]):
                side = self.inside[own]
                votes, open_votes = torch.zeros_like(own), torch.zeros_like(own)
                for axis in range(3):
                    for sign in (-1, 1):
                        other = self.blocks.step(own, axis, sign)
                        walled = self._walled(own if sign > 0 else other.clamp_min(0), axis)
                        beyond = torch.where(other >= 0, self.inside[other], side)
                        votes += beyond != walled
                        open_votes += (beyond != side) & ~walled
                turned = own[torch.where(side, votes < 3, votes > 3) & (open_votes > 0)]
                self.inside[turned] = ~self.inside[turned]
                changed.append(turned)
            turned = torch.cat(changed)
            if len(turned) == 0:
                break
            around = [self.blocks.step(turned, axis, sign) for axis in range(3) for sign in (-1, 1)]
            points = torch.unique(torch.cat([turned, *around]))
            points = points[points >= 0]


def borders(value: Tensor, steps: Tensor, following: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """``Lattice.borders`` of ``value`` and ``steps`` [P]; ``following``: see ``Ways``."""
    ways = Ways(following)
    values, near = value.view(ways.filled(0, torch.bool).shape), (steps < reach).view(-1, SIDE, SIDE, SIDE)
    lowers, axes = [], []
    for axis in range(3):
        border = _border(ways, near, values, axis)
        onwards = (border & near).view(-1).nonzero().squeeze(1)
        # The others come in the order of their upper ends.
        upper = ways.shifted(border & ~near, axis, -1, False).view(-1).nonzero().squeeze(1)
        for lower in (onwards, ways.step(upper, axis, -1)):
            lowers.append(lower)
            axes.append(torch.full_like(lower, axis))
    return torch.cat(lowers), torch.cat(axes)


def ahead(index: Tensor, axis: Tensor, following: Tensor) -> Tensor:
    """``Lattice.ahead``."""
    ways, result = Ways(following), index
    for k in range(3):
        result = torch.where(axis == k, ways.step(index, k, 1), result)
    return result


def exposed(inside: Tensor, steps: Tensor, following: Tensor, reach: int, least: int) -> Tensor:
    """The enclosed points that have so many neighbours outside, or more; int64 [N], ascending."""
    ways = Ways(following)
    near = (steps < reach).view(-1, SIDE, SIDE, SIDE)
    sides, count = inside.view_as(near), ways.filled(0, torch.uint8)
    for axis in range(3):
        border = _border(ways, near, sides, axis)
        count += border & sides
        count += ways.shifted(border & ~sides, axis, -1, False)
    return (count >= least).view(-1).nonzero().squeeze(1)


def hints(edge_of_face: Tensor, along: Tensor, ends: Tensor, axis: Tensor, inside: Tensor, following: Tensor) -> Tensor:
    """``GridSides.hints`` of its fields ``edge_of_face``, ``ahead``, ``ends`` and ``axis``."""
    upwards = inside[ends].char() - inside[ahead(ends, axis, following)].char()
    hint = torch.where(edge_of_face >= 0, upwards[edge_of_face.clamp_min(0)], 0)
    return torch.where(along, hint, -hint)


def _border(ways: Ways, near: Tensor, value: Tensor, axis: int) -> Tensor:
    """The lower ends of edges along an axis between points of different ``value``, one of them ``near`` the surface.

    All bool [B, 8, 8, 8] but ``value``.
    """
    # No point near the surface is at the end of what is stored.
    is_near = near | ways.shifted(near, axis, 1, False)
    return (ways.shifted(value, axis, 1, 0) != value) & is_near


def _regions_within(far: Tensor) -> Tensor:
    """Connected regions of points ``far`` bool [B, 8, 8, 8] within each block, by their lowest point, int16; else 512.

    The lowest number sweeps to and fro along the axes until it is everywhere.
    """
    own = torch.arange(POINTS, dtype=torch.int16, device=far.device).view(SIDE, SIDE, SIDE)
    nowhere = torch.full((), POINTS, dtype=torch.int16, device=far.device)
    label = torch.where(far, own, nowhere)
    while True:
        before = label.clone()
        for axis in (1, 2, 3):
            for way in (range(1, SIDE), range(SIDE - 2, -1, -1)):
                for place in way:
                    here = label.select(axis, place)
                    beside = label.select(axis, place + (-1 if way.step > 0 else 1))
                    here.copy_(torch.where(here < nowhere, torch.minimum(here, beside), here))
        if torch.equal(before, label):
            return label


def _free_neighbours(slot: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """The neighbours among places without a block (``slot`` -1): nodes int64 [N] each, numbered from ``first`` on."""
    number = first + torch.arange(slot.numel(), device=slot.device).view_as(slot)
    left, right = [], []
    for axis in range(3):
        size = slot.shape[axis] - 1
        both = (slot.narrow(axis, 0, size) < 0) & (slot.narrow(axis, 1, size) < 0)
        left.append(number.narrow(axis, 0, size)[both])
        right.append(number.narrow(axis, 1, size)[both])
    return torch.cat(left), torch.cat(right)


def _links(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of nodes that face each other on faces int64 [B, 8, 8], 0 for none, without most repetitions."""
    met = (one > 0) & (other > 0)
    for axis in (1, 2):
        same = one.narrow(axis, 1, 7) == one.narrow(axis, 0, 7)
        same &= other.narrow(axis, 1, 7) == other.narrow(axis, 0, 7)
        met.narrow(axis, 1, 7).logical_and_(~same)
    return one[met], other[met]
