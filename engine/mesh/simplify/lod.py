# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of detail that share one UV layout and one set of maps.

A level only uses vertices, UVs and normals of the full mesh: each collapse moves a vertex onto a neighbour. A vertex
on a chart border (or an open rim) may move only along it, on both of its sides at once, so that charts stay closed to
each other in space; where borders meet or end nothing moves. In the UV plane no face may turn over, and a border may
leave the chart by no more than half the gap between charts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import Cancelled
from ..unwrap.flatten import double_areas
from .collapse import merge_at_ends, run_round, vertex_quadrics
from .collapse_rounds import Edges, Memory, Proposals, Stars

# Texels by which the border of a chart may move outward, half of the gap that the layout keeps, and inward.
_OUTWARD_TEXELS = 2.0
_INWARD_TEXELS = 4.0

# A face must keep this height in the UV plane, as a part of its longest side there.
_SMALLEST_UV_HEIGHT = 0.01


@dataclass(frozen=True)
class Lod:
    """A level: vertices [V, 3], faces [F, 3], uv [F, 3, 2] and normals [F, 3, 3] per corner, typed as the full mesh."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray


def lod_chain(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    normals: np.ndarray,
    shares: Sequence[float],
    texture_size: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Lod]:
    """Make one level for each of ``shares`` (of the faces, each smaller than the one before) of an unwrapped mesh.

    vertices [V, 3]; faces int [F, 3], manifold and wound consistently; uv [F, 3, 2] in the unit square and unit normals
    [F, 3, 3] per corner; ``texture_size``: texels along a side. A level has ``round(share * F)`` faces or one fewer;
    more where nothing else may be collapsed. Raises Cancelled.
    """
    levels = []
    mesh = _Mesh(vertices, faces, uv, texture_size)
    shading = _Shading(mesh.wedge_of_corner, normals)
    for share in shares:
        mesh.reduce(round(share * len(faces)), cancelled)
        wedges = mesh.wedges.numpy()
        corners = mesh.vertex_of_wedge.numpy()[wedges]
        used, compact = np.unique(corners, return_inverse=True)
        chosen = vertices[used], compact.reshape(-1, 3).astype(faces.dtype)
        levels.append(Lod(*chosen, mesh.uv_of_wedge[wedges], shading.at(wedges, vertices[corners])))
    return levels


class _Mesh:
    """A mesh on its way down: faces int64 [F, 3] of wedges. A wedge is a vertex as one chart sees it: one UV."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, texture_size: int) -> None:
        key = np.concatenate([faces.reshape(-1, 1).astype(np.float64), uv.reshape(-1, 2).astype(np.float64)], axis=1)
        _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
        self.wedge_of_corner = inverse.reshape(-1, 3)
        self.uv_of_wedge = uv.reshape(-1, 2)[first]
        self.vertex_of_wedge = torch.as_tensor(faces.reshape(-1)[first].astype(np.int64))
        self.wedges = torch.as_tensor(self.wedge_of_corner)
        self._points = torch.as_tensor(np.asarray(vertices, dtype=np.float64))
        self._points = self._points - 0.5 * (self._points.amin(0) + self._points.amax(0))
        self._texels = torch.as_tensor(self.uv_of_wedge.astype(np.float64)) * texture_size
        # How far the border at a wedge has moved out of the chart and into it, texels.
        self._moved = torch.zeros(2, len(first), dtype=torch.float64)
        corners = self.vertex_of_wedge[self.wedges]
        self._quadrics = vertex_quadrics(self._points, corners, Edges.of(corners, len(vertices)))
        self._memory = Memory(len(vertices), corners.device)

    def reduce(self, target: int, cancelled: Callable[[], bool]) -> None:
        """Collapse edges until ``target`` faces remain or nothing more can go."""
        while len(self.wedges) > target:
            if cancelled():
                raise Cancelled
            corners = self.vertex_of_wedge[self.wedges]
            edges = Edges.of(corners, len(self._points))
            borders = _Borders(edges, self.wedges, self.vertex_of_wedge, len(self._points))
            proposals = borders.restrict(merge_at_ends(self._points, self._quadrics, edges))

            judge = functools.partial(self._judge, borders)
            done = run_round(self._points, corners, edges, proposals, self._memory, target, judge)
            if len(done.chosen.drop):
                self._carry_out(done.chosen, corners)
            elif done.tried_nothing:
                return

    def _carry_out(self, chosen: Proposals, corners: Tensor) -> None:
        keep = torch.full((len(self._points),), -1, dtype=torch.int64)
        keep[chosen.drop] = chosen.keep
        onto = torch.arange(len(self.vertex_of_wedge))
        for corner in range(3):
            for other in ((corner + 1) % 3, (corner + 2) % 3):
                row = (keep[corners[:, corner]] == corners[:, other]).nonzero().squeeze(1)
                onto[self.wedges[row, corner]] = self.wedges[row, other]
        self._quadrics[chosen.keep] += self._quadrics[chosen.drop]
        self.wedges = onto[self.wedges]
        corners = self.vertex_of_wedge[self.wedges]
        self.wedges = self.wedges[(corners != corners.roll(1, dims=1)).all(1)]

    def _judge(self, borders: _Borders, some: Proposals, stars: Stars, good: Tensor) -> Tensor:
        """Tell which ``good`` collapses keep faces as they lie in the UV plane and borders near their charts."""
        wedges = self.wedges[stars.face]
        gone = stars.vanishes
        onto = torch.arange(len(self.vertex_of_wedge))
        onto[wedges[gone][stars.drops[gone]]] = wedges[gone][stars.keeps[gone]]
        staying = (~gone).nonzero().squeeze(1)
        before, after = self._texels[wedges[staying]], self._texels[onto[wedges[staying]]]
        old, new = double_areas(before), double_areas(after)
        longest = (after - after.roll(1, dims=1)).square().sum(2).amax(1)
        smallest = torch.minimum(_SMALLEST_UV_HEIGHT * longest, old.abs())
        bad = (new * torch.sign(old) < smallest) & (old != 0)
        good = good & (torch.bincount(stars.region[staying][bad], minlength=len(some.drop)) == 0)
        return good & self._keeps_borders(borders, some, stars, wedges, good)

    def _keeps_borders(self, borders: _Borders, some: Proposals, stars: Stars, wedges: Tensor, good: Tensor) -> Tensor:
        """Tell which collapses leave chart borders near where they were, and note how far the ``good`` ones move them.

        wedges int64 [S, 3]: those of the faces of ``stars``.
        """
        row = (stars.vanishes & borders.on_line[some.drop][stars.region]).nonzero().squeeze(1)
        region = stars.region[row]
        drop_corner, keep_corner = stars.drops[row].int().argmax(1), stars.keeps[row].int().argmax(1)
        drop = wedges[row, drop_corner]
        keep = wedges[row, keep_corner]
        last = borders.other_end(drop, some.edge[region], some.drop[region])
        a, b, c = self._texels[keep], self._texels[drop], self._texels[last]
        distance = _distance_to_segment(b, a, c)
        # The chart lies to the left of its border where its faces are wound counter-clockwise in the UV plane.
        forward = (drop_corner + 1) % 3 == keep_corner
        side = torch.where(forward, 1.0, -1.0) * torch.sign(double_areas(self._texels[wedges[row]]))
        bend = _cross(b - c, a - b) * side
        moved = torch.maximum(self._moved[:, drop], self._moved[:, keep])
        moved = moved + torch.stack([torch.where(bend < 0, distance, 0.0), torch.where(bend < 0, 0.0, distance)])
        far = (moved[0] > _OUTWARD_TEXELS) | (moved[1] > _INWARD_TEXELS)
        near = torch.bincount(region[far], minlength=len(some.drop)) == 0
        noted = (near & good)[region]
        for end in (keep[noted], last[noted]):
            for side in range(2):
                self._moved[side].scatter_reduce_(0, end, moved[side, noted], "amax")
        return near


