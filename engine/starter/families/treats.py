# SPDX-License-Identifier: GPL-3.0-or-later
"""Treats: gift box, donut."""

from __future__ import annotations

import numpy as np

from ..parts import Mesh, box, ellipsoid, lathe, surface, torus, tube


def gift(rng: np.random.Generator) -> list[Mesh]:
    """A wrapped box with a lid, crossed ribbons, a bow and perhaps a tag on its front."""
    x, y, z = rng.uniform(0.3, 0.45), rng.uniform(0.3, 0.45), rng.uniform(0.4, 0.8)
    lid, over = rng.uniform(0.12, 0.18), 0.035
    top = z + lid
    wide = rng.uniform(0.09, 0.15)
    parts = [
        box(2 * x, 2 * y, z + lid / 2, 0, 0.015).moved(z=z / 2 + lid / 4),
        box(2 * (x + over), 2 * (y + over), lid, 1, 0.02).moved(z=z + lid / 2),
    ]
    thick = 0.07
    for turn, a in ((0, y), (90, x)):
        for s in (-1, 1):
            side = box(wide, thick, z - 0.01, 2, 0.01).moved(y=s * a, z=z / 2)
            rim = box(wide, thick, lid + 0.03, 2, 0.01).moved(y=s * (a + over), z=z + lid / 2 + 0.015)
            parts += [side.turned(turn), rim.turned(turn)]
        parts.append(box(wide, 2 * (a + over), thick, 2, 0.01).moved(z=top).turned(turn))
    bow = rng.uniform(0.14, 0.2)
    style = rng.random()
    for s in (-1, 1):
        ring = torus(bow * 0.72, 0.042, 3 if style < 0.4 else 2, 12, 32).scaled(1, 0.7, 1.3)
        ring = ring.turned(90, "x").moved(x=s * bow * 0.9).turned(-s * rng.uniform(15, 35), "y")
        parts.append(ring.turned(45 if style > 0.7 else 0).moved(z=top + 0.1))
    parts.append(ellipsoid(0.075, 0.075, 0.07, 3 if style < 0.4 else 2, 10, 18).moved(z=top + 0.08))
    if rng.random() < 0.5:
        tag = box(0.16, 0.06, 0.12, 4, 0.012)
        parts.append(tag.moved(-x * 0.55, -y - 0.02, z * rng.uniform(0.4, 0.7)))
    return parts


def donut(rng: np.random.Generator) -> list[Mesh]:
    """A ring of dough with dripping frosting and sprinkles, often on a plate."""
    radius, thick = rng.uniform(0.27, 0.32), rng.uniform(0.13, 0.17)
    parts = [torus(radius, thick, 0, 20, 48)]
    parts.append(_frosting(rng, radius, thick))
    over = thick + 0.045
    for n in range(int(rng.choice([0, 6, 9, 12]))):
        t = rng.uniform(0.25 * np.pi, 0.75 * np.pi)
        turn = n * 137.5
        half = 0.05
        sprinkle = tube(np.linspace([-half, 0, 0], [half, 0, 0], 3), 0.028, 2 if n % 2 else 3, segments=8)
        sprinkle = sprinkle.turned(rng.uniform(0, 180)).turned(np.degrees(np.pi / 2 - t), "y")
        parts.append(sprinkle.moved(radius + over * np.cos(t), 0, over * np.sin(t)).turned(turn))
    if rng.random() < 0.6:
        plate = rng.uniform(0.44, 0.52)
        low = -thick - 0.05
        profile = [
            (0, low),
            (plate * 0.7, low),
            (plate, low + 0.06),
            (plate, low + 0.11),
            (plate * 0.7, low + 0.06),
            (0, low + 0.06),
        ]
        parts.append(lathe(np.array(profile), 4))
    return parts


def _frosting(rng: np.random.Generator, radius: float, thick: float) -> Mesh:
    """A closed shell over the upper dough whose lower edge is wavy."""
    segments, rings = 60, 13
    angle = np.arange(segments) * (2 * np.pi / segments)
    waves = int(rng.integers(4, 8))
    drip = rng.uniform(0.08, 0.3) * np.sin(waves * angle + rng.uniform(0, 6.28)) + rng.uniform(-0.1, 0.1)
    share = np.linspace(0, 1, rings)
    outer_end, inner_end = -0.05 - drip, np.pi + 0.05 + drip[::-1]
    t = outer_end[:, None] + (inner_end - outer_end)[:, None] * share
    loops = []
    for depth, sweep in ((thick + 0.04, t), (thick - 0.035, t[:, ::-1])):
        r = radius + depth * np.cos(sweep)
        loops.append(np.stack([r * np.cos(angle)[:, None], r * np.sin(angle)[:, None], depth * np.sin(sweep)], axis=-1))
    points = np.concatenate(loops, axis=1)
    return surface(points, True, True, 1)
