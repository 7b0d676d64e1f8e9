# SPDX-License-Identifier: GPL-3.0-or-later
"""Out of doors: mushroom, rocket, house, tree, snowman."""

from __future__ import annotations

import numpy as np

from ..parts import Mesh, box, curve, cylinder, ellipsoid, lathe, prism, torus, tube


def mushroom(rng: np.random.Generator) -> list[Mesh]:
    """A toadstool with dots, perhaps a door in its front or a small one beside it."""
    cap, rise = rng.uniform(0.36, 0.5), rng.uniform(0.26, 0.42)
    stem, height = rng.uniform(0.11, 0.17), rng.uniform(0.4, 0.62)
    parts = _toadstool(rng, cap, rise, stem, height)
    if rng.random() < 0.35:
        parts.append(_door(0.15, 0.24, -stem * 1.2 - 0.01, 4))
    if rng.random() < 0.35:
        small = rng.uniform(0.38, 0.5)
        side = 1 if rng.random() < 0.5 else -1
        child = _toadstool(rng, cap, rise, stem * 1.3, height, dots=False)
        parts += [p.scaled(small, small, small).moved(side * (stem + small * cap * 0.7), -0.16, 0) for p in child]
    return parts


def _toadstool(
    rng: np.random.Generator, cap: float, rise: float, stem: float, height: float, dots: bool = True
) -> list[Mesh]:
    outline = curve([(stem * 1.25, 0), (stem * 1.1, 0.1), (stem, height * 0.6), (stem * 0.9, height + 0.03)], 10)
    parts = [lathe(np.concatenate([[[0, 0]], outline, [[0, height + 0.03]]]), 0, segments=28)]
    angle = np.linspace(0, np.pi / 2, 12)
    dome = np.stack([cap * np.cos(angle), height + rise * np.sin(angle) ** rng.uniform(0.9, 1.3)], axis=1)
    dome[-1, 0] = 0
    under = np.array([[0, height], [cap * 0.5, height - 0.005], [cap * 0.88, height - 0.035]])
    parts.append(lathe(np.concatenate([under, dome]), [2, 2, 1] + [1] * 11))
    if not dots:
        return parts
    for n in range(int(rng.integers(3, 8))):
        turn = n * 137.5 + rng.uniform(0, 40)
        t = rng.uniform(0.25, 1.3)
        size = rng.uniform(0.065, 0.1)
        radial, up = cap * np.cos(t), rise * np.sin(t)
        tilt = np.degrees(np.arctan2(rise * np.cos(t), cap * np.sin(t)))
        dot = ellipsoid(size, size, 0.05, 3, 8, 16).turned(90 - tilt, "y")
        parts.append(dot.moved(radial, 0, height + up).turned(turn))
    return parts


def _door(width: float, height: float, front: float, slot: int) -> Mesh:
    """A door with a round top whose outer face is at y = front - 0.04, standing on the ground."""
    angle = np.linspace(0, np.pi, 9)
    arch = np.stack([width / 2 * np.cos(angle), height - width / 2 + width / 2 * np.sin(angle)], axis=1)
    outline = np.concatenate([[[-width / 2, 0.0], [width / 2, 0.0]], arch])
    return prism(outline, 0.09, slot).moved(y=front)


def rocket(rng: np.random.Generator) -> list[Mesh]:
    """A toy rocket: body, nose, three or four fins, a nozzle and a porthole in front."""
    width, low = rng.uniform(0.13, 0.21), 0.14
    outline = curve([(width * 0.62, low), (width, 0.38), (width * 0.92, 0.62), (width * 0.45, 0.86), (0.012, 1.0)], 25)
    nose = rng.uniform(0.62, 0.76)
    profile = np.concatenate([[[0, low]], outline, [[0, 1.005]]])
    middle = (profile[:-1, 1] + profile[1:, 1]) / 2
    slots = np.where(middle > nose, 1, 0)
    if rng.random() < 0.4:
        slots[(middle > 0.24) & (middle < 0.34)] = 3
    parts = [lathe(profile, slots)]
    parts.append(lathe(np.array([(0, 0.06), (width * 0.55, 0.06), (width * 0.4, 0.18), (0, 0.18)]), 3, segments=28))
    count = int(rng.integers(3, 5))
    reach, sweep = rng.uniform(0.14, 0.22), rng.uniform(0.0, 0.12)
    root = width * 0.6
    fin = [(root, 0.16), (root + reach, 0.0 + 0.1 - sweep), (root + reach, 0.24 - sweep * 0.5), (width * 0.9, 0.42)]
    for n in range(count):
        turn = 45 + n * 90 if count == 4 else 90 + n * 120
        parts.append(prism(fin, rng.uniform(0.05, 0.06) if n == 0 else 0.055, 2).turned(turn))
    z = rng.uniform(0.5, 0.58)
    front = float(np.interp(z, outline[:, 1], outline[:, 0]))
    size = rng.uniform(0.07, 0.09)
    parts.append(torus(size, 0.032, 3, 10, 28).turned(90, "x").moved(y=-front - 0.005, z=z))
    parts.append(ellipsoid(size * 0.8, 0.035, size * 0.8, 4, 10, 20).moved(y=-front + 0.005, z=z))
    return parts


