# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Finish": what is made of the surface, for a new object and for the active one again."""

import bpy
from bl_ui.utils import PresetPanel

from .. import ids
from ..finish_settings import MENDS, THICKENS, describe, settings_of
from ..history import generation_of
from .text import draw_note, draw_sentence, settings_column

# Why settings of the surface are out of use under each repair.
WHY_NOT = {
    "MODEL": "Thickness is for Watertight",
    "AS_GENERATED": "As Generated closes nothing, removes nothing and thickens nothing",
    "CLEAN": "Thickness is for Watertight",
}


class ESPALIER_PT_finish_presets(PresetPanel, bpy.types.Panel):
    bl_idname = ids.PT_PRESETS
    bl_label = "Finish Presets"
    preset_subdir = ids.PRESETS
    preset_operator = "script.execute_preset"
    preset_add_operator = ids.OP_ADD_PRESET


def draw_finish(layout, settings, context):
    """Draw the section; when painting only the size of the maps is left to choose."""
    header, body = layout.panel(ids.SECTION_FINISH, default_closed=True)
    header.label(text="Finish")
    if settings.mode == "TEXTURE":
        if body is not None:
            settings_column(body).prop(settings.finish, "texture_size")
        return
    row = header.row()
    row.emboss = "NONE"
    row.popover(ids.PT_PRESETS, text="", icon="PRESET")
    if body is None:
        return
    _draw_settings(body, settings.finish, context)
    _draw_again(body, context)


def _draw_settings(body, finish, context):
    column = settings_column(body)
    column.prop(finish, "draft")
    column.prop(finish, "repair")
    maps = column.column()
    maps.active = not finish.draft
    maps.prop(finish, "amount")
    if finish.amount == "NUMBER":
        maps.prop(finish, "faces", text=" ")
    elif finish.amount == "SHARE":
        maps.prop(finish, "share", text=" ")
    maps.prop(finish, "texture_size")
    checks = maps.column(heading="Maps", align=True)
    checks.prop(finish, "normal_map")
    checks.prop(finish, "occlusion")
    maps.column(heading="LODs").prop(finish, "lods", text="50 %, 25 %, 12 %")
    if finish.draft:
        draw_note(
            body, "A draft keeps every face and has no maps. Finish Again turns it into a finished object", context
        )
    header, surface = body.panel(ids.SECTION_SURFACE, default_closed=True)
    header.label(text="Surface")
    if surface is not None:
        _draw_surface(surface, finish, context)


def _draw_surface(body, finish, context):
    column = settings_column(body)
    column.active = not finish.draft
    _draw_choice(column, finish, "use_smoothing", "smoothing")
    _draw_choice(column, finish, "use_holes", "hole_length", finish.repair in MENDS)
    _draw_choice(column, finish, "use_floaters", "floater_size", finish.repair in MENDS)
    row = column.row()
    row.active = finish.repair in THICKENS
    row.prop(finish, "thickness")
    reason = "A draft is not mended" if finish.draft else WHY_NOT.get(finish.repair)
    if reason:
        draw_note(body, reason, context)


def _draw_choice(column, finish, use, value, in_use=True):
    """A value that is automatic until its box is ticked."""
    row = column.row(heading=finish.bl_rna.properties[value].name)
    row.active = in_use
    row.prop(finish, use, text="")
    sub = row.row()
    if getattr(finish, use):
        sub.prop(finish, value, text="")
    else:
        # The value would not be the one that is used.
        sub.active = False
        sub.label(text="As Suggested")


def _draw_again(body, context):
    """What the active object was made with, and the button that makes it anew with these settings."""
    item = context.active_object
    if item is None or generation_of(item) is None:
        return
    body.separator()
    draw_sentence(body, f"{item.name}: {describe(settings_of(item))}", context, "OUTLINER_OB_MESH")
    row = body.row(align=True)
    row.operator(ids.OP_FINISH_AGAIN)
    row.operator(ids.OP_TAKE_SETTINGS, text="", icon="COPYDOWN")
