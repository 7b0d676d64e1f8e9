# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's setting of how the subject is found: in the scene, in its tooltips, and in what the engine is asked."""

import json

import bpy
import pytest
from espalier.addon.request import MATTINGS

from .stand_in import tick


def matting_of(engine):
    return json.loads((engine.submitted[-1][1] / "request.json").read_text())["settings"]["matting"]


def test_every_way_can_be_chosen_and_is_explained(engine):
    prop = bpy.context.scene.espalier.bl_rna.properties["matting"]
    assert [item.identifier.lower() for item in prop.enum_items] == list(MATTINGS)
    assert bpy.context.scene.espalier.matting == prop.default == "AUTO"
    for text in (prop.description, *(item.description for item in prop.enum_items)):
        assert len(text.split()) >= 5 and not text.endswith(".")


@pytest.mark.parametrize("mode", ["GENERATE", "TEXTURE"])
def test_the_choice_goes_to_the_engine_and_stays_in_the_scene(engine, mode):
    settings = bpy.context.scene.espalier
    settings.mode, settings.matting = mode, "NONE"
    if mode == "TEXTURE":
        bpy.ops.mesh.primitive_cube_add()
        bpy.ops.espalier.texture()
    else:
        bpy.ops.espalier.generate()
    tick()
    assert matting_of(engine) == "none"
    assert settings.matting == "NONE" and bpy.data.scenes.new("Other").espalier.matting == "AUTO"
