# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_texture_window.py: a grey object is selected, Texture is clicked, it has colours.

The environment says which mesh, image, engine and folder for pictures; what was found goes to ``found.json`` there.
"""

import hashlib
import json
import math
import os

import bpy
import numpy as np
from mathutils import Euler
from steps import (
    OUT,
    click_main_button,
    corners_on_screen,
    extension_session,
    material_images,
    prepare,
    press_in_viewport,
    run_job,
    shot,
    show_panel,
    watch,
)


def main(ui):
    found = {"blender": bpy.app.version_string}
    yield from show_panel(ui)
    prepare(ui)
    bpy.data.objects["Cube"].hide_set(True)
    item = add_grey_object()
    found["before"] = state_of(item)
    bpy.ops.ed.undo_push(message="Ready")
    look_at(ui, (1.25, 0, 0.42), 2.0)
    yield from choose_mode(ui)
    yield 3.0
    shot(ui, "texture-before")

    seen = watch(extension_session())
    yield from click_main_button(ui)
    yield from run_job(ui, seen, {"material", "decode", "finish"}, "texture-during")
    found.update(seen, message=extension_session().message.text, after=state_of(item))
    found["packed"] = all(image.packed_file for image in material_images(item))
    found["uv_node"] = next(node.uv_map for node in item.active_material.node_tree.nodes if node.type == "UVMAP")
    ui.redraw()
    yield 3.0
    shot(ui, "texture-after")

    yaw, elevation = (math.radians(float(angle)) for angle in os.environ["ESPALIER_TEST_VIEW"].split())
    view = look_at(ui, (math.pi / 2 - elevation, 0, yaw), 1.9)
    view.view_location = (0, 0, 0.47)
    view.view_perspective = "ORTHO"
    space = ui.area().spaces.active
    space.overlay.show_overlays = False
    space.shading.light = "FLAT"
    space.shading.show_cavity = False
    item.select_set(False)
    ui.redraw()
    yield 3.0
    found["on_screen"] = corners_on_screen(ui, item)
    shot(ui, "texture-same-view")
    item.select_set(True)

    name = item.name
    yield from press_in_viewport(ui, "ctrl+z")
    found["undone"] = state_of(bpy.data.objects[name])
    yield from press_in_viewport(ui, "ctrl+shift+z")
    found["redone"] = state_of(bpy.data.objects[name])
    bpy.ops.espalier.stop_engine()
    yield 0.5
    (OUT / "found.json").write_text(json.dumps(found))


def add_grey_object():
    """The mesh with two grey slots and UVs as a projection makes them: front and back overlap."""
    arrays = np.load(os.environ["ESPALIER_TEST_MESH"])
    mesh = bpy.data.meshes.new("Vase")
    mesh.from_pydata(arrays["vertices"].tolist(), [], arrays["faces"].tolist())
    for name, grey in (("Clay", 0.55), ("Glaze", 0.35)):
        material = bpy.data.materials.new(name)
        material.diffuse_color = (grey, grey, grey, 1.0)
        mesh.materials.append(material)
    corners = arrays["vertices"][arrays["faces"].reshape(-1)]
    uv = corners[:, [0, 2]] * 0.7 + corners[:, [1]] * [0.1, 0.2] + 0.5
    mesh.uv_layers.new(name="Front").uv.foreach_set("vector", uv.astype(np.float32).ravel())
    mesh.set_sharp_from_angle(angle=math.radians(35))
    item = bpy.data.objects.new("Vase", mesh)
    item.location.z = -float(arrays["vertices"][:, 2].min())
    bpy.context.scene.collection.objects.link(item)
    bpy.ops.object.select_all(action="DESELECT")
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    return item


def choose_mode(ui):
    """Click the part of the mode switch that is not chosen, found by its colour."""
    theme = bpy.context.preferences.themes[0].user_interface.wcol_radio
    kept = tuple(theme.inner)
    theme.inner = (1, 0, 1, 1)
    ui.redraw()
    yield 1.0
    box = ui.find_color((255, 0, 255), ui.rect(ui.region("UI")), tol=12)[0]
    theme.inner = kept
    yield from ui.click((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    ui.move(5, 990)
    ui.redraw()
    yield 1.0
    assert bpy.context.scene.espalier.mode == "TEXTURE"


def look_at(ui, angles, distance):
    space = ui.area().spaces.active
    space.shading.show_cavity = True
    space.shading.show_specular_highlight = False
    space.shading.studio_light = "paint.sl"
    view = space.region_3d
    view.view_location, view.view_distance = (0.22, 0, 0.45), distance
    view.view_rotation = Euler(angles).to_quaternion()
    ui.redraw()
    return view


def state_of(item):
    """What texturing keeps, and what it changes."""
    bpy.context.view_layer.update()  # The matrices are old until Blender draws again.
    mesh = item.data
    co = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", co)
    return {
        "name": item.name,
        "matrix": [list(row) for row in item.matrix_world],
        "geometry": hashlib.sha256(co.tobytes()).hexdigest(),
        "uv": {layer.name: digest(layer) for layer in mesh.uv_layers},
        "slots": [slot.material.name if slot.material else "" for slot in item.material_slots],
        "materials": sorted(material.name for material in bpy.data.materials),
        "image": item.get("espalier_image", ""),
    }


def digest(layer):
    uv = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uv)
    return hashlib.sha256(uv.tobytes()).hexdigest()
