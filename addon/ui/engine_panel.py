# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Engine" of the panel: what computes, how much memory it holds, and how to get that back."""

from .. import ids
from ..client import EngineState
from ..languages import iface_
from ..session import session
from .text import draw_sentence


def draw_engine(layout, context):
    """The state in the header, so that it can be seen while the section is closed; details and buttons below."""
    header, body = layout.panel(ids.SECTION_ENGINE, default_closed=True)
    engine = session.queue.engine if session.queue is not None else None
    # The heading is short, and the rest of the line long.
    row = header.split(factor=0.25)
    row.label(text="Engine")
    row.label(text=summary(engine), translate=False)
    if body is None:
        return
    column = body.column(align=True)
    for line in describe(engine):
        draw_sentence(column, line, context)
    row = body.row(align=True)
    row.operator(ids.OP_FREE_MEMORY)
    row.operator(ids.OP_STOP_ENGINE)
    row = body.row(align=True)
    row.operator(ids.OP_OPEN_LOG)
    row.operator(ids.OP_COPY_REPORT)
    body.operator(ids.OP_OPEN_PREFERENCES, text="Preferences")


def summary(engine):
    """The engine in a few words: that it is off, or its device and what it holds and leaves of the memory that matters
    to it.
    """
    if engine is None or engine.state is EngineState.STOPPED:
        return iface_("Off")
    if engine.hello is None:
        return iface_("Getting ready")
    memory = engine.memory
    on_card = engine.hello["device"].get("type") == "cuda"
    used, free = ("device_used", "device_free") if on_card else ("used", "free")
    device = _short(engine.hello["device"].get("name", "")) if on_card else "CPU"
    if not memory.get(used):
        return device or iface_("Ready")
    text = "{device} · {used:.1f} GB, {free:.1f} free"
    return iface_(text, device=device, used=memory[used] / 2**30, free=memory.get(free, 0) / 2**30)


def _short(name):
    """The name of a card without its maker's."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def describe(engine):
    """Lines about the engine: its device, its memory and what is free of it, versions, as far as it has told them."""
    if engine is None or engine.state is EngineState.STOPPED:
        return [iface_("Not running, holds no memory")]
    if engine.hello is None:
        return [iface_("Getting ready")]
    device, memory = engine.hello["device"], engine.memory
    lines = [str(device.get("name") or device.get("type") or iface_("Processor"))]
    for used, free, text in (
        ("device_used", "device_free", "{used:.1f} GB used, {free:.1f} GB free (card)"),
        ("used", "free", "{used:.1f} GB used, {free:.1f} GB free (computer)"),
    ):
        if memory.get(used):
            lines.append(iface_(text, used=memory[used] / 2**30, free=memory.get(free, 0) / 2**30))
    lines.append(f"torch {engine.hello['torch'] or iface_('missing')}, Python {engine.hello['python']}")
    return lines
