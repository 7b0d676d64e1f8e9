# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about finishing, which ``generate`` and ``finish`` have alike."""

from __future__ import annotations

import argparse
import math

from ..request import LODS, REPAIRS

MOST_LODS = 8
THICKEST = 0.2


def add_finishing(command, again):
    """Add the options; ``again`` says that what is left out is as it was."""
    own = "the model's own"

    def otherwise(text):
        return f"(default: {'as it was' if again else text})"

    group = command.add_argument_group(
        "finishing", "A SHARE of the faces, or of the object's longest side, is a number such as 0.02, or 2%."
    )
    faces = group.add_mutually_exclusive_group()
    faces.add_argument("--faces", type=whole(4), metavar="N", help=f"at most this many triangles {otherwise(60000)}")
    faces.add_argument(
        "--ratio", type=share(), metavar="SHARE", help="this share of the mended surface's triangles; 1 keeps them all"
    )
    group.add_argument("--repair", choices=REPAIRS, help=f"how the surface is mended {otherwise(own)}")
    group.add_argument(
        "--smoothing", type=whole(0, 200), metavar="N", help=f"passes of smoothing, 0 to 200 {otherwise(own)}"
    )
    group.add_argument(
        "--hole-length",
        type=share(0),
        metavar="SHARE",
        help=f"close holes with a rim up to this long {otherwise('16 voxels')}",
    )
    group.add_argument(
        "--floater-size",
        type=share(0),
        metavar="SHARE",
        help=f"remove loose pieces smaller than this {otherwise('crumbs')}",
    )
    group.add_argument(
        "--thickness",
        type=share(most=THICKEST),
        metavar="SHARE",
        help="make single sheets this thick; only with --repair watertight (default: as thin as they come)",
    )
    group.add_argument(
        "--lods",
        type=lods,
        nargs="?",
        const=LODS,
        metavar="SHARES",
        help="also levels of detail with these shares of the faces, such as 0.5,0.25,0.12, which is what --lods alone "
        f"means; “none” makes none {otherwise('none')}",
    )
    _add_switch(group, "--occlusion", f"ambient occlusion in the maps {otherwise('yes')}")
    _add_switch(group, "--normal-map", f"a normal map where the mesh was simplified {otherwise('yes')}")
    group.add_argument(
        "--draft", action="store_true", help="every face, with materials at the vertices: no maps, for a quick look"
    )
    command.set_defaults(check=check)


def asked(options):
    """The settings of a request that the options name; what is left out is left out."""
    names = ("faces", "ratio", "repair", "smoothing", "hole_length", "floater_size", "thickness", "lods")
    settings = {name: getattr(options, name) for name in (*names, "occlusion", "normal_map")}
    if settings["lods"] is not None:
        settings["lods"] = list(settings["lods"])
    return {"draft": options.draft, **{name: value for name, value in settings.items() if value is not None}}


def check(options):
    """Why these options do not fit each other, as a sentence; "" when they do."""
    if options.thickness and options.repair != "watertight":
        return "--thickness is for closed solids: give --repair watertight with it."
    return ""


def whole(least, most=None):
    """Return a type for argparse: a whole number from ``least`` (to ``most``)."""

    def parse(text):
        span = f"from {least} to {most}" if most is not None else f"from {least}"
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"“{text}” is not possible: give a whole number {span}.")
        return number

    return parse


def share(least=None, most=1.0):
    """Return a type for argparse: a share from ``least`` (None: above 0) to ``most``, or a percentage such as 2%."""

    def parse(text):
        number = _number(text)
        if not (0 if least is None else least) <= number <= most or (least is None and number == 0):
            span = f"above 0 and up to {most:g}" if least is None else f"from {least} to {most:g}"
            raise argparse.ArgumentTypeError(f"“{text}” is no share: give a number {span}, or a percentage such as 2%.")
        return number

    return parse


def lods(text):
    """The shares of levels of detail, for argparse: falling, each above 0 and below 1; ``none`` for none."""
    if text == "none":
        return ()
    shares = tuple(_number(part) for part in text.split(","))
    falling = all(first > second for first, second in zip((1.0, *shares), (*shares, 0.0)))
    if not falling or len(shares) > MOST_LODS:
        raise argparse.ArgumentTypeError(
            f"“{text}” is no list of shares: give up to {MOST_LODS}, each smaller than the one before, such as "
            "0.5,0.25,0.12; or none."
        )
    return shares


def _number(text):
    """A number or a percentage; not a number for what is neither."""
    plain = text.strip()
    try:
        return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        return math.nan


def _add_switch(group, name, text):
    group.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
