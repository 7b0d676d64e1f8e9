# SPDX-License-Identifier: GPL-3.0-or-later
"""``tubes`` in torch, for graphics cards: all tubes at once. See the functions named in each.

Where the processor walks along a line, point by point, here every point looks twice as far ahead in each round.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..surface.tensor_reductions import Sums, firsts, marked, numbered, order_by, places, shortened
from ..surface.tensor_topology import components, ends_of
from ..surface.tensor_vectors import face_vectors, lengths
from .outlines import kept_pairs
from .tensor_charts import neighbours, shortest_ways
from .tensor_equations import Equations
from .tensor_outlines import ChartPoints, chart_points
from .tubes import Tubes

# Inner points of a rectangle lie amid their neighbours up to so small a share of how far the outline is away.
_AMID = 1e-9


def find_tubes(vertices: Tensor, faces: Tensor, left: Tensor, right: Tensor, length: float, widest: float) -> Tubes:
    """``tubes.find_tubes`` of tensors."""
    far = _ways(vertices[faces].mean(1), left, right)
    slab = (far / length).floor().long()
    f, g = left // 3, right // 3
    same = slab[f] == slab[g]
    part = components(len(faces), f[same], g[same])
    points = chart_points(part, left, right)
    around, sizes = Sums(part, points.charts), torch.bincount(part, minlength=points.charts)
    edges = 3 * sizes - torch.bincount(part[f[points.inner]], minlength=points.charts)
    # Euler's number of what has two rims and no handle, or no rim and one handle.
    is_round = torch.bincount(points.chart, minlength=points.charts) - edges + sizes == 0
    vector = face_vectors(vertices, faces)
    is_round &= around(lengths(vector)) < widest * (around.greatest(far) - around.least(far))
    return _opened(vertices, faces, part, is_round[part], left, right)


def _ways(middle: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``tubes._ways``."""
    count, f, g = len(middle), left // 3, right // 3
    piece = components(count, f, g)
    between = middle[f] - middle[g]
    way = middle.new_full((3 * count,), torch.inf)
    way[left] = way[right] = lengths(between) + 1e-12
    beside = neighbours(count, left, right)
    order = torch.sort(piece, stable=True).indices
    begin = order[firsts(piece[order])]
    for _ in range(2):
        start = way.new_full((count,), torch.inf)
        start[begin] = 0.0
        far, _ = shortest_ways(beside, way.view(-1, 3), start)
        order = order_by(-far, piece)
        begin = order[firsts(piece[order])]
    return far


