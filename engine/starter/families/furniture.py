# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture: table, chair, lamp."""

from __future__ import annotations

import numpy as np

from ..parts import Mesh, box, curve, cylinder, ellipsoid, lathe, tube


def _legs(rng: np.random.Generator, x: float, y: float, top: float, slot: int, thick: float) -> list[Mesh]:
    """Four legs from the ground to ``top``, at (+-x, +-y) below the top, round or square, upright or splayed."""
    splay = 1.0 + (rng.uniform(0.08, 0.25) if rng.random() < 0.4 else 0.0)
    foot = thick * rng.uniform(0.7, 1.0)
    parts = []
    square = rng.random() < 0.4
    for sx in (-1, 1):
        for sy in (-1, 1):
            if square:
                parts.append(box(2 * thick, 2 * thick, top, slot, 0.012).moved(sx * x, sy * y, top / 2))
            else:
                path = np.linspace([sx * x * splay, sy * y * splay, 0.03], [sx * x, sy * y, top], 5)
                parts.append(tube(path, np.linspace(foot, thick, 5), slot, segments=12))
    return parts


def table(rng: np.random.Generator) -> list[Mesh]:
    """A table with a round or rectangular top, four legs or a pedestal, a shelf or a drawer in its front."""
    height, thick = rng.uniform(0.42, 0.8), rng.uniform(0.05, 0.085)
    x, y = rng.uniform(0.42, 0.5), rng.uniform(0.28, 0.5)
    parts = []
    round_top = rng.random() < 0.4
    if round_top:
        y = x
        rim = thick * 0.35
        profile = [(0, 0), (x - rim, 0), (x, rim), (x, thick - rim), (x - rim, thick), (0, thick)]
        parts.append(lathe(np.array(profile), 0).moved(z=height - thick))
        reach_x = reach_y = x * 0.58
    else:
        parts.append(box(2 * x, 2 * y, thick, 0, 0.02).moved(z=height - thick / 2))
        reach_x, reach_y = x - 0.08, y - 0.08
    if round_top and rng.random() < 0.5:
        foot = rng.uniform(0.2, 0.32)
        outline = curve([(foot, 0.05), (0.08, 0.14), (0.055, height * 0.6), (0.12, height - thick - 0.005)], 15)
        profile = np.concatenate([[[0, 0], [foot, 0]], outline, [[0, height - thick - 0.005]]])
        parts.append(lathe(profile, 1))
        return parts
    parts += _legs(rng, reach_x, reach_y, height - thick - 0.005, 1, rng.uniform(0.03, 0.048))
    extra = rng.random()
    if extra < 0.4:
        z = height * rng.uniform(0.25, 0.42)
        parts.append(box(2 * reach_x, 2 * reach_y, 0.055, 2, 0.015).moved(z=z))
    elif extra < 0.75 and not round_top:
        deep = min(0.16, height * 0.3)
        parts.append(box(1.5 * reach_x, 1.5 * reach_y, deep, 2, 0.015).moved(z=height - thick - deep / 2 - 0.006))
        parts.append(
            ellipsoid(0.045, 0.045, 0.045, 4, 10, 16).moved(y=-0.75 * reach_y - 0.03, z=height - thick - deep / 2)
        )
    if rng.random() < 0.3:
        parts.append(
            lathe(np.array([(0, 0), (0.1, 0), (0.17, 0.11), (0.11, 0.11), (0.07, 0.055), (0, 0.055)]), 3).moved(
                z=height
            )
        )
    return parts