def house(rng: np.random.Generator) -> list[Mesh]:
    """A cottage: gable or tower, a door and windows in front, a chimney."""
    parts = _tower(rng) if rng.random() < 0.3 else _cottage(rng)
    if rng.random() < 0.4:
        return parts
    low = max(p.vertices[:, 2].max() for p in parts) - rng.uniform(0.28, 0.34)
    x = rng.choice([-1, 1]) * rng.uniform(0.16, 0.22)
    return [*parts, box(0.12, 0.12, 0.3, 4, 0.012).moved(x, 0.1, low + 0.15)]


def _cottage(rng: np.random.Generator) -> list[Mesh]:
    x, y = rng.uniform(0.28, 0.36), rng.uniform(0.26, 0.38)
    wall, ridge = rng.uniform(0.34, 0.48), rng.uniform(0.24, 0.38)
    body = [(-x, 0), (x, 0), (x, wall), (0, wall + ridge), (-x, wall)]
    slope = ridge / x
    over = 0.09
    lift = 0.05 * np.hypot(1, slope)
    roof = []
    for s in (-1, 1):
        edge = (s * (x + over), wall - slope * over)
        top, low = [edge, (0, wall + ridge)], [(0, wall + ridge), edge]
        outline = [(px, pz + lift) for px, pz in top] + [(px, pz - lift * 0.9) for px, pz in low]
        roof.append(prism(outline[::-1] if s > 0 else outline[::-1][::-1], 2 * y + 0.14, 1))
    roof[0] = _facing_out(roof[0])
    roof[1] = _facing_out(roof[1])
    parts = [prism(body, 2 * y, 0), *roof, _door(0.16, 0.27, -y, 2).moved(x=rng.choice([0.0, -0.12, 0.12]) * x / 0.3)]
    if rng.random() < 0.7:
        size = rng.uniform(0.06, 0.08)
        parts.append(cylinder(size, -0.045, 0.045, 3, segments=24).turned(90, "x").moved(y=-y, z=wall + ridge * 0.25))
    z = wall * 0.6
    parts += [box(0.09, 0.14, 0.14, 3, 0.01).moved(s * x, rng.uniform(-0.05, 0.05), z) for s in (-1, 1)]
    return parts


