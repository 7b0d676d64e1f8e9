# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer that moves jobs on in Blender's window. In background there are no timers: ``cli`` pumps by itself."""

import time
import traceback

import bpy

from . import compat, placing, preferences, results
from .client import Problem
from .live_view import live_view
from .session import session

BUSY_SECONDS = 0.05
IDLE_SECONDS = 0.5
TICK_SECONDS = 0.01
REDRAW_SECONDS = 0.2

_opened = 0
_last_redraw = 0.0
_redraw_due = False


def start():
    """Begin ticking. The timer outlives the loading of files."""
    bpy.app.timers.register(_tick, first_interval=IDLE_SECONDS, persistent=True)


def stop():
    """Stop ticking."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    live_view.remove()


def _tick():
    try:
        return _move_on()
    except Exception:
        # Blender drops a timer that raises, and with it every job of the session.
        session.tell(
            Problem("internal", "Something went wrong in the panel. Open the log, and report it.", "", _note())
        )
        return IDLE_SECONDS


def _note():
    """Write the exception at hand into a log and return the file, "" where that cannot be."""
    log = preferences.data() / "logs" / "blender.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return ""
    return str(log)


def _move_on():
    global _opened, _redraw_due
    end = time.monotonic() + TICK_SECONDS
    changed = session.poll(TICK_SECONDS)
    # A file that is opened brings a window manager without rows.
    if changed or _opened != session.opened:
        _opened, _redraw_due = session.opened, True
        results.sync(bpy.context.window_manager)
    job = session.current() if preferences.live_preview() else None
    order = session.orders.get(job.id) if job is not None else None
    order = order if order is not None and order.opened == session.opened else None
    if live_view.follow(job, order, end - time.monotonic()):
        _redraw_viewports()
    placed = bool(session.ready) and _place()
    _redraw_due |= placed
    _redraw(session.is_busy())
    return BUSY_SECONDS if placed or session.is_busy() or session.is_reading() else IDLE_SECONDS


def _place():
    """Place the first result that nothing stands against; true when one was placed."""
    context = bpy.context
    for job_id in session.ready:
        if not placing.obstacle(job_id, context):
            place(job_id, context)
            return True
    return False


def place(job_id, context):
    """Run the operator that builds a result, as one undo step, and give back the memory that it no longer needs."""
    order = session.orders[job_id]
    window = placing.window_for(placing.target_scene(order, context), context)
    operator = getattr(bpy.ops.espalier, order.operator.partition(".")[2])
    try:
        with context.temp_override(window=window):
            operator("EXEC_DEFAULT", True, job=job_id)
    except RuntimeError as error:
        # The operator's report of type ERROR arrives as an exception; it has told the session already.
        if job_id in session.ready:
            session.not_built(job_id, str(error).strip())
    # Building takes several times the memory of what is built.
    compat.return_freed_memory()


def _redraw_viewports():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def _redraw(is_busy):
    """Redraw our panels when something changed, a few times a second; the time left counts down in between."""
    global _last_redraw, _redraw_due
    now = time.monotonic()
    if not (_redraw_due and now - _last_redraw >= REDRAW_SECONDS) and not (is_busy and now - _last_redraw >= 1.0):
        return
    _last_redraw, _redraw_due = now, False
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "IMAGE_EDITOR", "PREFERENCES"}:
                for region in area.regions:
                    if region.type in {"UI", "WINDOW"} and (area.type == "PREFERENCES" or region.type == "UI"):
                        region.tag_redraw()
