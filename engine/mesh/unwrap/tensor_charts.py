# SPDX-License-Identifier: GPL-3.0-or-later
"""``charts.find_charts`` in torch, for graphics cards: clusters merge all at once, in rounds, as on the processor.

What merges is decided by integers, and where the processor searches shortest ways by a queue, here all faces look at
their neighbours until no way becomes shorter: distances and charts depend on no order of execution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums, greatest, least, marked, shortened
from ..surface.tensor_topology import components, ends_of
from ..surface.tensor_vectors import dot, face_vectors, lengths, unit
from .charts import (
    CORE,
    COST_STEPS_PER_DOUBLING,
    CREASE,
    DUST_LEANS,
    DUST_TEXELS,
    LARGE,
    MOST_ROUNDS,
    NORMAL_ROUNDS,
    SHAPE_WEIGHT,
    STRAIGHTENINGS,
    STRIP_CONE,
    STRIP_SHAPE,
    STRIP_TEXELS,
    WORST_SHAPE,
)

_LAST = torch.iinfo(torch.int64).max


@dataclass
class _Clusters:
    """label int64 [F]; size float64 [C, 5]: each cluster's area, perimeter and area-weighted normal.

    Edges between them: clusters a < b int64 [E] and length float64 [E].
    """

    label: Tensor
    size: Tensor
    a: Tensor
    b: Tensor
    length: Tensor

    def merge(self, into: Tensor) -> None:
        """``charts._Clusters.merge``."""
        named = marked(int(into.max()) + 1, into)
        fresh = (named.cumsum(0) - 1)[into]
        count = int(fresh.max()) + 1
        a, b = fresh[self.a], fresh[self.b]
        inner = a == b
        self.size = Sums(fresh, count)(self.size)
        self.size[:, 1] -= 2.0 * Sums(a[inner], count)(self.length[inner])
        self.label = fresh[self.label]
        outer = ~inner
        low, high = torch.minimum(a, b)[outer], torch.maximum(a, b)[outer]
        key, edge = torch.unique(low * count + high, return_inverse=True)
        self.length = Sums(edge, len(key))(self.length[outer])
        self.a, self.b = key // count, key % count

    @property
    def area(self) -> Tensor:
        return self.size[:, 0]

    @property
    def perimeter(self) -> Tensor:
        return self.size[:, 1]

    @property
    def normal(self) -> Tensor:
        return self.size[:, 2:]


def find_charts(
    vertices: Tensor, faces: Tensor, left: Tensor, right: Tensor, texel: float, cone: float, noisy: bool
) -> Tensor:
    """``charts.find_charts`` of tensors."""
    area_vector = face_vectors(vertices, faces)
    area = lengths(area_vector)
    tail, head = ends_of(faces)
    way = vertices[head] - vertices[tail]
    side = lengths(way)
    f, g = left // 3, right // 3
    beside = neighbours(len(faces), left, right)
    facing = _calm_normals(area_vector, area, beside) if noisy else unit(area_vector)
    perimeter = side.view(-1, 3).sum(1)
    size = torch.cat([area.clamp_min(1e-30)[:, None], perimeter[:, None], facing * area[:, None]], 1)

    def single_faces() -> _Clusters:
        number = torch.arange(len(faces), device=faces.device)
        return _Clusters(number, size, torch.minimum(f, g), torch.maximum(f, g), side[left])

    clusters = single_faces()
    _grow(clusters, facing, cone, texel, False)
    label = clusters.label
    for _ in range(STRAIGHTENINGS):
        label = _straighten(label, vertices[faces].mean(1), facing, beside, left, right)
    clusters = single_faces()
    clusters.merge(label)
    _grow(clusters, facing, cone + DUST_LEANS, texel, True)
    return clusters.label


def neighbours(count: int, left: Tensor, right: Tensor) -> Tensor:
    """The face across each edge of ``count`` faces, int64 [F, 3]; the face itself where there is none."""
    beside = torch.arange(count, device=left.device).repeat_interleave(3)
    beside[left], beside[right] = right // 3, left // 3
    return beside.view(-1, 3)


def _straighten(label: Tensor, middle: Tensor, facing: Tensor, beside: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``charts._straighten``; ``beside`` int64 [F, 3]: see ``neighbours``."""
    count, f, g = int(label.max()) + 1, left // 3, right // 3
    bend = dot(facing[f], facing[g]).clamp(-1.0, 1.0).acos()
    between = middle[f] - middle[g]
    long = lengths(between) * (1.0 + CREASE * bend**2) + 1e-12
    way = long.new_full((3 * len(label),), torch.inf)
    way[left] = way[right] = long
    way = way.view(-1, 3)
    inside = label[beside] == label[:, None]
    border = ~inside.all(1)
    far = long.new_full((len(label),), torch.inf)
    depth, _ = shortest_ways(beside, torch.where(inside, way, torch.inf), torch.where(border, 0.0, far))
    depth = torch.where(depth.isfinite(), depth, 0.0)
    lead = CORE * greatest(depth, label, count)[label]
    _, origin = shortest_ways(beside, way, torch.where(depth >= lead, lead.max() - lead, far))
    grown = label[origin]
    same = grown[f] == grown[g]
    return components(len(label), f[same], g[same])


