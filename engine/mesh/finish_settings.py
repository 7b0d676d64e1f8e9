# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user or a model set may choose about finishing, each checked with one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import EspalierError
from .repair.repair import RepairOptions, keep_as_generated, repair, replace_by_skin

REPAIRS = {"as_generated": keep_as_generated, "clean": repair, "watertight": replace_by_skin}
"""What mends a surface, by the name of the setting."""

# The default number of faces asks for no more than the voxels can carry and a viewport likes.
DEFAULT_FACES = 60_000

FEWEST_FACES = 4
SMALLEST_TEXTURE = 64
LARGEST_TEXTURE = 8192
MOST_SMOOTHING = 200
"""Passes; long before that a surface stops changing to the eye."""
THICKEST = 0.2
MOST_LODS = 8


@dataclass(frozen=True)
class FinishSettings:
    """How a surface is finished. Raises EspalierError("bad_settings") for what cannot be done.

    target_faces: at most this many faces; ratio: this share of the repaired surface's faces, above 0 and up to 1. One
    of the two may be given; with neither it is ``DEFAULT_FACES``. texture_size: texels along a side. repair:
    "as_generated" keeps the generated surface with all its holes and pieces, only welded and wound; "clean" also
    closes small holes and removes crumbs; "watertight" takes the closed outer skin of its voxels instead. smoothing:
    passes of low-pass filtering before anything else is made of the surface; 0 for none.

    Shares of the object's longest side: hole_length, up to which openings are closed (None: sixteen voxels);
    floater_size, below which loose pieces go (None: a fiftieth of the largest piece, unless the object is made of such
    pieces); thickness, of what single sheets become in "watertight" (0: as they come).

    lods: coarser versions to be made, as shares of the finished faces, falling. occlusion: whether ambient occlusion is
    baked. normal_map: whether a simplified surface gets a map of the normals it had.
    """

    target_faces: int | None = None
    ratio: float | None = None
    texture_size: int = 1024
    repair: str = "clean"
    smoothing: int = 0
    hole_length: float | None = None
    floater_size: float | None = None
    thickness: float = 0.0
    lods: tuple[float, ...] = ()
    occlusion: bool = True
    normal_map: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.repair, str) or self.repair not in REPAIRS:
            raise _refused(f"There is no repair {_shown(self.repair)}: choose {' or '.join(REPAIRS)}.")
        _whole("texture_size", self.texture_size, SMALLEST_TEXTURE, LARGEST_TEXTURE)
        _whole("smoothing", self.smoothing, 0, MOST_SMOOTHING)
        if self.target_faces is not None:
            _whole("faces", self.target_faces, FEWEST_FACES, None)
        if self.ratio is not None:
            _share("ratio", self.ratio)
            if self.ratio == 0:
                raise _refused(
                    "The setting ratio is 0, and an object needs faces: choose a number above 0 and up to 1."
                )
            if self.target_faces is not None:
                raise _refused("Both faces and ratio say how many faces the object shall have: give only one of them.")
        if self.hole_length is not None:
            _share("hole_length", self.hole_length)
        if self.floater_size is not None:
            _share("floater_size", self.floater_size)
        _share("thickness", self.thickness, THICKEST)
        if self.thickness and self.repair != "watertight":
            raise _refused("Only the repair “watertight” thickens sheets: choose it, or leave the thickness out.")
        _check_lods(self.lods)
        true_or_false("occlusion", self.occlusion)
        true_or_false("normal_map", self.normal_map)

    def faces_of(self, count: int) -> int:
        """At most how many faces a repaired surface of ``count`` faces shall have."""
        if self.ratio is not None:
            return max(FEWEST_FACES, round(self.ratio * count))
        return DEFAULT_FACES if self.target_faces is None else self.target_faces

    def repair_options(self) -> RepairOptions:
        """What the repair has to know."""
        return RepairOptions(self.hole_length, self.floater_size, self.thickness)


def _whole(name: str, value: Any, least: int, most: int | None) -> None:
    if type(value) is not int:
        raise _refused(f"The setting {name} is {_shown(value)} and should be a whole number.")
    if value < least or (most is not None and value > most):
        span = f"a whole number from {least}" if most is None else f"a whole number from {least} to {most}"
        raise _refused(f"The setting {name} is {_shown(value)}, which is not possible: choose {span}.")


def _share(name: str, value: Any, most: float = 1) -> None:
    if type(value) is not int and not (type(value) is float and math.isfinite(value)):
        raise _refused(f"The setting {name} is {_shown(value)} and should be a number from 0 to {most}.")
    if not 0 <= value <= most:
        raise _refused(
            f"The setting {name} is {_shown(value)}, which is not possible: choose a number from 0 to {most}."
        )


def _check_lods(shares: Any) -> None:
    if not isinstance(shares, tuple) or len(shares) > MOST_LODS:
        raise _refused(f"The setting lods should be a list of at most {MOST_LODS} shares, for example 0.5 and 0.25.")
    before: float = 1
    for share in shares:
        _share("lods", share)
        if not 0 < share < before:
            raise _refused("The shares in lods have to fall, each below 1 and above 0, for example 0.5 and 0.25.")
        before = share


def true_or_false(name: str, value: Any) -> None:
    """Raise EspalierError("bad_settings") unless the value of a setting is a truth value."""
    if not isinstance(value, bool):
        raise _refused(f"The setting {name} is {_shown(value)}, which is neither true nor false.")


def _shown(value: Any) -> str:
    """A value as a sentence may quote it, however long it is."""
    if type(value) is int and abs(value) >= 10**15:
        return "a number with too many digits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _refused(sentence: str) -> EspalierError:
    return EspalierError("bad_settings", sentence)


DEFAULTS = FinishSettings()