def _facing_out(mesh: Mesh) -> Mesh:
    """Return a closed mesh with its faces turned outward, judged by its volume."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum()
    return mesh if volume > 0 else Mesh(mesh.vertices, mesh.faces[:, ::-1].copy(), mesh.slots)


def _tower(rng: np.random.Generator) -> list[Mesh]:
    radius, wall, rise = rng.uniform(0.24, 0.32), rng.uniform(0.42, 0.6), rng.uniform(0.34, 0.5)
    parts = [cylinder(radius, 0, wall + 0.05, 0, radius * rng.uniform(0.85, 1.0), 40)]
    brim = radius + rng.uniform(0.07, 0.12)
    parts.append(
        lathe(
            np.array(
                [(0, wall), (brim, wall), (brim, wall + 0.05), (brim * 0.45, wall + rise * 0.6), (0, wall + rise)]
            ),
            1,
        )
    )
    parts.append(_door(0.17, 0.27, -radius + 0.01, 2))
    for turn in (-60, 60):
        window = box(0.13, 0.12, 0.13, 3, 0.01).moved(y=-radius * 0.95, z=wall * 0.68)
        parts.append(window.turned(turn))
    return parts


def tree(rng: np.random.Generator) -> list[Mesh]:
    """A fir of stacked cones or a round tree with fruit, on a patch of ground."""
    trunk = rng.uniform(0.06, 0.09)
    ground = rng.uniform(0.2, 0.28)
    parts = [lathe(np.array([(0, 0), (ground, 0), (ground * 0.85, 0.055), (0, 0.06)]), 4)]
    if rng.random() < 0.5:
        count = int(rng.integers(2, 5))
        start, wide = rng.uniform(0.2, 0.3), rng.uniform(0.3, 0.4)
        step = (0.94 - start) / count
        parts.append(cylinder(trunk, 0.05, start + 0.03, 0, trunk * 0.85, 20))
        for n in range(count):
            low, radius = start + n * step, wide * (1 - 0.62 * n / count)
            high = min(1.0, low + step * 1.55) if n < count - 1 else 1.0
            profile = [(0, low + 0.03), (radius * 0.95, low), (radius, low + 0.03), (0, high)]
            parts.append(lathe(np.array(profile), 1 if n % 2 == 0 else 2))
        if rng.random() < 0.5:
            parts.append(ellipsoid(0.06, 0.06, 0.06, 3, 10, 18).moved(z=1.01))
        return parts
    crown, z = rng.uniform(0.27, 0.34), rng.uniform(0.6, 0.66)
    parts.append(cylinder(trunk, 0.05, z, 0, trunk * 0.7, 20))
    flat = rng.uniform(0.85, 1.1)
    parts.append(ellipsoid(crown, crown, crown * flat, 1).moved(z=z))
    start = rng.uniform(0, 360)
    clumps = int(rng.choice([0, 3, 4, 5]))
    for n in range(clumps):
        size = crown * rng.uniform(0.55, 0.7)
        clump = ellipsoid(size, size, size, 2 if n == 0 else 1, 14, 24)
        parts.append(clump.moved(crown * 0.6, 0, z - rng.uniform(0.02, 0.14)).turned(start + n * 360 / clumps))
    for n in range(int(rng.integers(0, 6))):
        t, turn = rng.uniform(0.3, 1.0), n * 137.5 + start
        fruit = ellipsoid(0.055, 0.055, 0.055, 3, 10, 16)
        parts.append(fruit.moved(crown * np.cos(t), 0, z + crown * flat * np.sin(t)).turned(turn))
    return parts


def snowman(rng: np.random.Generator) -> list[Mesh]:
    """A snowman that looks towards -Y: hat, carrot, eyes, buttons, scarf and arms."""
    low, mid = rng.uniform(0.25, 0.32), rng.uniform(0.19, 0.23)
    head = rng.uniform(0.14, 0.17)
    tall = rng.random() < 0.65
    parts = [ellipsoid(low, low, low * 0.9, 0).moved(z=low * 0.85)]
    z = low * 1.6
    body, middle = low, low * 0.85
    if tall:
        z += mid * 0.55
        parts.append(ellipsoid(mid, mid, mid, 0).moved(z=z))
        body, middle = mid, z
        z += mid * 0.85
    neck = z
    z += head * 0.72
    parts.append(ellipsoid(head, head, head, 0).moved(z=z))
    nose = cylinder(0.042, 0, rng.uniform(0.14, 0.2), 1, 0.0, 16)
    parts.append(nose.turned(90, "x").moved(y=-head + 0.03, z=z))
    for s in (-1, 1):
        eye = ellipsoid(0.033, 0.033, 0.033, 4, 8, 14)
        parts.append(eye.moved(y=-head).turned(9, "x").turned(s * 26).moved(z=z + 0.05))
    for angle in (-22, 0, 22)[: int(rng.integers(2, 4))]:
        button = ellipsoid(0.036, 0.036, 0.036, 4, 8, 14).moved(y=-body)
        parts.append(button.turned(angle, "x").moved(z=middle))
    parts.append(torus(head * 0.86, 0.05, 3, 12, 36).moved(z=neck))
    if rng.random() < 0.6:
        parts.append(box(0.09, 0.05, 0.17, 3, 0.02).moved(0.09, -body * 0.86 - 0.01, neck - 0.08))
    for s in (-1, 1):
        path = curve([(s * body * 0.85, 0, middle + 0.04), (s * (body + 0.12), 0, middle + 0.1)], 6)
        path = np.concatenate([path, [[s * (body + 0.22), 0, middle + rng.uniform(0.12, 0.24)]]])
        parts.append(tube(path, 0.032, 4, segments=10))
    if rng.random() < 0.7:
        brim = head * rng.uniform(1.15, 1.4)
        top = z + head * 0.62
        parts.append(cylinder(brim, top, top + 0.05, 2))
        parts.append(cylinder(head * 0.85, top + 0.045, top + rng.uniform(0.17, 0.26), 2, head * rng.uniform(0.7, 0.9)))
    return parts