def shortest_ways(beside: Tensor, way: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths of the shortest ways to all faces, float64 [F], and the face that each began at, int64 [F].

    beside int64 [F, 3]: the neighbours; way float64 [F, 3]: how far they are, infinite where there is none; start [F]:
    at which length ways begin at a face, infinite where none does. Faces that no way leads to are their own beginning.
    """
    length = shortened(start, lambda length: (length[beside] + way).amin(1))
    own = torch.arange(len(start), device=start.device)
    came = length[beside] + way
    nearest = torch.where(came[:, 0] == length, beside[:, 0], torch.where(came[:, 1] == length, *beside[:, 1:].T))
    origin = torch.where(length < start, nearest, own)
    # No way has more steps, also where so short ones are added to so long a way that it does not grow.
    for _ in range(len(start).bit_length()):
        origin = origin[origin]
    return length, origin


def _grow(clusters: _Clusters, facing: Tensor, cone: float, texel: float, dust: bool) -> None:
    """``charts._grow``."""
    for _ in range(MOST_ROUNDS):
        a, b = clusters.a, clusters.b
        axis = unit(clusters.normal)
        lean = least(dot(facing, axis[clusters.label]), clusters.label, len(axis)).clamp(-1.0, 1.0).acos()
        angle = _joint_cone(axis, lean, a, b)
        if dust:
            narrow = 2.0 * clusters.area / clusters.perimeter.clamp_min(1e-30) < 0.5 * DUST_TEXELS * texel
            allowed = (angle <= cone) & (narrow[a] | narrow[b])
            around = torch.where(narrow, clusters.perimeter, torch.inf)
            share = clusters.length / torch.minimum(around[a], around[b])
            cost = 2.0 - share.clamp(max=1.0) + 0.5 * angle
        else:
            area = clusters.area[a] + clusters.area[b]
            perimeter = clusters.perimeter[a] + clusters.perimeter[b] - 2.0 * clusters.length
            shape = perimeter**2 / (4.0 * torch.pi * area)
            own = clusters.perimeter**2 / (4.0 * torch.pi * clusters.area)
            strip = 2.0 * area < STRIP_TEXELS * texel * perimeter
            limit = area.new_tensor([[cone, WORST_SHAPE], [STRIP_CONE, STRIP_SHAPE]])[strip.long()]
            rough = torch.maximum(own[a], own[b])
            allowed = (angle <= limit[:, 0]) & (shape <= torch.maximum(limit[:, 1], rough))
            cost = angle + SHAPE_WEIGHT * shape
        allowed = allowed.nonzero().squeeze(1)
        if len(allowed) == 0:
            return
        clusters.merge(_matches(a[allowed], b[allowed], cost[allowed], len(axis)))


def _matches(a: Tensor, b: Tensor, cost: Tensor, count: int) -> Tensor:
    """``charts._matches``."""
    step = (cost.clamp_min(1e-6).log2() * COST_STEPS_PER_DOUBLING).round().long()
    scramble = (a * _signed(0x9E3779B97F4A7C15)) ^ (b * _signed(0xC2B2AE3D27D4EB4F))
    # The shift of an unsigned number, and the order of unsigned numbers.
    scramble = (scramble ^ ((scramble >> 29) & (2**35 - 1))) * _signed(0xBF58476D1CE4E5B9) ^ -(2**63)
    mutual = preferred(a, b, (step, scramble, torch.arange(len(a), device=a.device)), count)
    into = torch.arange(count, device=a.device)
    into[b[mutual]] = a[mutual]
    return into


def preferred(a: Tensor, b: Tensor, keys: tuple[Tensor, ...], count: int) -> Tensor:
    """Which pairs of a and b int64 [E], below ``count``, come first of all pairs of either, bool [E].

    In the order of the first of ``keys`` int64 [E], of the next where that is equal, and so on; no two pairs alike.
    """
    of_a = of_b = torch.ones(len(a), dtype=torch.bool, device=a.device)
    for key in keys:
        best = torch.full((count,), _LAST, device=a.device)
        best.scatter_reduce_(0, a, torch.where(of_a, key, _LAST), "amin")
        best.scatter_reduce_(0, b, torch.where(of_b, key, _LAST), "amin")
        of_a, of_b = of_a & (key == best[a]), of_b & (key == best[b])
    return of_a & of_b


def _signed(word: int) -> int:
    """The number of 64 bits with the bits of the unsigned ``word``."""
    return word - 2**64 if word >= 2**63 else word


def _joint_cone(axis: Tensor, lean: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``charts._joint_cone``."""
    between = dot(axis[a], axis[b]).clamp(-1.0, 1.0).acos()
    return 0.5 * (torch.maximum(lean[a], between + lean[b]) - torch.minimum(-lean[a], between - lean[b]))


def _calm_normals(area_vector: Tensor, area: Tensor, beside: Tensor) -> Tensor:
    """``charts._calm_normals``."""
    open_to = (LARGE * area.median() / area.clamp_min(1e-300)).clamp(max=1.0)[:, None]
    there = (beside != torch.arange(len(beside), device=beside.device)[:, None])[..., None]
    total = area_vector
    for _ in range(NORMAL_ROUNDS):
        total = total + open_to * torch.where(there, total[beside], 0.0).sum(1)
    return unit(total)
