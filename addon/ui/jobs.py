# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections "Queue" and "Results" of the panel."""

import contextlib
import time

import bpy

from .. import finish_settings, ids, preferences, results
from ..languages import iface_
from ..remedies import Remedy, remedies
from ..request import STARTER, TRELLIS2
from ..session import session
from .remedies import draw_remedies
from .text import draw_sentence, megabytes
from .thumbnails import icon, picture_of

# The queue shows this many jobs; the rest is a number.
MAX_QUEUED = 8
STATE_ICONS = {"built": "CHECKMARK", "finished": "IMPORT", "failed": "ERROR", "cancelled": "X"}
MODEL_NAMES = {STARTER: "Starter", TRELLIS2: "TRELLIS.2-4B"}
STATES = {"built": "In a scene", "finished": "Not in a scene yet", "failed": "Failed", "cancelled": "Cancelled"}


def draw_queue(layout, context):
    """Jobs that wait, in their order, and those that waited when a Blender ended; nothing when there are none."""
    queue, waiting = session.queue, session.waiting()
    _draw_forsaken(layout, context)
    if not waiting:
        return
    header, body = layout.panel(ids.SECTION_QUEUE, default_closed=False)
    header.label(text=iface_("Queue ({count})", count=len(waiting)), translate=False)
    if body is None:
        return
    column = body.column(align=True)
    for job in waiting[:MAX_QUEUED]:
        _draw_waiting(column, job)
    if len(waiting) > MAX_QUEUED:
        column.label(text=iface_("and {count} more", count=len(waiting) - MAX_QUEUED), icon="BLANK1", translate=False)
    row = body.row(align=True)
    row.operator(
        ids.OP_QUEUE_HOLD,
        text="Go On" if queue.on_hold else "Pause",
        icon="PLAY" if queue.on_hold else "PAUSE",
        depress=queue.on_hold,
    )
    row.operator(ids.OP_QUEUE_CLEAR, icon="TRASH")


def _draw_waiting(column, job):
    row = column.row(align=True)
    row.label(text=job.name, icon_value=icon(picture_of(job.folder)), translate=False)
    move = row.operator(ids.OP_QUEUE_MOVE, text="", icon="TRIA_UP")
    move.job, move.places = job.id, -1
    move = row.operator(ids.OP_QUEUE_MOVE, text="", icon="TRIA_DOWN")
    move.job, move.places = job.id, 1
    row.operator(ids.OP_QUEUE_REMOVE, text="", icon="X").job = job.id


def _draw_forsaken(layout, context):
    jobs = session.shelf.forsaken() if session.shelf is not None else []
    if not jobs:
        return
    if len(jobs) == 1:
        text = iface_("“{name}” was waiting when Blender was closed.", name=jobs[0].name)
    else:
        text = iface_("{count} jobs were waiting when Blender was closed.", count=len(jobs))
    draw_sentence(layout, text, context, "TIME")
    row = layout.row(align=True)
    row.operator(ids.OP_QUEUE_EARLIER, text="Run", icon="PLAY")
    row.operator(ids.OP_DISCARD_EARLIER, text="Discard", icon="TRASH")


class ESPALIER_UL_results(bpy.types.UIList):
    bl_idname = "ESPALIER_UL_results"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        entry = session.shelf.entries.get(item.name) if session.shelf is not None else None
        if entry is None:
            layout.label(text=item.name, translate=False)
            return
        row = layout.row()
        row.label(
            text=entry.job.name, icon_value=icon(entry.job.preview or picture_of(entry.job.folder)), translate=False
        )
        row.label(text="", icon=STATE_ICONS.get(entry.job.state, "QUESTION"))


