# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets for what stands under Finish, by Blender's own mechanism: ours are in ``presets``, more can be added."""

import bpy
from bl_operators.presets import AddPresetBase

from .. import ids
from ..finish_settings import ESPALIER_PG_finish


class ESPALIER_OT_add_finish_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = ids.OP_ADD_PRESET
    bl_label = "Add Finish Preset"
    bl_description = "Keep these settings under a name, or remove such a name"
    preset_menu = ids.PT_PRESETS
    preset_subdir = ids.PRESETS
    preset_defines = ["finish = bpy.context.scene.espalier.finish"]
    preset_values = [f"finish.{name}" for name in ESPALIER_PG_finish.__annotations__]
