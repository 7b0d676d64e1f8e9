# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made can be seen: nothing hides it, and no view shows it in one colour, without a way out."""

import bpy
import pytest
from espalier.addon.operators.make_visible import colours_to_show
from espalier.addon.ui.status import draw_status

from .drawn_layout import Layout
from .stand_in import generated

HIDE, TEXTURES = "espalier.hide_object", "espalier.show_textures"


def drawn():
    calls = []
    draw_status(Layout(calls), bpy.context)
    return calls


@pytest.fixture
def viewport():
    """Blender's one viewport, as a new file has it: Solid view in the colours of materials."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    area.spaces.active.shading.type, area.spaces.active.shading.color_type = "SOLID", "MATERIAL"
    with bpy.context.temp_override(window=window, area=area):
        yield area.spaces.active


def test_what_hides_a_new_object_can_be_hidden_beside_the_message(engine):
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object.name
    generated(engine)
    assert HIDE in drawn()
    assert bpy.ops.espalier.hide_object(name=cube) == {"FINISHED"}
    assert bpy.data.objects[cube].hide_get() and HIDE not in drawn()


def test_one_undo_shows_what_was_hidden_and_keeps_the_new_object(engine):
    bpy.ops.mesh.primitive_cube_add()
    cube, made = bpy.context.object.name, generated(engine).name
    bpy.ops.ed.undo_push(message="Ready")
    assert bpy.ops.espalier.hide_object("EXEC_DEFAULT", True, name=cube) == {"FINISHED"}
    bpy.ops.ed.undo()
    assert not bpy.data.objects[cube].hide_get() and made in bpy.context.view_layer.objects
    assert HIDE in drawn()


def test_an_object_that_nothing_hides_has_no_such_button(engine):
    generated(engine)
    assert HIDE not in drawn()


def test_an_object_that_is_gone_meanwhile_cannot_be_hidden(engine):
    generated(engine)
    assert bpy.ops.espalier.hide_object(name="gone") == {"CANCELLED"}


def test_solid_view_offers_the_maps_until_it_shows_them(engine, viewport):
    generated(engine)
    assert TEXTURES in drawn()
    assert bpy.ops.espalier.show_textures() == {"FINISHED"}
    assert viewport.shading.color_type == "TEXTURE" and TEXTURES not in drawn()
    with pytest.raises(RuntimeError):
        bpy.ops.espalier.show_textures()


@pytest.mark.parametrize(
    "what", ["nothing made", "an object of the artist's", "a mesh without any", "Material Preview"]
)
def test_the_maps_are_offered_only_where_there_are_some_that_do_not_show(engine, viewport, what):
    if what == "an object of the artist's":
        bpy.ops.mesh.primitive_cube_add()
    elif what != "nothing made":
        item = generated(engine)
        if what == "a mesh without any":
            item.data.uv_layers.remove(item.data.uv_layers[0])
        else:
            viewport.shading.type = "MATERIAL"
    assert not colours_to_show(bpy.context) and TEXTURES not in drawn()


def test_of_a_draft_solid_view_shows_the_colours_of_its_vertices(engine, viewport):
    item = generated(engine)
    item.data.uv_layers.remove(item.data.uv_layers[0])
    item.data.color_attributes.new("Base Color", "BYTE_COLOR", "POINT")
    assert TEXTURES in drawn()
    bpy.ops.espalier.show_textures()
    assert viewport.shading.color_type == "VERTEX" and TEXTURES not in drawn()