def draw_results(layout, context):
    """What was made, newest first, and what can be done with it. To look is to have the store read."""
    header, body = layout.panel(ids.SECTION_RESULTS, default_closed=True)
    shelf = session.shelf
    if shelf is None or not shelf.ended():
        header.label(text="Results")
    else:
        header.label(text=iface_("Results ({count})", count=len(shelf.ended())), translate=False)
    if body is None:
        return
    if shelf is None or not shelf.ended():
        body.label(text="Nothing has been made yet")
        return
    manager = context.window_manager
    body.template_list("ESPALIER_UL_results", "", manager, "espalier_results", manager, "espalier_result", rows=4)
    entry = results.chosen(context)
    if entry is not None:
        _draw_entry(body, context, entry)
    _draw_storage(body, context, shelf)


def _draw_entry(layout, context, entry):
    job = entry.job
    split = layout.split(factor=0.35)
    split.template_icon(icon(job.preview or picture_of(job.folder)), scale=5.0)
    column = split.column(align=True)
    column.scale_y = 0.8
    for line in describe(entry):
        column.label(text=line, translate=False)
    if job.state in {"finished", "built"} and not job.is_texture:
        # What tells results of one image apart.
        settings = job.request.get("settings")
        finishing = finish_settings.describe(settings if isinstance(settings, dict) else {})
        draw_sentence(layout, finishing[:1].upper() + finishing[1:], context)
    if job.problem is not None and job.state == "failed":
        draw_sentence(layout, job.problem.sentence, context, "ERROR")
    _draw_use(layout, job)
    row = layout.row(align=True)
    if not job.is_texture:
        row.operator(ids.OP_VARIANTS, icon="DUPLICATE").job = job.id
    row.operator(ids.OP_RECALL, icon="SETTINGS").job = job.id
    row = layout.row(align=True)
    delete = iface_("Delete ({size})", size=megabytes(entry.size))
    row.operator(ids.OP_DELETE_RESULT, text=delete, icon="TRASH", translate=False).job = job.id
    row.operator(ids.OP_SHOW_FOLDER, text="", icon="FILE_FOLDER").job = job.id


def _draw_use(layout, job):
    """What can be made of a result, or what helps where there is none."""
    if job.state not in {"finished", "built"}:
        code = job.problem.code if job.problem is not None and job.state == "failed" else "interrupted"
        kind = str(job.request.get("kind") or "job")
        # Its settings can be had below in any case.
        draw_remedies(layout, [each for each in remedies(code, kind) if each != Remedy.SETTINGS], job.id)
        return
    row = layout.row(align=True)
    if job.is_texture:
        row.operator(ids.OP_PLACE_RESULT, text="Apply Texture", icon="TEXTURE").job = job.id
    else:
        row.operator(ids.OP_PLACE_RESULT, icon="IMPORT").job = job.id
        row.operator(ids.OP_FINISH_RESULT, icon="MOD_REMESH").job = job.id


def describe(entry):
    """What the panel says of a result: seed and model, when it was made, what became of it."""
    job = entry.job
    model = job.request.get("model")
    model = model.get("set", "") if isinstance(model, dict) else ""
    model = iface_(MODEL_NAMES.get(model, model))
    when = ""
    # A damaged folder may tell a time that no calendar has.
    with contextlib.suppress(OverflowError, OSError, ValueError):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created)) if job.created else ""
    seconds = sum(job.seconds.values())
    took = f", {seconds:.0f} s" if seconds else ""
    state = "Interrupted" if job.interrupted else STATES.get(job.state, job.state)
    seed = iface_("Seed {seed}, {model}", seed=job.request.get("seed", 0), model=model)
    return [seed, f"{when}{took}", iface_(state)]


def _draw_storage(layout, context, shelf):
    limit = preferences.storage_limit()
    if limit is None or shelf.size() <= limit:
        return
    text = iface_(
        "Results take {size}, more than the {limit} that the preferences allow.",
        size=megabytes(shelf.size()),
        limit=megabytes(limit),
    )
    draw_sentence(layout, text, context, "INFO")
    layout.operator(ids.OP_DELETE_OLDEST, icon="TRASH")
