# SPDX-License-Identifier: GPL-3.0-or-later
"""Edge collapses in rounds: many at once that do not touch each other, none of which harms the surface.

A collapse merges the vertex ``drop`` into the vertex ``keep`` and changes the faces around both, its star. Collapses of
one round have disjoint stars, so that what is found out about each alone stays true when all are carried out. Who goes
first is decided by rank (cost, then number) with integer minima, which no order of execution can change: the result is
the same for any number of threads and on any device that computes the same costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Searches for further collapses among the edges that the earlier ones of a round left free.
_SEARCHES = 4

# The normal of a face may turn by at most the angle of this cosine in one collapse.
SMALLEST_TURN = 0.2

# A face must not become a sliver: 4 sqrt(3) area / (sum of its squared sides), 1 for an equilateral triangle.
SMALLEST_SHAPE = 0.02


@dataclass(frozen=True)
class Edges:
    """Undirected edges of faces [F, 3] (geometry vertices below ``vertex_count``).

    low, high: int64 [E], the vertices, smaller first. count: int64 [E] faces at the edge. first, second: int64 [E]
    half-edges ``3 * face + corner`` at the edge (second is -1 where there is none; further ones are not listed).
    """

    low: Tensor
    high: Tensor
    count: Tensor
    first: Tensor
    second: Tensor

    @staticmethod
    def of(faces: Tensor, vertex_count: int) -> Edges:
        tail, head = faces.reshape(-1), faces.roll(-1, dims=1).reshape(-1)
        key, half = torch.sort(torch.minimum(tail, head) * vertex_count + torch.maximum(tail, head), stable=True)
        fresh = torch.ones_like(key, dtype=torch.bool)
        fresh[1:] = key[1:] != key[:-1]
        start = fresh.nonzero().squeeze(1)
        count = torch.diff(start, append=start.new_tensor([len(key)]))
        following = half[(start + 1).clamp(max=len(half) - 1)]
        key = key[start]
        return Edges(
            key // vertex_count,
            key % vertex_count,
            count,
            half[start],
            torch.where(count > 1, following, -1),
        )


@dataclass(frozen=True)
class Proposals:
    """Collapses that may be carried out: vertices drop and keep int64 [N], position [N, 3] of the merged vertex,
    cost [N] (infinite: not allowed), edge int64 [N]."""

    drop: Tensor
    keep: Tensor
    position: Tensor
    cost: Tensor
    edge: Tensor

    def rows(self, index: Tensor) -> Proposals:
        return Proposals(*(getattr(self, name)[index] for name in ("drop", "keep", "position", "cost", "edge")))


@dataclass(frozen=True)
class Stars:
    """The faces around some collapses: face int64 [S], and of which collapse, region int64 [S].

    corners int64 [S, 3]: their vertices. drops, keeps: bool [S, 3], corners at the vertex to drop and to keep.
    """

    face: Tensor
    region: Tensor
    corners: Tensor
    drops: Tensor
    keeps: Tensor

    @property
    def vanishes(self) -> Tensor:
        """The faces at the collapsed edge, bool [S]."""
        return self.drops.any(1) & self.keeps.any(1)


# Judges collapses by their stars, of those that satisfy what every collapse must (bool [collapses]); bool [collapses].
Judge = Callable[[Proposals, Stars, Tensor], Tensor]


class Memory:
    """Collapses that were found to do harm, so that they are not tried again before something near them changes."""

    def __init__(self, vertex_count: int, device: torch.device) -> None:
        self._count = vertex_count
        self._refused = torch.zeros(0, dtype=torch.int64, device=device)

    def refuses(self, proposals: Proposals) -> Tensor:
        """Tell which proposals [N] were refused before, bool [N]."""
        if len(self._refused) == 0:
            return torch.zeros_like(proposals.drop, dtype=torch.bool)
        key = self._key(proposals)
        place = torch.searchsorted(self._refused, key).clamp(max=len(self._refused) - 1)
        return self._refused[place] == key

    def update(self, refused: list[Proposals], changed: Tensor) -> None:
        """Remember further refusals and forget those at a vertex where ``changed`` bool [V] holds."""
        keys = torch.cat([self._refused, *(self._key(some) for some in refused)])
        still = ~(changed[keys // self._count] | changed[keys % self._count])
        self._refused = torch.unique(keys[still])

    def _key(self, proposals: Proposals) -> Tensor:
        return proposals.drop * self._count + proposals.keep


@dataclass(frozen=True)
class Round:
    """Collapses to carry out together, refused ones, and the vertices whose faces change, bool [V]."""

    chosen: Proposals
    refused: list[Proposals]
    changed: Tensor

    @property
    def tried_nothing(self) -> bool:
        """Whether there was no collapse left to try."""
        return len(self.chosen.drop) == 0 and not any(len(some.drop) for some in self.refused)


def choose(
    positions: Tensor,
    faces: Tensor,
    edges: Edges,
    proposals: Proposals,
    share: float,
    surplus: int,
    judge: Judge | None,
) -> Round:
    """Choose collapses with disjoint stars among the cheapest ``share`` of ``proposals`` that have a finite cost.

    positions [V, 3], faces int64 [F, 3]. No more are chosen than it takes to remove ``surplus`` faces (the last one
    may remove one more). None makes an edge of three faces, a doubled face, a face turned over or a sliver, closes a
    rim or makes a piece vanish, and where ``judge`` is given it must agree.
    """
    count = len(positions)
    allowed = torch.isfinite(proposals.cost).nonzero().squeeze(1)
    order = torch.sort(proposals.cost[allowed], stable=True).indices[: max(int(share * len(allowed)), 1)]
    ranked = proposals.rows(allowed[order])
    removes = edges.count[ranked.edge]
    free = torch.ones(len(ranked.drop), dtype=torch.bool, device=faces.device)
    changed = torch.zeros(count, dtype=torch.bool, device=faces.device)
    chosen, refused = [], []
    for _ in range(_SEARCHES):
        free &= ~(changed[ranked.drop] | changed[ranked.keep])
        first = _first_in_their_stars(ranked, free.nonzero().squeeze(1), faces, count)
        before = torch.cumsum(removes[first], 0) - removes[first]
        first = first[before < surplus]
        if len(first) == 0:
            break
        some = ranked.rows(first)
        stars = _stars_of(some, faces, count)
        good = _keeps_topology(some, stars, removes[first], count) & _keeps_normals(some, stars, positions)
        if judge is not None:
            good = judge(some, stars, good)
        free[first] = False
        refused.append(some.rows((~good).nonzero().squeeze(1)))
        chosen.append(first[good])
        changed[stars.corners[good[stars.region]].reshape(-1)] = True
        surplus -= int(removes[first[good]].sum())
    return Round(ranked.rows(torch.cat(chosen) if chosen else allowed[:0]), refused, changed)


def _first_in_their_stars(ranked: Proposals, tried: Tensor, faces: Tensor, count: int) -> Tensor:
    """Return those of the ``tried`` rows of ``ranked`` that come first at all faces of their star, ascending."""
    last = len(ranked.drop)
    at_vertex = torch.full((count,), last, dtype=torch.int64, device=faces.device)
    at_vertex.scatter_reduce_(0, ranked.drop[tried], tried, "amin")
    at_vertex.scatter_reduce_(0, ranked.keep[tried], tried, "amin")
    at_corner = at_vertex[faces]
    at_face = torch.minimum(torch.minimum(at_corner[:, 0], at_corner[:, 1]), at_corner[:, 2])
    around = torch.full_like(at_vertex, last)
    around.scatter_reduce_(0, faces.reshape(-1), at_face.repeat_interleave(3), "amin")
    return tried[(around[ranked.drop[tried]] == tried) & (around[ranked.keep[tried]] == tried)]


def _stars_of(some: Proposals, faces: Tensor, count: int) -> Stars:
    """Gather the stars of collapses that do not touch each other."""
    owner = torch.full((count,), -1, dtype=torch.int64, device=faces.device)
    number = torch.arange(len(some.drop), device=faces.device)
    owner[some.drop] = number
    owner[some.keep] = number
    owners = owner[faces]
    region = torch.maximum(torch.maximum(owners[:, 0], owners[:, 1]), owners[:, 2])
    face = (region >= 0).nonzero().squeeze(1)
    region = region[face]
    corners = faces[face]
    return Stars(face, region, corners, corners == some.drop[region, None], corners == some.keep[region, None])


def _keeps_topology(some: Proposals, stars: Stars, removes: Tensor, count: int) -> Tensor:
    """The link condition, bool [collapses]: both ends share only the vertices opposite to the edge; faces remain.

    On top of it, no collapse joins two faces into a doubled one (as it would on a tetrahedron).
    """
    regions = len(some.drop)
    other = ~(stars.drops | stars.keeps)
    sees_drop = stars.drops.any(1, keepdim=True).expand(-1, 3)[other]
    sees_keep = stars.keeps.any(1, keepdim=True).expand(-1, 3)[other]
    key = (stars.region[:, None] * count + stars.corners)[other]
    link, vertex = torch.unique(key, return_inverse=True)
    region = link // count
    near = torch.zeros(2, len(link), dtype=torch.bool, device=link.device)
    near[0, vertex[sees_drop]] = True
    near[1, vertex[sees_keep]] = True
    shared = torch.bincount(region[near.all(0)], minlength=regions)
    link_size = torch.bincount(region, minlength=regions)
    remaining = torch.bincount(stars.region[~stars.vanishes], minlength=regions)
    return (shared == removes) & (removes <= 2) & (remaining > 0) & ((remaining < 2) | (link_size > 2))


def _keeps_normals(some: Proposals, stars: Stars, positions: Tensor) -> Tensor:
    """Tell which collapses turn no face over and make no sliver, bool [collapses]."""
    staying = (~stars.vanishes).nonzero().squeeze(1)
    region, corners = stars.region[staying], stars.corners[staying]
    before = positions[corners]
    moved = (stars.drops | stars.keeps)[staying]
    after = torch.where(moved[..., None], some.position[region][:, None], before)
    old, new = _area_vectors(before), _area_vectors(after)
    old_size, new_size = old.norm(dim=1), new.norm(dim=1)
    turned = (old * new).sum(1) <= SMALLEST_TURN * old_size * new_size
    shape_before, shape_after = old_size / _squared_sides(before), new_size / _squared_sides(after)
    sliver = (shape_after < SMALLEST_SHAPE / (2 * 3**0.5)) & (shape_after < shape_before)
    # Compared the other way round, so that what is not a number counts as harm.
    fine = ~(turned | sliver) & (new_size > 0)
    return torch.bincount(region[~fine], minlength=len(some.drop)) == 0


def _area_vectors(corners: Tensor) -> Tensor:
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _squared_sides(corners: Tensor) -> Tensor:
    return (corners - corners.roll(1, dims=1)).square().sum((1, 2)).clamp(min=1e-300)
