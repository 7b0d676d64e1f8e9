# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: engine, network, models and storage, each with its state and the button that helps."""

import bpy

from .. import ids, preferences
from ..client import ClientError
from ..client.install import carries_wheels
from ..languages import iface_, told
from ..request import STARTER
from ..session import session
from .jobs import MODEL_NAMES
from .text import draw_progress, draw_sentence, megabytes, settings_column

# What the self-test looks at, as the engine calls it, and what its marks mean.
CHECKS = {
    "system": "System",
    "device": "Device",
    "memory": "Memory",
    "data": "Data Folder",
    "packages": "Packages",
    "backends": "Optional Packages",
    "models": "Models",
    "self-test": "Trial Run",
}
MARKS = {"ok": "CHECKMARK", "note": "INFO", "broken": "ERROR"}
STATES = {"ready": "CHECKMARK", "partial": "SORTTIME", "damaged": "ERROR", "missing": "BLANK1"}


def draw_preferences(layout, context, owner):
    """Everything, top to bottom in the order in which it is set up."""
    _draw_engine(layout.box(), context, owner)
    _draw_models(layout.box(), context, owner)
    _draw_storage(layout.box(), owner)
    _draw_self_test(layout.box(), context)
    for message in session.messages[-1:]:
        if message.is_error:
            column = layout.column()
            column.alert = True
            draw_sentence(column, f"{told(message.text)} {told(message.hint)}".rstrip(), context, "ERROR")
            column.operator(ids.OP_OPEN_LOG, icon="TEXT")


def _draw_engine(box, context, owner):
    box.label(text="Engine", icon="SYSTEM")
    if session.install is not None:
        draw_progress(box, session.install.fraction, session.install.text, ids.OP_CANCEL_INSTALL)
    else:
        _draw_engine_state(box, context)
    column = settings_column(box)
    column.prop(owner, "engine_python")
    column.prop(owner, "live_preview")
    column.prop(owner, "idle_minutes", text="Stop When Idle (min)")
    _draw_online(box, context)


def _draw_engine_state(box, context):
    try:
        python = preferences.engine_python()
    except ClientError as error:
        draw_sentence(box, error.sentence, context, "ERROR")
        return
    row = box.row()
    if python is None:
        row.label(text="There is no engine yet", icon="INFO")
        row.operator(ids.OP_INSTALL_ENGINE, icon="IMPORT")
        return
    row.label(text=str(python.path), icon="CHECKMARK", translate=False)
    if python.origin == "managed":
        row.operator(ids.OP_INSTALL_ENGINE, text="Install Again", icon="FILE_REFRESH")


def _draw_online(box, context):
    if bpy.app.online_access:
        box.label(text="Blender may go online: only the buttons here that say Download or Install do", icon="CHECKMARK")
        return
    if not carries_wheels(preferences.EXTENSION):
        draw_sentence(box, "Blender may not go online, so nothing can be downloaded.", context, "INFO")
    box.operator(ids.ALLOW_ONLINE, text="Allow Online Access", icon="CHECKMARK")


def _draw_models(box, context, owner):
    box.label(text="Models", icon="OUTLINER_DATA_MESH")
    if session.task is not None and session.task.name == "models":
        draw_progress(box, session.task.fraction, session.task.text or "Looking for models", ids.OP_CANCEL_TASK)
    session.want_models()
    if session.models is None:
        if session.task is None:
            box.operator(ids.OP_LIST_MODELS, icon="VIEWZOOM")
    else:
        for entry in session.models:
            _draw_model(box, context, entry)
    row = box.row()
    row.operator(ids.OP_IMPORT_MODEL, icon="FILE_FOLDER")
    column = settings_column(box)
    placeholder = str(preferences.data() / "models" / "TRELLIS.2-4B")
    column.prop(owner, "trellis2_folder", placeholder=placeholder)


def _draw_model(box, context, entry):
    name, state, size = str(entry.get("set")), entry.get("state"), entry.get("size", 0)
    row = box.row()
    label = iface_(MODEL_NAMES.get(name, name))
    row.label(text=label, icon=STATES.get(state, "BLANK1"), translate=False)
    licences = ", ".join(dict.fromkeys(part["licence"] for part in entry.get("repositories", ())))
    row.label(text=" · ".join(filter(None, [megabytes(size) if size else "", licences])), translate=False)
    if name == STARTER:
        row.label(text="Comes with Espalier")
    elif state == "ready":
        row.operator(ids.OP_REMOVE_MODEL, text="Remove", icon="TRASH").model = name
    else:
        download = row.operator(
            ids.OP_DOWNLOAD_MODEL, text="Go On" if state == "partial" else "Download", icon="IMPORT"
        )
        download.model = name
    note = box.column()
    note.active = False
    draw_sentence(note, str(entry.get("purpose", "")), context, "BLANK1")


def _draw_storage(box, owner):
    box.label(text="Disk Space", icon="DISK_DRIVE")
    column = settings_column(box)
    column.prop(owner, "data_folder", placeholder=str(preferences.data()))
    column.prop(owner, "storage_limit", text="Keep at Most (GB)")
    if session.shelf is not None and session.shelf.entries:
        size = megabytes(session.shelf.size())
        box.label(text=iface_("{count} results, {size}", count=len(session.shelf.entries), size=size), translate=False)


def _draw_self_test(box, context):
    row = box.row()
    row.label(text="Self-Test", icon="EXPERIMENTAL")
    row.operator(ids.OP_SELF_TEST, icon="PLAY")
    is_running = session.task is not None and session.task.name == "doctor"
    if is_running:
        draw_progress(box, session.task.fraction, "Looking at this computer", ids.OP_CANCEL_TASK)
    for event in session.task.events if is_running else session.findings:
        if event["event"] == "finding":
            _draw_finding(box, context, event)
        elif event["event"] == "verdict":
            draw_sentence(box, str(event.get("text", "")), context, "CHECKMARK" if event.get("usable") else "ERROR")


def _draw_finding(box, context, event):
    """What one check found: its name with a mark where something costs or is broken, then all that it says."""
    column = box.column(align=True)
    name = str(event.get("name"))
    column.label(text=iface_(CHECKS.get(name, name)), icon=MARKS.get(event.get("state"), "BLANK1"), translate=False)
    for line in event.get("lines", ()):
        draw_sentence(column, str(line), context, "BLANK1")
