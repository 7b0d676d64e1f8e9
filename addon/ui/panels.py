# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab "Espalier" in the sidebar of the 3D viewport."""

import bpy

from .. import ids, preferences
from ..expectation import expectation
from ..languages import iface_
from ..memory_plan import in_words, too_big
from ..operators.generate import model_and_quality
from ..operators.texture import targets
from ..properties import QUALITIES
from ..request import MODEL_NOTES, STARTER, TRELLIS2
from ..sampling_settings import asked, in_8_bits, own_samplers
from ..session import session
from .advanced_panel import draw_advanced
from .engine_panel import draw_engine
from .finish_panel import draw_finish
from .jobs import draw_queue, draw_results
from .status import draw_engine_state, draw_notes, draw_status
from .text import draw_note, draw_sentence, is_narrow, settings_column


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
        _draw_other_sources(layout, context)
        column = settings_column(layout)
        column.prop(settings, "matting")
        _draw_model(column, settings, context)
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "lock_seed", text="", icon="LOCKED" if settings.lock_seed else "UNLOCKED")
        column.prop(settings, "variants" if settings.mode == "GENERATE" else "texture_on")
        row = layout.row()
        row.scale_y = 1.5
        if settings.mode == "TEXTURE":
            _draw_texture(row, targets(context))
        else:
            row.operator(ids.OP_GENERATE)
        session.look()
        draw_status(layout, context)
        draw_queue(layout, context)
        # Parts of this panel rather than sub-panels, which lag behind when what stands above them changes its height.
        draw_finish(layout, settings, context)
        if settings.mode == "GENERATE":
            header, body = layout.panel(ids.SECTION_PLACEMENT, default_closed=True)
            header.label(text="Placement")
            if body is not None:
                _draw_placement(settings_column(body), settings)
        draw_advanced(layout, settings)
        draw_results(layout, context)
        draw_engine(layout, context)
        draw_notes(layout, context)


def _draw_placement(column, settings):
    column.prop(settings, "size")
    column.prop(settings, "place")
    column.prop(settings, "collection")
    column.prop(settings, "is_asset")
    tags = column.column()
    tags.active = settings.is_asset
    tags.prop(settings, "asset_tags")


def _draw_other_sources(layout, context):
    """Images that are in no file yet, and the folder with many; in a narrow panel only their symbols have room."""
    row = layout.row(align=True)
    if is_narrow(context):
        row.operator(ids.OP_PASTE_IMAGE, text="", icon="PASTEDOWN")
        row.operator(ids.OP_GRAB_VIEW, text="", icon="RESTRICT_VIEW_OFF")
        row.operator(ids.OP_GRAB_VIEW, text="", icon="CAMERA_DATA").camera = True
    else:
        row.operator(ids.OP_PASTE_IMAGE, text="Paste", text_ctxt=ids.CONTEXT, icon="PASTEDOWN")
        row.operator(ids.OP_GRAB_VIEW, text="View", icon="RESTRICT_VIEW_OFF")
        row.operator(ids.OP_GRAB_VIEW, text="Camera", icon="CAMERA_DATA").camera = True
    row.operator(ids.OP_FROM_FILES, text="", icon="FILE_FOLDER")


def _draw_texture(layout, items):
    """The button that paints, with what it is about to paint."""
    if not items:
        layout.operator(ids.OP_TEXTURE)
        return
    if len(items) == 1:
        text = iface_("Texture {name}", name=items[0].name)
    else:
        text = iface_("Texture {count} Objects", count=len(items))
    layout.operator(ids.OP_TEXTURE, text=text, translate=False)


def _draw_qualities(column, settings, kind, context):
    """The qualities side by side; those that cannot be had here are grey, with the reason below."""
    row = column.row(align=True)
    # Beside their name there would be no room for theirs.
    row.use_property_split = False
    reasons = []
    for name, _, _ in QUALITIES:
        each = row.row(align=True)
        reason = too_big(kind, name, in_8_bits(settings.sampling))
        each.enabled = not reason
        each.prop_enum(settings, "quality", name)
        # That of the chosen one stands where its memory is told.
        reasons += [reason] if reason and name != settings.quality else []
    for reason in reasons:
        draw_note(column, reason, context)


def _draw_model(column, settings, context):
    """The model, what it is good for, and the quality; the starter has only one."""
    column.prop(settings, "model")
    kind = settings.mode.lower()
    starter = settings.model == "STARTER"
    if starter:
        row = column.split(factor=0.4)
        label = row.row()
        label.alignment = "RIGHT"
        label.label(text="Quality")
        row.label(text="Coarse")
    else:
        session.planning.want()
        _draw_qualities(column, settings, kind, context)
    note = column.column()
    note.active = False
    samplers, own = asked(settings.sampling, kind), own_samplers(settings)
    before = expectation(session.shelf, kind, *model_and_quality(settings, kind), samplers, own)
    # A line each from the beginning, so that the buttons below stay where they are when the answers come.
    draw_sentence(note, before or "Not made on this computer yet", context, "TIME")
    if not starter:
        plan = in_words(kind, settings.quality, in_8_bits(settings.sampling)) or "Memory: not known yet"
        draw_sentence(note, plan, context, "MEMORY")
    draw_sentence(note, MODEL_NOTES[STARTER if starter else TRELLIS2], context, "INFO")
    if not starter and preferences.trellis2_folder() is None:
        text = "Its weights are not on this computer. The preferences download them, or import them from a folder."
        draw_sentence(column, text, context, "ERROR")
        column.operator(ids.OP_OPEN_PREFERENCES, icon="PREFERENCES")
