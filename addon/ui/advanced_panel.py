# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Advanced": how each stage is sampled; where nothing is chosen, what the model does by itself."""

import bpy
from bl_ui.utils import PresetPanel

from .. import ids
from ..memory_plan import no_fp8
from ..samplers import STAGES
from ..sampling_settings import VALUES, own_samplers
from ..session import session
from .text import draw_note, settings_column

LABELS = {"structure": "Structure", "shape": "Shape", "material": "Material"}


class ESPALIER_PT_sampling_presets(PresetPanel, bpy.types.Panel):
    bl_idname = ids.PT_SAMPLING_PRESETS
    bl_label = "Advanced Presets"
    preset_subdir = ids.SAMPLING_PRESETS
    preset_operator = "script.execute_preset"
    preset_add_operator = ids.OP_ADD_SAMPLING_PRESET


def draw_advanced(layout, settings):
    """Draw the section; when painting, only the material is sampled."""
    header, body = layout.panel(ids.SECTION_ADVANCED, default_closed=True)
    header.label(text="Advanced")
    row = header.row()
    row.emboss = "NONE"
    row.popover(ids.PT_SAMPLING_PRESETS, text="", icon="PRESET")
    if body is None:
        return
    own = own_samplers(settings)
    for stage in STAGES[settings.mode.lower()]:
        column = settings_column(body)
        column.label(text=LABELS[stage])
        for value, name, use in VALUES:
            _draw_value(column, getattr(settings.sampling, stage), name, use, own[stage][value])
    column = settings_column(body)
    column.prop(settings.sampling, "fast")
    column.prop(settings.sampling, "int8")
    session.planning.want()
    reason = no_fp8()
    row = column.row()
    # Chosen on another computer it can still be switched off.
    row.enabled = not reason or settings.sampling.fp8
    row.prop(settings.sampling, "fp8")
    if reason:
        draw_note(column, reason, bpy.context)


def _draw_value(column, sampler, name, use, own):
    """A value that is the model's own until its box is ticked."""
    row = column.row(heading=sampler.bl_rna.properties[name].name)
    row.prop(sampler, use, text="")
    sub = row.row()
    if getattr(sampler, use):
        sub.prop(sampler, name, text="")
    else:
        sub.active = False
        sub.label(text=f"{own:g}", translate=False)
