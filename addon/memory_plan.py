# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a quality of the published model fits the memory of this computer, as the engine has planned it.

The plan is ``session.planning.plan``: what the engine's command ``models plan`` says, None until it was asked. It has a
plan with the weights as they are and one with 8-bit weights (``int8``), and says why FP8 cannot be had (``no_fp8``).
"""

from . import ids
from .languages import iface_
from .properties import QUALITIES
from .request import KINDS
from .session import session

GIB = 2**30
LABELS = {name: label for name, label, _ in QUALITIES}


def too_big(kind, quality, int8):
    """Why a quality ("DRAFT", ...) cannot be had for a job of ``kind`` here, as a sentence; "" when it can."""
    plan = _plan(kind, quality, int8)
    if plan is None or plan["mode"] != "too_big":
        return ""
    name = iface_(LABELS[quality], ids.CONTEXT)
    values = {"name": name, "needed": plan["peak_bytes"] / GIB, "there": session.planning.plan["total"] / GIB}
    if session.planning.plan["device"] == "cuda":
        return iface_(
            "{name} does not fit: it needs {needed:.1f} GB at once, and this card has {there:.1f} GB", **values
        )
    return iface_(
        "{name} does not fit: it needs {needed:.1f} GB at once, and this computer has {there:.1f} GB", **values
    )


def in_words(kind, quality, int8):
    """How a quality goes with the memory there is, in a few words; "" while nobody knows."""
    plan = _plan(kind, quality, int8)
    if plan is None or plan["mode"] == "too_big":
        return too_big(kind, quality, int8)
    takes, there = plan["peak_bytes"] / GIB, session.planning.plan["total"] / GIB
    if session.planning.plan["device"] == "cuda":
        if plan["mode"] == "turns":
            return iface_("{there:.0f} GB card: its networks take turns in {takes:.1f} GB", there=there, takes=takes)
        return iface_("{there:.0f} GB card: it fits, in {takes:.1f} GB", there=there, takes=takes)
    if plan["mode"] == "turns":
        return iface_("{there:.0f} GB of memory: its networks take turns in {takes:.1f} GB", there=there, takes=takes)
    return iface_("{there:.0f} GB of memory: it fits, in {takes:.1f} GB", there=there, takes=takes)


def no_fp8():
    """Why this computer has no FP8 products, as a sentence; "" when it has, and while nobody knows."""
    return "" if session.planning.plan is None else session.planning.plan["no_fp8"]


def _plan(kind, quality, int8):
    """What the engine says of a quality, None while it has said nothing."""
    if session.planning.plan is None:
        return None
    return session.planning.plan["int8" if int8 else "plans"].get(kind, {}).get(KINDS[kind][quality])
