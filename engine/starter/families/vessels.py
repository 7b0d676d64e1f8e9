# SPDX-License-Identifier: GPL-3.0-or-later
"""Vessels: mug, vase, potion."""

from __future__ import annotations

import numpy as np

from ..parts import Mesh, box, curve, cylinder, disc, ellipsoid, lathe, shell, torus, tube


def mug(rng: np.random.Generator) -> list[Mesh]:
    """A hollow cup with a drink in it and a handle on the right."""
    radius, height = rng.uniform(0.3, 0.42), rng.uniform(0.66, 0.95)
    foot = radius * rng.uniform(0.7, 1.0)
    belly = rng.uniform(-0.03, 0.07)
    outline = curve([(foot, 0), ((foot + radius) / 2 + belly, height / 2), (radius, height)], 13)
    wall = rng.uniform(0.055, 0.075)
    band = rng.integers(0, 3)
    profile = shell(outline, wall, 0.08)
    slots = np.zeros(len(profile) - 1, dtype=int)
    middle = (profile[:-1] + profile[1:])[: len(outline), 1] / 2
    if band == 1:
        slots[: len(outline)][middle < height * rng.uniform(0.2, 0.45)] = 2
    slots[len(outline) + 1 :] = 4 if rng.random() < 0.5 else 0
    parts = [lathe(profile, slots)]
    low, high = height * rng.uniform(0.14, 0.24), height * rng.uniform(0.74, 0.86)
    reach = rng.uniform(0.2, 0.3)

    def edge(z: float) -> float:
        return float(np.interp(z, outline[:, 1], outline[:, 0])) - 0.02

    if rng.random() < 0.6:
        stops = [
            (edge(low), low),
            (radius + reach, low + 0.25 * (high - low)),
            (radius + reach, high - 0.2 * (high - low)),
        ]
    else:
        stops = [(edge(low), low), (radius + reach * 0.7, low + 0.1), (radius + reach, high - 0.05)]
    path = curve([*stops, (edge(high), high)], 20)
    path = np.stack([path[:, 0], np.zeros(20), path[:, 1]], axis=1)
    parts.append(tube(path, rng.uniform(0.036, 0.055), 1))
    if rng.random() < 0.75:
        level = height * rng.uniform(0.6, 0.88)
        parts.append(disc(edge(level) - wall + 0.05, level, 3))
    if band == 2:
        z = height * rng.uniform(0.3, 0.7)
        parts.append(torus(edge(z) + 0.02, 0.036, 2).moved(z=z))
    return parts


def vase(rng: np.random.Generator) -> list[Mesh]:
    """A turned vessel in two colours, with a ring, handles, a stopper or flowers."""
    heights = [0, rng.uniform(0.28, 0.45), rng.uniform(0.66, 0.8), 1.0]
    radii = [rng.uniform(0.15, 0.28), rng.uniform(0.26, 0.42), rng.uniform(0.12, 0.22), rng.uniform(0.15, 0.32)]
    outline = curve(list(zip(radii, heights, strict=True)), 25)
    profile = shell(outline, 0.06, 0.08)
    slots = np.zeros(len(profile) - 1, dtype=int)
    split = rng.integers(6, 19)
    slots[1 + split : len(outline) + 1] = 1
    slots[len(outline) + 1 :] = 1
    parts = [lathe(profile, slots)]

    def edge(z: float) -> float:
        return float(np.interp(z, outline[:, 1], outline[:, 0]))

    z = float(outline[split, 1])
    if rng.random() < 0.5:
        parts.append(torus(edge(z), 0.045, 2).moved(z=z))
    if rng.random() < 0.35:
        low, high = rng.uniform(0.4, 0.5), rng.uniform(0.78, 0.88)
        reach = max(edge(low), edge(high)) + rng.uniform(0.1, 0.18)
        path = curve([(edge(low) - 0.02, low), (reach, low + 0.12), (reach, high), (edge(high) - 0.02, high)], 16)
        handle = tube(np.stack([path[:, 0], np.zeros(16), path[:, 1]], axis=1), 0.036, 2)
        parts += [handle, handle.turned(180)]
    top = rng.random()
    if top < 0.3:
        cork = radii[3] - 0.06 + 0.02
        parts.append(cylinder(cork, 0.9, 1.05, 3))
        parts.append(ellipsoid(cork * 0.75, cork * 0.75, 0.1, 4).moved(z=1.12))
    elif top < 0.6:
        parts += _flowers(rng, radii[3])
    return parts


def _flowers(rng: np.random.Generator, mouth: float) -> list[Mesh]:
    parts = []
    start = rng.uniform(0, 360)
    count = int(rng.integers(2, 4))
    for n in range(count):
        lean = mouth * rng.uniform(0.8, 1.2) + 0.05
        top = 1.0 + rng.uniform(0.25, 0.45)
        path = curve([(0.02, 0, 0.3), (0.05, 0, 0.9), (lean, 0, top)], 12)
        stem = tube(path, 0.033, 3, segments=10)
        bloom = ellipsoid(0.13, 0.13, 0.1, 4, 10, 18).moved(lean, 0, top + 0.03)
        turn = start + n * 360 / count
        parts += [stem.turned(turn), bloom.turned(turn)]
    return parts


def potion(rng: np.random.Generator) -> list[Mesh]:
    """A glass flask with liquid inside, a cork and a label on its front."""
    width, neck = rng.uniform(0.34, 0.44), rng.uniform(0.12, 0.16)
    body = rng.uniform(0.62, 0.74)
    kind = rng.integers(0, 3)
    if kind == 0:
        angle = np.linspace(-np.pi / 2 + 0.35, np.pi / 2 - np.arcsin(min(0.9, neck / width)), 15)
        outline = np.stack([width * np.cos(angle), 0.5 * body * (1 + np.sin(angle))], axis=1)
        outline[:, 1] -= outline[0, 1]
    elif kind == 1:
        outline = curve([(width * 0.85, 0), (width, 0.06), (width * 0.62, body * 0.55), (neck, body)], 15)
    else:
        outline = curve([(width * 0.75, 0), (width * 0.8, 0.08), (width * 0.8, body * 0.7), (neck, body)], 15)
    top = outline[-1, 1] + rng.uniform(0.12, 0.22)
    glass = np.concatenate([[[0, 0]], outline, [[neck, top], [0, top]]])
    level = body * rng.uniform(0.45, 0.75)
    inside = outline[outline[:, 1] < level]
    inside = np.stack([np.maximum(inside[:, 0] - 0.06, 0.05), 0.06 + inside[:, 1] * (level - 0.06) / level], axis=1)
    rim = float(np.interp(level, outline[:, 1], outline[:, 0])) - 0.07
    liquid = np.concatenate([[[0, 0.06]], inside, [[max(rim, 0.05), level], [0, level]]])
    parts = [lathe(glass, 5), lathe(liquid, 0)]
    cork = rng.uniform(0.1, 0.18)
    parts.append(cylinder(neck + 0.035, top + 0.03, top + cork, 1, neck + 0.06))
    parts.append(torus(neck + 0.01, 0.042, 2).moved(z=outline[-1, 1] + 0.04))
    if rng.random() < 0.6:
        z = body * rng.uniform(0.35, 0.45)
        front = float(np.interp(z, outline[:, 1], outline[:, 0]))
        parts.append(box(rng.uniform(0.2, 0.3), 0.07, rng.uniform(0.16, 0.24), 3).moved(y=-front - 0.01, z=z))
    return parts
