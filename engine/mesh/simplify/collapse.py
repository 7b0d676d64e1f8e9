# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadric edge collapse on whole arrays, for any torch device: best placement, accumulated error, exact target.

The error of a merged vertex is measured against the planes of all original faces it stands for (Garland and Heckbert,
1997), weighted by area, so it does not creep from round to round. Planes upright on open rims hold these in place.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .collapse_rounds import Edges, Judge, Memory, Proposals, Round, choose

# A rim plane counts as much as a face of so many times the square of the rim edge's length.
RIM_WEIGHT = 10.0

# Among collapses of equal error, here those of flat parts, the shorter edge goes first: part of length^4 as cost.
_LENGTH_WEIGHT = 1e-6

# The best place for a vertex is held back to the middle of its edge with this part of the quadric's trace.
HOLD = 1e-5

# Edges that a round looks at, cheapest first; fewer when little is left to remove.
_SHARE = 0.2


def collapse(
    vertices: np.ndarray, faces: np.ndarray, target_faces: int, device: torch.device | str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until ``target_faces`` remain, or one fewer where only two can go at once.

    vertices [V, 3], faces int [F, 3], wound consistently where they share an edge. Returns float64 vertices, int64
    faces. No edge of three faces, no doubled face, no face turned over or without area is made; open rims keep their
    number and every piece stays, so that more faces may remain than were asked for. Edges of more than two faces are
    left alone.
    """
    points = torch.as_tensor(np.asarray(vertices, dtype=np.float64), device=device)
    corners = torch.as_tensor(np.asarray(faces, dtype=np.int64), device=device)
    if len(corners) > max(target_faces, 0):
        middle = 0.5 * (points.amin(0) + points.amax(0))
        points, corners = _reduce(points - middle, corners, target_faces)
        points = points + middle
    used, corners = torch.unique(corners, return_inverse=True)
    return points[used].cpu().numpy(), corners.reshape(-1, 3).cpu().numpy()


def _reduce(points: Tensor, faces: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Run rounds until the target is reached or nothing can go any more."""
    count = len(points)
    quadrics = vertex_quadrics(points, faces, Edges.of(faces, count))
    memory = Memory(count, points.device)
    at_ends = False
    while len(faces) > target:
        edges = Edges.of(faces, count)
        proposals = merge_at_ends(points, quadrics, edges) if at_ends else merge_at_best(points, quadrics, edges)
        done = run_round(points, faces, edges, proposals, memory, target)
        if len(done.chosen.drop):
            points, quadrics, faces = carry_out(done.chosen, points, quadrics, faces)
        elif done.tried_nothing:
            if at_ends:
                break
            # Where the best place turns a face over, an end of the edge may not.
            at_ends, memory = True, Memory(count, points.device)
    return points, faces


def run_round(
    points: Tensor,
    faces: Tensor,
    edges: Edges,
    proposals: Proposals,
    memory: Memory,
    target: int,
    judge: Judge | None = None,
) -> Round:
    """Choose the collapses of one round on the way to ``target`` faces, leaving out what ``memory`` refuses."""
    cost = torch.where(memory.refuses(proposals), torch.inf, proposals.cost)
    proposals = Proposals(proposals.drop, proposals.keep, proposals.position, cost, proposals.edge)
    surplus = len(faces) - target
    # Near the target only the cheapest edges are looked at, as one collapse after the other would.
    share = min(_SHARE, max(4.0 * surplus / len(faces), 0.02))
    done = choose(points, faces, edges, proposals, share, surplus, judge)
    memory.update(done.refused, done.changed)
    return done


def carry_out(chosen: Proposals, points: Tensor, quadrics: Tensor, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Merge the vertices of the chosen collapses; returns points, quadrics and the faces that remain."""
    points, quadrics = points.clone(), quadrics.clone()
    points[chosen.keep] = chosen.position
    quadrics[chosen.keep] += quadrics[chosen.drop]
    target = torch.arange(len(points), device=points.device)
    target[chosen.drop] = chosen.keep
    faces = target[faces]
    return points, quadrics, faces[(faces != faces.roll(1, dims=1)).all(1)]


def vertex_quadrics(points: Tensor, faces: Tensor, edges: Edges) -> Tensor:
    """Sum the quadrics of the planes at each vertex, [V, 10]: xx, xy, xz, yy, yz, zz of A, b, c (x'Ax + 2b'x + c)."""
    corners = points[faces]
    vector = 0.5 * torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = vector.norm(dim=1)
    normal = vector / area.clamp(min=1e-300)[:, None]
    rim = edges.first[edges.count == 1]
    tail, head = faces.reshape(-1)[rim], faces.roll(-1, dims=1).reshape(-1)[rim]
    along = points[head] - points[tail]
    upright = torch.nn.functional.normalize(torch.linalg.cross(along, normal[rim // 3]), dim=1, eps=1e-300)
    planes = torch.cat(
        [
            _plane_quadrics(normal, corners[:, 0], area),
            _plane_quadrics(upright, points[tail], RIM_WEIGHT * along.square().sum(1)),
        ]
    )
    # Summed vertex by vertex in a fixed order, which adding from many threads at once would not be.
    vertex, order = torch.sort(torch.cat([faces.reshape(-1), tail, head]), stable=True)
    plane = torch.arange(len(faces), device=points.device).repeat_interleave(3)
    of_rim = torch.arange(len(faces), len(planes), device=points.device)
    planes = planes.index_select(0, torch.cat([plane, of_rim, of_rim])[order])
    lengths = torch.bincount(vertex, minlength=len(points))
    return torch.segment_reduce(planes, "sum", lengths=lengths, axis=0, unsafe=True, initial=0.0)


def _plane_quadrics(normal: Tensor, point: Tensor, weight: Tensor) -> Tensor:
    """Return the quadrics [N, 10] of planes through points [N, 3] with unit normals [N, 3]."""
    x, y, z = normal.unbind(1)
    d = -(normal * point).sum(1)
    return weight[:, None] * torch.stack([x * x, x * y, x * z, y * y, y * z, z * z, x * d, y * d, z * d, d * d], 1)


def quadric_error(quadrics: Tensor, points: Tensor) -> Tensor:
    """Evaluate quadrics [N, 10] at points [N, 3]; never below zero."""
    xx, xy, xz, yy, yz, zz, bx, by, bz, c = quadrics.unbind(1)
    x, y, z = points.unbind(1)
    quadratic = x * (x * xx + 2 * (y * xy + z * xz + bx)) + y * (y * yy + 2 * (z * yz + by)) + z * (z * zz + 2 * bz)
    return (quadratic + c).clamp(min=0)


def merge_at_best(points: Tensor, quadrics: Tensor, edges: Edges) -> Proposals:
    """Propose every edge once, its vertex where the summed quadric is smallest; on a rim vertex where one end is."""
    low, high = edges.low, edges.high
    a, b = points[low], points[high]
    summed = quadrics.index_select(0, low) + quadrics.index_select(0, high)
    length = (b - a).square().sum(1)
    place = _best_place(summed, 0.5 * (a + b), length)
    rim = _at_rim(edges, len(points))
    low_only, high_only = rim[low] & ~rim[high], rim[high] & ~rim[low]
    place = torch.where(low_only[:, None], a, torch.where(high_only[:, None], b, place))
    cost = quadric_error(summed, place) + _LENGTH_WEIGHT * length.square()
    cost = torch.where(_joins_rims(edges, rim) | _crowded(edges, len(points)), torch.inf, cost)
    return Proposals(high, low, place, cost, torch.arange(len(low), device=points.device))


def merge_at_ends(points: Tensor, quadrics: Tensor, edges: Edges) -> Proposals:
    """Propose every edge twice: the first end moves onto the second, and the other way round."""
    summed = quadrics.index_select(0, edges.low) + quadrics.index_select(0, edges.high)
    rim = _at_rim(edges, len(points))
    never = _joins_rims(edges, rim) | _crowded(edges, len(points))
    tie = _LENGTH_WEIGHT * (points[edges.high] - points[edges.low]).square().sum(1).square()
    cost = []
    for drop, keep in ((edges.low, edges.high), (edges.high, edges.low)):
        error = quadric_error(summed, points[keep]) + tie
        cost.append(torch.where(never | (rim[drop] & ~rim[keep]), torch.inf, error))
    number = torch.arange(len(summed), device=points.device)
    drop, keep = torch.cat([edges.low, edges.high]), torch.cat([edges.high, edges.low])
    return Proposals(drop, keep, points[keep], torch.cat(cost), torch.cat([number, number]))


def _best_place(quadrics: Tensor, middle: Tensor, squared_length: Tensor) -> Tensor:
    """Return where the quadrics are smallest, held to ``middle`` where they do not say; never further than the length.

    Solves (A + h I) (x - middle) = -(A middle + b) by the adjugate, h = ``HOLD`` * trace(A).
    """
    xx, xy, xz, yy, yz, zz, bx, by, bz, _ = quadrics.unbind(1)
    x, y, z = middle.unbind(1)
    gx, gy, gz = xx * x + xy * y + xz * z + bx, xy * x + yy * y + yz * z + by, xz * x + yz * y + zz * z + bz
    hold = HOLD * (xx + yy + zz) + 1e-300
    xx, yy, zz = xx + hold, yy + hold, zz + hold
    cxx, cxy, cxz = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    cyy, cyz, czz = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    factor = -1.0 / (xx * cxx + xy * cxy + xz * cxz).clamp(min=1e-300)
    step = torch.stack(
        [cxx * gx + cxy * gy + cxz * gz, cxy * gx + cyy * gy + cyz * gz, cxz * gx + cyz * gy + czz * gz], 1
    )
    step = step * factor[:, None]
    scale = (squared_length / step.square().sum(1).clamp(min=1e-300)).sqrt().clamp(max=1.0)
    return middle + step * scale[:, None]


def _at_rim(edges: Edges, count: int) -> Tensor:
    """Tell which vertices lie on an open rim, bool [V]."""
    rim = torch.zeros(count, dtype=torch.bool, device=edges.low.device)
    open_edges = edges.count == 1
    rim[edges.low[open_edges]] = True
    rim[edges.high[open_edges]] = True
    return rim


def _joins_rims(edges: Edges, rim: Tensor) -> Tensor:
    """Tell which edges run through the surface from rim to rim, bool [E]: their collapse would pinch it."""
    return (edges.count != 1) & rim[edges.low] & rim[edges.high]


def _crowded(edges: Edges, count: int) -> Tensor:
    """Tell which edges end at an edge of more than two faces, bool [E]."""
    crowded = torch.zeros(count, dtype=torch.bool, device=edges.low.device)
    crowded[edges.low[edges.count > 2]] = True
    crowded[edges.high[edges.count > 2]] = True
    return crowded[edges.low] | crowded[edges.high]