class _Borders:
    """The edges at which charts end, and where their vertices may go."""

    def __init__(self, edges: Edges, wedges: Tensor, vertex_of_wedge: Tensor, count: int) -> None:
        ends = wedges.reshape(-1), wedges.roll(-1, dims=1).reshape(-1)
        # The wedges at the lower and the higher vertex of each edge, as the faces on both sides have them.
        seen = []
        for half in (edges.first, edges.second.clamp(min=0)):
            tail, head = ends[0][half], ends[1][half]
            straight = vertex_of_wedge[tail] == edges.low
            seen.append((torch.where(straight, tail, head), torch.where(straight, head, tail)))
        (self._low_a, self._high_a), (self._low_b, self._high_b) = seen
        self._edges = edges
        self.line = (edges.count != 2) | (self._low_a != self._low_b) | (self._high_a != self._high_b)
        line = self.line.nonzero().squeeze(1)
        at = torch.cat([edges.low[line], edges.high[line]])
        self.lines = torch.bincount(at, minlength=count)
        self._sum = torch.zeros(count, dtype=torch.int64).index_add_(0, at, torch.cat([line, line]))
        used = torch.zeros(len(vertex_of_wedge), dtype=torch.bool)
        used[wedges.reshape(-1)] = True
        self.wedges = torch.bincount(vertex_of_wedge[used], minlength=count)
        self.on_line = self.lines == 2

    def restrict(self, proposals: Proposals) -> Proposals:
        """Forbid what would tear a border: a vertex on one may only follow it, and one where several meet stays."""
        drop = proposals.drop
        inside = (self.lines[drop] == 0) & (self.wedges[drop] == 1)
        # A vertex on a rim has one wedge, one on a seam two: one on either side.
        along = self.on_line[drop] & self.line[proposals.edge]
        along &= self.wedges[drop] == self._edges.count[proposals.edge]
        cost = torch.where(inside | along, proposals.cost, torch.inf)
        return Proposals(drop, proposals.keep, proposals.position, cost, proposals.edge)

    def other_end(self, wedge: Tensor, edge: Tensor, vertex: Tensor) -> Tensor:
        """Return the wedge that the border leads to from ``wedge`` (of a vertex with two lines) away from ``edge``."""
        other = self._sum[vertex] - edge
        at_low = self._edges.low[other] == vertex
        here_a = torch.where(at_low, self._low_a[other], self._high_a[other])
        there_a = torch.where(at_low, self._high_a[other], self._low_a[other])
        there_b = torch.where(at_low, self._high_b[other], self._low_b[other])
        return torch.where(here_a == wedge, there_a, there_b)


