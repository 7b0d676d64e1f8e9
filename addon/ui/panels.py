# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab "Espalier" in the sidebar of the 3D viewport."""

import bpy

from .. import ids, preferences
from ..client import EngineState
from ..history import generation_of
from ..operators.texture import targets
from ..request import MODEL_NOTES, STARTER, TRELLIS2
from ..session import session
from .status import draw_engine_state, draw_status
from .text import draw_sentence


class ESPALIER_PT_main(bpy.types.Panel):
    bl_idname = ids.PT_MAIN
    bl_label = "From Image"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = ids.CATEGORY

    def draw(self, context):
        layout = self.layout
        settings = context.scene.espalier
        draw_engine_state(layout, context)
        layout.row().prop(settings, "mode", expand=True)
        layout.template_ID_preview(settings, "image", open=ids.OP_OPEN_IMAGE, rows=3, cols=6)
        _draw_other_sources(layout)
        column = _settings_column(layout)
        column.prop(settings, "matting")
        _draw_model(column, settings, context)
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "lock_seed", text="", icon="LOCKED" if settings.lock_seed else "UNLOCKED")
        row = layout.row()
        row.scale_y = 1.5
        if settings.mode == "TEXTURE":
            row.operator(ids.OP_TEXTURE, text=_texture_label(context))
        else:
            row.operator(ids.OP_GENERATE)
        draw_status(layout, context)
        # Parts of this panel rather than sub-panels, which lag behind when what stands above them changes its height.
        header, body = layout.panel(ids.SECTION_OUTPUT, default_closed=True)
        header.label(text="Output")
        if body is not None:
            _draw_output(_settings_column(body), settings, context)
        header, body = layout.panel(ids.SECTION_ENGINE, default_closed=True)
        header.label(text="Engine")
        if body is not None:
            _draw_engine(body)


def _draw_other_sources(layout):
    """Images that are in no file yet, and the folder with many."""
    row = layout.row(align=True)
    row.operator(ids.OP_PASTE_IMAGE, text="Paste", icon="PASTEDOWN")
    row.operator(ids.OP_GRAB_VIEW, text="View", icon="RESTRICT_VIEW_OFF")
    row.operator(ids.OP_GRAB_VIEW, text="Camera", icon="CAMERA_DATA").camera = True
    row.operator(ids.OP_FROM_FILES, text="", icon="FILE_FOLDER")


def _settings_column(layout):
    """A column of settings with their names at the left, as everywhere in Blender."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def _texture_label(context):
    """What the Texture button is about to paint."""
    items = targets(context)
    if len(items) == 1:
        return f"Texture {items[0].name}"
    return f"Texture {len(items)} Objects" if items else "Texture"


def _draw_output(column, settings, context):
    if settings.mode == "TEXTURE":
        column.prop(settings, "texture_size")
        return
    column.prop(settings, "size")
    column.prop(settings, "repair")
    column.prop(settings, "draft")
    maps = column.column()
    maps.active = not settings.draft
    maps.prop(settings, "texture_size")
    row = maps.row(heading="Limit Faces")
    row.prop(settings, "limit_faces", text="")
    faces = row.row()
    faces.active = settings.limit_faces
    faces.prop(settings, "faces", text="")
    if context.active_object is not None and generation_of(context.active_object) is not None:
        column.separator()
        column.operator(ids.OP_FINISH_AGAIN)


def _draw_engine(layout):
    column = layout.column(align=True)
    for line in _describe_engine():
        column.label(text=line)
    row = layout.row(align=True)
    row.operator(ids.OP_FREE_MEMORY)
    row.operator(ids.OP_STOP_ENGINE)
    row = layout.row(align=True)
    row.operator(ids.OP_OPEN_LOG)
    row.operator(ids.OP_OPEN_PREFERENCES, text="Preferences")


def _draw_model(column, settings, context):
    """The model, what it is good for, and the quality; the starter has only one."""
    column.prop(settings, "model")
    starter = settings.model == "STARTER"
    if starter:
        row = column.split(factor=0.4)
        label = row.row()
        label.alignment = "RIGHT"
        label.label(text="Quality")
        row.label(text="Grid of 64")
    else:
        column.prop(settings, "quality")
    note = column.column()
    note.active = False
    draw_sentence(note, MODEL_NOTES[STARTER if starter else TRELLIS2], context, "INFO")
    if not starter and preferences.trellis2_folder() is None:
        text = (
            "Its weights are not on this computer: name their folder in the preferences, or run "
            "“blender --online-mode --command espalier models download TRELLIS.2-4B DINOv3”."
        )
        draw_sentence(column, text, context, "ERROR")
        column.operator(ids.OP_OPEN_PREFERENCES, icon="PREFERENCES")


def _describe_engine():
    """Lines about the engine: its state, device, versions and memory, as far as it has told them."""
    engine = session.queue.engine if session.queue is not None else None
    if engine is None or engine.state is EngineState.STOPPED:
        return ["Not running, holds no memory"]
    if engine.hello is None:
        return ["Starting"]
    device, memory = engine.hello["device"], engine.hello["memory"]
    lines = [str(device.get("name") or device.get("type") or "Processor")]
    free, total = memory.get("free"), memory.get("total")
    if free and total:
        lines.append(f"{free / 2**30:.1f} of {total / 2**30:.1f} GB free when it started")
    lines.append(f"torch {engine.hello['torch'] or 'missing'}, Python {engine.hello['python']}")
    return lines
