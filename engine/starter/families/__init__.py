# SPDX-License-Identifier: GPL-3.0-or-later
"""Parametric families: each takes a random generator and returns parts in its own units, Z up, front towards -Y.

Slots 0 to 4 are opaque, slot 5 is glass. Parts are at least about 0.045 of the longest side thick (three voxels of 64)
and surfaces that do not touch are kept 1.5 voxels apart, so that voxels can tell them from one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..parts import Mesh
from .furniture import chair, lamp, table
from .outdoors import house, mushroom, rocket, snowman, tree
from .treats import donut, gift
from .vessels import mug, potion, vase

FAMILIES: dict[str, Callable[[np.random.Generator], Sequence[Mesh]]] = {
    "mug": mug,
    "table": table,
    "chair": chair,
    "lamp": lamp,
    "vase": vase,
    "mushroom": mushroom,
    "rocket": rocket,
    "gift": gift,
    "donut": donut,
    "house": house,
    "potion": potion,
    "tree": tree,
    "snowman": snowman,
}
"""Name -> builder; the order decides which family a seed belongs to."""