class _Shading:
    """The normals of the full mesh, by wedge."""

    def __init__(self, wedge_of_corner: np.ndarray, normals: np.ndarray) -> None:
        wedge = wedge_of_corner.reshape(-1)
        order = np.argsort(wedge, kind="stable")
        self._normals = normals.reshape(-1, 3)[order]
        self._start = np.searchsorted(wedge[order], np.arange(wedge.max(initial=-1) + 2))

    def at(self, wedges: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """For corners [F, 3] of a level at positions [F, 3, 3], return the normal of their wedge nearest the face's."""
        vector = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        wedge, facing = wedges.reshape(-1), np.repeat(vector, 3, axis=0)
        row, last = self._start[wedge], self._start[wedge + 1]
        best, worth = row, np.einsum("ni,ni->n", self._normals[row], facing)
        more = np.flatnonzero(row + 1 < last)
        while len(more):
            row = row + 1
            tried = np.einsum("ni,ni->n", self._normals[row[more]], facing[more])
            better = more[tried > worth[more]]
            worth[more] = np.maximum(worth[more], tried)
            best = best.copy()
            best[better] = row[better]
            more = more[row[more] + 1 < last[more]]
        return self._normals[best].reshape(-1, 3, 3)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _distance_to_segment(point: Tensor, start: Tensor, end: Tensor) -> Tensor:
    along = end - start
    part = ((point - start) * along).sum(1) / along.square().sum(1).clamp(min=1e-300)
    return (point - start - part.clamp(0, 1)[:, None] * along).norm(dim=1)
