# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets for what stands under Finish and under Advanced, by Blender's own mechanism: more can be added to ours."""

import bpy
from bl_operators.presets import AddPresetBase

from .. import ids
from ..finish_settings import ESPALIER_PG_finish
from ..samplers import STAGES
from ..sampling_settings import ESPALIER_PG_sampler


class ESPALIER_OT_add_finish_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = ids.OP_ADD_PRESET
    bl_label = "Add Finish Preset"
    bl_description = "Keep these settings under a name, or remove such a name"
    preset_menu = ids.PT_PRESETS
    preset_subdir = ids.PRESETS
    preset_defines = ["finish = bpy.context.scene.espalier.finish"]
    preset_values = [f"finish.{name}" for name in ESPALIER_PG_finish.__annotations__]


class ESPALIER_OT_add_sampling_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = ids.OP_ADD_SAMPLING_PRESET
    bl_label = "Add Advanced Preset"
    bl_description = "Keep these settings under a name, or remove such a name"
    preset_menu = ids.PT_SAMPLING_PRESETS
    preset_subdir = ids.SAMPLING_PRESETS
    preset_defines = ["sampling = bpy.context.scene.espalier.sampling"]
    # Whether a value counts comes before the value, which is set to the model's own then.
    preset_values = [
        *(f"sampling.{stage}.{name}" for stage in STAGES["generate"] for name in ESPALIER_PG_sampler.__annotations__),
        "sampling.fast",
        "sampling.int8",
        "sampling.fp8",
    ]