def chair(rng: np.random.Generator) -> list[Mesh]:
    """A chair whose sitter looks towards -Y: seat, legs, a solid or slatted back, perhaps arms and a cushion."""
    width, depth = rng.uniform(0.22, 0.3), rng.uniform(0.22, 0.29)
    seat, top = rng.uniform(0.36, 0.46), rng.uniform(0.86, 1.0)
    post = rng.uniform(0.028, 0.04)
    parts = [box(2 * width, 2 * depth, 0.06, 0, 0.018).moved(z=seat)]
    parts += _legs(rng, width - post, depth - post, seat - 0.035, 1, post)
    style = int(rng.integers(0, 3))
    back = depth - post
    low = seat + 0.035
    if style == 0:
        gap = rng.choice([0.0, 0.1])
        parts.append(box(2 * width, 2 * post, top - low - gap, 2, 0.02).moved(y=back, z=(top + low + gap) / 2))
        if gap:
            parts += [
                box(0.06, 0.055, gap + 0.06, 1, 0.01).moved(s * width * 0.6, back, low + gap / 2) for s in (-1, 1)
            ]
    else:
        for s in (-1, 1):
            parts.append(box(2 * post, 2 * post, top - low, 1, 0.012).moved(s * (width - post), back, (top + low) / 2))
        bar = 2 * (width - 2 * post) + 0.01
        if style == 1:
            for z in np.linspace(low + 0.14, top - 0.07, int(rng.integers(2, 4))):
                parts.append(box(bar, 0.05, 0.08, 2, 0.012).moved(y=back, z=z))
        else:
            parts.append(box(bar, 0.055, 0.09, 2, 0.012).moved(y=back, z=top - 0.05))
            count = int(rng.integers(2, 4))
            for x in np.linspace(-bar / 2, bar / 2, count + 2)[1:-1]:
                parts.append(box(0.05, 0.046, top - low - 0.1, 2, 0.01).moved(x, back, (top + low - 0.1) / 2))
    if rng.random() < 0.35:
        z = seat + rng.uniform(0.18, 0.24)
        for s in (-1, 1):
            x = s * (width - 0.03)
            parts.append(box(0.06, 2 * depth - 2 * post, 0.055, 3, 0.015).moved(x, -post, z))
            parts.append(box(0.05, 0.05, z - seat - 0.055, 3, 0.01).moved(x, -depth + 0.06, (z + seat) / 2))
    if rng.random() < 0.4:
        parts.append(box(1.6 * width, 1.55 * depth, 0.07, 4, 0.03).moved(y=-0.04, z=seat + 0.068))
    return parts


def lamp(rng: np.random.Generator) -> list[Mesh]:
    """A table lamp: a base, a pole, a bulb and an open shade of two walls or a single sheet; its switch is in front."""
    base, wide = rng.uniform(0.17, 0.26), rng.uniform(0.26, 0.4)
    narrow = wide * rng.uniform(0.4, 0.95)
    shade_low, shade_high = rng.uniform(0.5, 0.6), rng.uniform(0.9, 1.0)
    pole = rng.uniform(0.028, 0.042)
    parts = []
    if rng.random() < 0.5:
        profile = np.array([(0, 0), (base, 0), (base, 0.03), (base * 0.8, 0.065), (0, 0.065)])
        parts.append(lathe(profile, 0))
        parts.append(cylinder(pole, 0.06, shade_low + 0.1, 1, segments=18))
    else:
        outline = curve([(base * 0.7, 0), (base, 0.14), (base * 0.55, 0.3), (0.045, 0.42)], 15)
        parts.append(lathe(np.concatenate([[[0, 0]], outline, [[0, 0.42]]]), 0))
        parts.append(cylinder(pole, 0.41, shade_low + 0.1, 1, segments=18))
    bulge = rng.uniform(-0.04, 0.06)
    outside = curve(
        [(wide, shade_low), ((wide + narrow) / 2 + bulge, (shade_low + shade_high) / 2), (narrow, shade_high)], 9
    )
    if rng.random() < 0.65:
        inside = outside[::-1] - np.array([0.05, 0.0])
        slots = np.full(18, 2)
        slots[9:17] = 4
        parts.append(lathe(np.concatenate([outside, inside]), slots, closed=True))
    else:
        parts.append(lathe(outside, 2))
    z = shade_low + 0.14
    parts.append(ellipsoid(0.085, 0.085, 0.1, 3, 12, 18).moved(z=z + 0.02))
    parts.append(ellipsoid(0.045, 0.04, 0.045, 4, 10, 16).moved(y=-base * 0.72, z=0.085))
    return parts
