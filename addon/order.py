# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asked for with a job: where its result goes. ``session`` keeps one for each; ``orders`` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from . import ids


@dataclass(frozen=True)
class Order:
    """Where the result of a job shall go: the scene by name, the place in it, and the file that was open then.

    ``collection`` is its name ("" for our own); with ``is_asset`` the object is marked as an asset with these ``tags``.
    """

    operator: ClassVar[str] = ids.OP_BUILD_RESULT
    scene: str
    location: tuple[float, float, float]
    size: float
    opened: int
    collection: str = ""
    is_asset: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _ObjectOrder:
    """Which object it is about: its scene, its name, and the identifier that it keeps in the file open then."""

    scene: str
    name: str
    uid: int
    opened: int


@dataclass(frozen=True)
class TextureOrder(_ObjectOrder):
    """Which object a texture is for, and what to tell about it."""

    operator: ClassVar[str] = ids.OP_APPLY_TEXTURE
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReplaceOrder(_ObjectOrder):
    """Which object a result takes the place of."""

    operator: ClassVar[str] = ids.OP_REPLACE_RESULT


AnyOrder = Order | TextureOrder | ReplaceOrder
