# SPDX-License-Identifier: GPL-3.0-or-later
"""What is going on: the engine's installation, the running job, the last message."""

import sys

import bpy

from .. import ids, placing, preferences, stages
from ..client import ClientError, EngineState
from ..client.install import carries_wheels, download_bytes, lock_files
from ..languages import iface_, told
from ..operators.make_visible import colours_to_show
from ..session import session
from .remedies import draw_remedies
from .text import draw_progress, draw_sentence, megabytes
from .thumbnails import icon, picture_of

# Of several objects textured one after the other, the reports of this many stay in view.
MAX_MESSAGES = 4


def draw_engine_state(layout, context):
    """Above everything else, only while there is no engine: what that means and the button that helps."""
    if session.install is not None:
        draw_progress(layout, session.install.fraction, session.install.text, ids.OP_CANCEL_INSTALL)
        return
    try:
        if preferences.engine_python() is not None:
            return
    except ClientError as error:
        draw_sentence(layout, error.sentence, context, "ERROR")
        layout.operator(ids.OP_OPEN_PREFERENCES, icon="PREFERENCES")
        return
    text = "There is no engine yet. It makes the objects on this computer: your images never leave it."
    draw_sentence(layout, text, context, "INFO")
    offline = carries_wheels(preferences.EXTENSION)
    if not bpy.app.online_access and not offline:
        draw_sentence(
            layout, "It is fetched once, for which Blender has to be allowed to go online.", context, "BLANK1"
        )
        layout.operator(ids.ALLOW_ONLINE, text="Allow Online Access", icon="CHECKMARK")
    least, most = expected_download()
    row = layout.row()
    row.scale_y = 1.5
    if offline or not most:
        row.operator(ids.OP_INSTALL_ENGINE, icon="IMPORT")
    else:
        text = "Install Engine ({size})" if least == most else "Install Engine (up to {size})"
        row.operator(ids.OP_INSTALL_ENGINE, text=iface_(text, size=megabytes(most)), icon="IMPORT", translate=False)
    layout.separator()


def expected_download():
    """What Install Engine is going to download, at least and at most, in bytes; zeros when no lock file fits this
    platform. Which of several it is shows while it runs: a torch without CUDA may have to be on the machine already.
    """
    locks = lock_files(preferences.EXTENSION)
    own = locks.get("cp{}{}".format(*sys.version_info[:2])) or next(iter(locks.values()), [])
    sizes = [download_bytes(lock) for lock in own]
    return min(sizes, default=0), max(sizes, default=0)


def draw_status(layout, context):
    """Below the Generate button: progress with Cancel while a job runs, else how the last one ended."""
    job = session.current()
    if job is not None:
        fraction, text = describe(job)
        draw_progress(layout, fraction, text, ids.OP_CANCEL, icon(picture_of(job.folder)))
    if session.intake is not None:
        left = iface_("{count} more images to be read", count=session.intake.left)
        layout.label(text=left, icon="FILE_IMAGE", translate=False)
    _draw_engine_trouble(layout, context)
    for job_id in session.ready:
        _draw_ready(layout, context, job_id)
    shown = session.messages[-MAX_MESSAGES:] if job is None else []
    for message in shown:
        _draw_message(layout, context, message)
    if any(message.job and not message.is_error for message in shown) and (kind := colours_to_show(context)):
        if kind == "TEXTURE":
            layout.operator(ids.OP_SHOW_TEXTURES, icon="TEXTURE")
        else:
            layout.operator(ids.OP_SHOW_TEXTURES, text="Show Colours", icon="TEXTURE")
    if any(message.is_error for message in shown):
        row = layout.row(align=True)
        row.operator(ids.OP_OPEN_LOG, icon="TEXT")
        row.operator(ids.OP_COPY_REPORT, text="", icon="COPYDOWN")
        row.operator(ids.OP_DISMISS, text="", icon="X")


def draw_notes(layout, context):
    """What there is to know of the job that runs, at the very end: nothing may move when a note arrives."""
    job = session.current()
    for note in job.notes if job is not None else ():
        _draw_note(layout, context, note)


def describe(job):
    """How far a job is: a fraction and a line such as ``Shape 12/24 · 40 s left``."""
    if job.cancelling:
        stuck = session.queue is not None and session.queue.engine.can_kill(job.id)
        return job.fraction or 0.0, iface_("Cancel again to end the engine" if stuck else "Cancelling")
    if not job.stage:
        state = session.queue.engine.state if session.queue is not None else None
        return 0.0, iface_("Starting the engine" if state is not EngineState.READY else "Getting ready")
    fraction = job.fraction if job.fraction is not None else stages.overall(job.stage, job.step, job.of)
    text = told(job.text) or iface_(stages.label(job.stage))
    if job.of > 1:
        text += f" {job.step}/{job.of}"
    if job.eta_s is not None and job.eta_s >= 1:
        text += " · " + iface_("{duration} left", duration=stages.duration(job.eta_s))
    return fraction, text


def _draw_engine_trouble(layout, context):
    engine = session.queue.engine if session.queue is not None else None
    if engine is not None and engine.state is EngineState.UNRESPONSIVE and engine.problem is not None:
        draw_sentence(layout, engine.problem.sentence, context, "ERROR")
        layout.operator(ids.OP_RESTART_ENGINE, icon="FILE_REFRESH")


def _draw_ready(layout, context, job_id):
    job = session.queue.jobs.get(job_id) if session.queue is not None else None
    reason = placing.obstacle(job_id, context)
    if job is None or not reason:
        return
    finished = iface_("{name} is finished. {reason}.", name=job.name, reason=told(reason))
    draw_sentence(layout, finished, context, "CHECKMARK")
    if placing.needs_consent(job_id):
        order = session.orders[job_id]
        if order.operator == ids.OP_BUILD_RESULT:
            text = iface_("Place at 3D Cursor")
        else:
            text = iface_("Apply to “{name}”", name=order.name)
        row = layout.row(align=True)
        row.operator(order.operator, text=text, icon="IMPORT", translate=False).job = job_id
        row.operator(ids.OP_LEAVE_RESULT, text="", icon="X").job = job_id


def _draw_message(layout, context, message):
    column = layout.column()
    column.alert = message.is_error
    mark = "ERROR" if message.is_error else "X" if message.is_cancelled else "CHECKMARK"
    draw_sentence(column, message.text, context, mark)
    for line in message.hint.splitlines():
        _draw_note(layout, context, line)
    hider = context.view_layer.objects.get(message.hider)
    if hider is not None and hider.visible_get(view_layer=context.view_layer):
        text = iface_("Hide “{name}”", name=hider.name)
        layout.operator(ids.OP_HIDE_OBJECT, text=text, icon="HIDE_ON", translate=False).name = hider.name
    if message.is_kept:
        layout.operator(ids.OP_KEEP_PREVIEW, icon="MESH_DATA").job = message.job
    if message.is_error:
        draw_remedies(layout, message.remedies, message.job)


def _draw_note(layout, context, text):
    column = layout.column()
    column.active = False
    draw_sentence(column, text, context, "BLANK1")