def _opened(vertices: Tensor, faces: Tensor, part: Tensor, chosen: Tensor, left: Tensor, right: Tensor) -> Tubes:
    """``tubes._opened``."""
    members = chosen.nonzero().squeeze(1)
    cut = torch.zeros(len(left), dtype=torch.bool, device=left.device)
    if len(members) == 0:
        return Tubes(members, members, vertices.new_zeros((0, 3, 2)), members, members, cut)
    label = numbered(part[members])
    f, g = left // 3, right // 3
    within = (chosen[f] & chosen[g] & (part[f] == part[g])).nonzero().squeeze(1)
    one, other = kept_pairs(places(chosen), left[within], right[within])
    closed = chart_points(label, one, other)
    position = vertices.new_empty((len(closed.chart), 3))
    position[closed.corner] = vertices[faces[members]]
    inner, first, last = _cut_lines(position, closed, one)
    points = chart_points(label, one[~inner], other[~inner])
    before = torch.empty_like(points.chart)
    before[points.corner] = closed.corner
    flat, good = _in_rectangles(position[before], points, before == first[points.chart], before == last[points.chart])
    stays = good[label]
    cut[within[inner & stays[one // 3]]] = True
    return Tubes(
        members[stays],
        numbered(label[stays]),
        flat[points.corner[stays]],
        *kept_pairs(places(stays), one[~inner], other[~inner]),
        cut,
    )


def _cut_lines(position: Tensor, points: ChartPoints, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``tubes._cut_lines``."""
    size = len(position)
    a, b = points.outline
    rim = torch.zeros(size, dtype=torch.bool, device=a.device)
    rim[a] = rim[b] = True
    loop = components(size, a, b)
    here = rim.nonzero().squeeze(1)
    lowest = torch.full((points.charts,), size, device=a.device)
    lowest.scatter_reduce_(0, points.chart[here], loop[here], "amin")
    at_begin = loop[here] == lowest[points.chart[here]]
    distance, before = _from_points(position, points, here[at_begin])
    ends = here[~at_begin]
    ends = ends[distance[ends].isfinite()]
    order = order_by(ends, distance[ends], points.chart[ends])
    ends = ends[order[firsts(points.chart[ends[order]])]]
    # All points on the ways back from the ends, and where these lead.
    on_way, back = torch.zeros_like(rim), before
    on_way[ends] = True
    for _ in range(size.bit_length()):
        on_way[back[on_way]] = True
        back = back[back]
    first, last = torch.full_like(lowest, -1), torch.full_like(lowest, -1)
    last[points.chart[ends]], first[points.chart[ends]] = ends, back[ends]
    step = (on_way & (before != torch.arange(size, device=a.device))).nonzero().squeeze(1)
    lines = torch.minimum(step, before[step]) * size + torch.maximum(step, before[step])
    tail, head = ends_of(points.corner)
    one, other = tail[left], head[left]
    return torch.isin(torch.minimum(one, other) * size + torch.maximum(one, other), lines), first, last


def _from_points(position: Tensor, points: ChartPoints, begins: Tensor) -> tuple[Tensor, Tensor]:
    """Shortest ways along edges from the points ``begins``: their lengths [P], infinite where none leads, and the point
    before each, itself for one at which a way begins or to which none leads.
    """
    size = len(position)
    own, beside = _links(points, size)
    between = position[own] - position[beside]
    way, around = lengths(between) + 1e-12, Sums(own, size, ascending=True)
    length = position.new_full((size,), torch.inf)
    length[begins] = 0.0
    length = shortened(length, lambda length: around.least(length[beside] + way))
    came = (length[beside] + way == length[own]) & length[own].isfinite() & (length[own] > 0)
    before = own.new_full((size,), size).scatter_reduce_(0, own[came], beside[came], "amin")
    return length, torch.where(before < size, before, torch.arange(size, device=own.device))


def _links(points: ChartPoints, size: int) -> tuple[Tensor, Tensor]:
    """The edges of charts from either end, by their first one: int64 [2 E] each."""
    tail, head = ends_of(points.corner)
    link = torch.unique(torch.cat([tail * size + head, head * size + tail]))
    return link // size, link % size


def _in_rectangles(position: Tensor, points: ChartPoints, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """``tubes._in_rectangles``."""
    size, count = len(position), points.charts
    tail, head = ends_of(points.corner)
    key = torch.minimum(tail, head) * size + torch.maximum(tail, head)
    _, which, times = torch.unique(key, return_inverse=True, return_counts=True)
    alone = times[which] == 1
    number = torch.arange(size, device=tail.device)
    ahead = number.clone()
    ahead[tail[alone]] = head[alone]
    rim = ahead != number
    span = position[ahead] - position
    # For each point of an outline the next corner ahead, how far it is, and how many steps.
    corner = rim & (first | last)
    far, steps = lengths(span), rim.long()
    for _ in range(size.bit_length()):
        going = rim & ~corner[ahead]
        far = torch.where(going, far + far[ahead], far)
        steps = torch.where(going, steps + steps[ahead], steps)
        ahead = torch.where(going, ahead[ahead], ahead)
    begin = (corner & first).nonzero().squeeze(1)
    turn = torch.stack([begin, ahead[begin], ahead[ahead[begin]], ahead[ahead[ahead[begin]]]], 1)
    rims = torch.bincount(points.chart[rim], minlength=count)
    # Along the line, round the last rim, back along the line, round the first rim.
    fits = (ahead[turn[:, 3]] == begin) & (turn[:, 2] != begin) & (steps[turn].sum(1) == rims[points.chart[begin]])
    fits &= last[turn[:, 1]] & last[turn[:, 2]] & corner[turn].all(1)
    turn = turn[fits]
    good = marked(count, points.chart[turn[:, 0]])
    side = torch.zeros_like(number)
    side[turn] = torch.arange(4, device=tail.device).expand_as(turn)
    long = far.new_zeros((count, 4))
    long[points.chart[turn[:, 0]]] = far[turn]
    wide, high = 0.5 * (long[:, 0] + long[:, 2]), 0.5 * (long[:, 1] + long[:, 3])
    none = torch.zeros_like(wide)
    place = torch.stack([torch.stack(pair, 1) for pair in ((none, none), (wide, none), (wide, high), (none, high))], 1)
    on_rim = (rim & good[points.chart]).nonzero().squeeze(1)
    of, to = points.chart[on_rim], side[ahead[on_rim]]
    share = (far[on_rim] / long[of, (to + 3) % 4].clamp_min(1e-300))[:, None]
    flat = position.new_zeros((size, 2))
    flat[on_rim] = place[of, to] + share * (place[of, (to + 3) % 4] - place[of, to])
    free = ~rim & good[points.chart]
    if free.any():
        flat[free] = _amid(flat, points, free)
    return flat, good


def _amid(flat: Tensor, points: ChartPoints, free: Tensor) -> Tensor:
    """Where the ``free`` points, bool [P], lie amid their neighbours when the others stay (Tutte 1963)."""
    size = len(flat)
    own, beside = _links(points, size)
    mine = free[own]
    own, beside = own[mine], beside[mine]
    place = places(free)
    inner = free[beside]
    row, count = place[own], int(free.sum())
    force = Sums(row, count, ascending=True)(torch.where(inner[:, None], 0.0, flat[beside]))
    diagonal = torch.bincount(row, minlength=count).double()
    weight = diagonal.new_ones(int(inner.sum()))
    chart = numbered(points.chart[free])
    system = Equations(row[inner], place[beside[inner]], weight, diagonal, chart)
    return system.solve(force, force, _AMID)
