# SPDX-License-Identifier: GPL-3.0-or-later
"""From pressing Texture to the material on the object, and what users do meanwhile. The engine is a stand-in."""

import json

import bpy
import numpy as np
import pytest
from espalier.addon import placing
from espalier.addon.remedies import Remedy
from espalier.addon.scene.retexture import find_object
from espalier.addon.session import session

from .stand_in import tick


@pytest.fixture
def painter(engine):
    """The stand-in engine, whose results are textures without geometry, as texturing leaves them."""
    (engine.result / "result.npz").unlink()
    bpy.context.scene.espalier.mode = "TEXTURE"
    return engine


def add(kind="monkey", **settings):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**settings)
    return bpy.context.object


def texture(engine):
    assert bpy.ops.espalier.texture() == {"FINISHED"}
    tick()
    engine.finish()
    tick()


def uv_of(mesh, name):
    values = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers[name].uv.foreach_get("vector", values)
    return values


def overlap(item):
    values = uv_of(item.data, "UVMap").reshape(-1, 2)
    values[:, 0] = np.abs(values[:, 0] - 0.5)
    item.data.uv_layers["UVMap"].uv.foreach_set("vector", values.ravel())


def uv_maps(material):
    return {node.uv_map for node in material.node_tree.nodes if node.type == "UVMAP"}


def test_material_takes_every_slot_and_the_object_stays_what_it_was(painter):
    item = add(location=(1, 2, 3), rotation=(0.1, 0, 0))
    old = [bpy.data.materials.new(name) for name in ("Skin", "Eyes")]
    for material in (*old, None):
        item.data.materials.append(material)
    item.data.polygons.foreach_set("material_index", np.arange(500) % 3)
    before = uv_of(item.data, "UVMap").tobytes(), tuple(map(tuple, item.matrix_world)), len(item.data.polygons)
    texture(painter)
    assert (
        uv_of(item.data, "UVMap").tobytes(),
        tuple(map(tuple, item.matrix_world)),
        len(item.data.polygons),
    ) == before
    (material,) = {slot.material for slot in item.material_slots}
    assert len(item.material_slots) == 3 and material not in old and item.name == "Suzanne"
    assert uv_maps(material) == {"UVMap"} and [layer.name for layer in item.data.uv_layers] == ["UVMap"]
    assert all(each.name in bpy.data.materials for each in old)
    indices = np.empty(500, np.int32)
    item.data.polygons.foreach_get("material_index", indices)
    assert np.array_equal(indices, np.arange(500) % 3)


def test_every_map_is_placed_by_the_layer(painter):
    item = add()
    texture(painter)
    nodes = item.active_material.node_tree.nodes
    maps = [node for node in nodes if node.type == "TEX_IMAGE"]
    assert len(maps) == 2
    assert all(node.inputs["Vector"].links[0].from_node.type == "UVMAP" for node in maps)


def test_object_without_slots_gets_one_and_remembers_where_its_texture_is_from(painter):
    item = add()
    bpy.context.scene.espalier.seed = 9
    texture(painter)
    assert len(item.material_slots) == 1
    assert (item["espalier_image"], item["espalier_seed"], item["espalier_model"]) == ("red mug.png", 9, "starter")
    assert json.loads(item["espalier_settings"])["texture_size"] == 1024
    assert session.queue.store.list()[0].state == "built"


def test_slot_that_belongs_to_the_object_is_filled_there(painter):
    item = add()
    item.data.materials.append(bpy.data.materials.new("Mesh"))
    item.material_slots[0].link = "OBJECT"
    texture(painter)
    assert item.material_slots[0].material.name == "Suzanne" and item.data.materials[0].name == "Mesh"


def test_second_layer_is_added_shown_and_named_to_the_user(painter):
    item = add()
    overlap(item)
    before = uv_of(item.data, "UVMap").tobytes()
    texture(painter)
    layers = item.data.uv_layers
    assert [layer.name for layer in layers] == ["UVMap", "Espalier"]
    assert uv_of(item.data, "UVMap").tobytes() == before
    assert layers.active.name == "Espalier" and layers["UVMap"].active_render
    assert uv_maps(item.active_material) == {"Espalier"}
    assert "Its UVs overlap, so the texture uses the new UV layer “Espalier”." in session.message.text


def test_mirror_modifier_stays_and_carries_the_layer(painter):
    item = add("ico_sphere", location=(3, 0, 0))
    bpy.ops.object.transform_apply()
    item.data.uv_layers.remove(item.data.uv_layers[0])
    item.modifiers.new("Mirror", "MIRROR")
    texture(painter)
    assert [modifier.type for modifier in item.modifiers] == ["MIRROR"]
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert [layer.name for layer in evaluated.data.uv_layers] == ["UVMap"]
    assert "painted once" in session.message.text


def test_job_says_everything_the_engine_needs(painter):
    item = add()
    bpy.context.scene.espalier.seed, bpy.context.scene.espalier.finish.texture_size = 7, "512"
    bpy.ops.espalier.texture()
    tick()
    folder = painter.submitted[0][1]
    request = json.loads((folder / "request.json").read_text())
    assert (request["kind"], request["mesh"], request["input"]) == ("texture", "mesh.npz", "input.png")
    assert (request["seed"], request["name"], request["image"]) == (7, "Suzanne", "red mug.png")
    assert request["settings"] == {"quality": "starter", "texture_size": 512, "matting": "auto"}
    assert request["online"] is False
    with np.load(folder / "mesh.npz") as mesh:
        assert (
            mesh["vertices"].shape == (507, 3) and mesh["faces"].shape == (968, 3) and mesh["uv"].shape == (968, 3, 2)
        )
    assert (folder / "input.png").read_bytes().startswith(b"\x89PNG")
    assert not item.material_slots


def test_several_objects_are_textured_one_after_the_other(painter):
    items = [add("cube"), add("torus"), add("monkey")]
    bpy.ops.object.light_add()
    for item in items:
        item.select_set(True)
    bpy.context.view_layer.objects.active = items[1]
    assert bpy.ops.espalier.texture() == {"FINISHED"}
    for _ in items:
        tick()
        painter.finish()
    tick()
    assert {len(item.material_slots) for item in items} == {1}
    assert len({item.active_material for item in items}) == 3
    assert session.messages[0].text.startswith("Torus:")
    assert len(session.messages) == 3 and not any(message.is_error for message in session.messages)


def test_objects_that_share_a_mesh_share_its_texture(painter):
    item = add()
    bpy.ops.object.duplicate(linked=True)
    other = bpy.context.object
    item.select_set(True)
    texture(painter)
    assert len(painter.submitted) == 1 and item.active_material == other.active_material
    assert "1 more object shares its mesh" in session.message.text


def test_cancelled_and_failed_jobs_leave_no_trace(painter):
    item = add()
    overlap(item)
    for end in (bpy.ops.espalier.cancel, painter.fail):
        bpy.ops.espalier.texture()
        tick()
        end()
        tick()
    assert [layer.name for layer in item.data.uv_layers] == ["UVMap"] and not item.material_slots
    assert session.message.is_error
    bpy.ops.espalier.retry(job=session.message.job)
    tick()
    painter.finish()
    tick()
    assert uv_maps(item.active_material) == {"Espalier"}


def test_renamed_object_is_found_and_its_namesake_left_alone(painter):
    item = add()
    bpy.ops.espalier.texture()
    tick()
    item.name = "Monkey"
    namesake = add("cube")
    namesake.name = "Suzanne"
    painter.finish()
    tick()
    assert item.active_material is not None and not namesake.material_slots


def test_deleted_object_is_told_in_a_sentence(painter):
    item = add()
    bpy.ops.espalier.texture()
    tick()
    bpy.data.objects.remove(item)
    painter.finish()
    tick()
    assert session.message.is_error and "“Suzanne” is no longer in the file" in session.message.text
    assert not session.message.remedies and not session.ready and not bpy.data.materials


@pytest.mark.parametrize(("new_layer", "texture_on"), [(False, "OBJECT"), (True, "OBJECT"), (False, "COPY")])
def test_mesh_that_was_changed_meanwhile_is_told_in_a_sentence(painter, new_layer, texture_on):
    item = add()
    bpy.context.scene.espalier.texture_on = texture_on
    if new_layer:
        overlap(item)
    bpy.ops.espalier.texture()
    tick()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    painter.finish()
    tick()
    assert session.message.is_error and "changed while its texture was made" in session.message.text
    assert len(item.data.uv_layers) == 1 and not item.material_slots
    assert list(bpy.data.objects) == [item] and not item.hide_get()


def test_sculpted_shape_still_gets_its_texture(painter):
    item = add()
    bpy.ops.espalier.texture()
    tick()
    item.data.vertices[0].co.x += 0.2
    painter.finish()
    tick()
    assert item.active_material is not None


def test_texture_waits_for_the_users_word_in_another_file(painter):
    add()
    bpy.ops.espalier.texture()
    tick()
    bpy.ops.wm.read_homefile(use_empty=True)
    painter.finish()
    tick()
    assert session.ready and "Another file" in placing.obstacle(session.ready[0], bpy.context)
    item = add()
    assert bpy.ops.espalier.apply_texture(job=session.ready[0]) == {"FINISHED"}
    assert item.active_material is not None


def test_damaged_results_leave_the_object_alone(painter):
    item = add()
    overlap(item)
    (painter.result / "orm.png").write_bytes(b"nonsense")
    texture(painter)
    assert session.message.is_error and "not a PNG" in session.message.text
    assert session.message.remedies == (Remedy.RETRY,)
    assert len(item.data.uv_layers) == 1 and not item.material_slots


def test_texture_says_why_it_cannot(painter):
    from espalier.addon.operators.texture import why_not_texture

    assert "Select" in why_not_texture(bpy.context)
    item = add()
    assert why_not_texture(bpy.context) == "" and bpy.ops.espalier.texture.poll()
    bpy.ops.object.mode_set(mode="EDIT")
    assert "Object Mode" in why_not_texture(bpy.context) and not bpy.ops.espalier.texture.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    item.select_set(False)
    assert "Select" in why_not_texture(bpy.context)
    item.select_set(True)
    bpy.context.scene.espalier.image = None
    assert "image" in why_not_texture(bpy.context)


def test_objects_that_cannot_be_textured_are_named_and_the_others_done(painter):
    empty = bpy.data.objects.new("nothing", bpy.data.meshes.new("nothing"))
    bpy.context.scene.collection.objects.link(empty)
    item = add()
    empty.select_set(True)
    assert bpy.ops.espalier.texture() == {"FINISHED"}
    assert [message.is_error for message in session.messages] == [True] and "nothing" in session.message.text
    tick()
    painter.finish()
    tick()
    assert item.active_material is not None and len(session.messages) == 2
    item.select_set(False)
    with pytest.raises(RuntimeError, match="empty mesh"):
        bpy.ops.espalier.texture()


def test_menu_opens_an_image_and_textures(painter, tmp_path):
    from espalier.addon.scene.pixels import encode_png

    (tmp_path / "lamp.png").write_bytes(encode_png(np.full((8, 8, 4), 200, np.uint8)))
    add()
    bpy.ops.espalier.open_image(filepath=str(tmp_path / "lamp.png"), then="TEXTURE")
    assert bpy.context.scene.espalier.mode == "TEXTURE" and session.current().name == "Suzanne"


def test_one_undo_restores_the_object(painter):
    item = add()
    overlap(item)
    name = item.name
    bpy.ops.ed.undo_push(message="Ready")
    texture(painter)
    bpy.ops.ed.undo()
    item = bpy.data.objects[name]
    assert [layer.name for layer in item.data.uv_layers] == ["UVMap"] and not item.material_slots
    assert "espalier_image" not in item


def test_undo_while_the_job_runs_does_not_lose_the_object(painter):
    item = add()
    bpy.ops.ed.undo_push(message="Ready")
    bpy.ops.espalier.texture()
    tick()
    item.location.x = 3
    bpy.ops.ed.undo_push(message="Move")
    bpy.ops.ed.undo()
    painter.finish()
    tick()
    item = bpy.data.objects["Suzanne"]
    assert item.location.x == 0 and item.active_material is not None


def test_gltf_export_takes_the_texture_by_the_new_layer(painter, tmp_path):
    item = add()
    overlap(item)
    texture(painter)
    path = tmp_path / "a.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB", use_selection=True)
    header = json.loads(path.read_bytes()[20 : 20 + int.from_bytes(path.read_bytes()[12:16], "little")])
    (material,) = header["materials"]
    assert {
        texture["texCoord"] for texture in material["pbrMetallicRoughness"].values() if isinstance(texture, dict)
    } == {1}


def test_identifier_finds_the_object_under_any_name():
    item = add("cube")
    uid = item.session_uid
    item.name = "other"
    assert find_object("Cube", uid) == item and find_object("Cube") is None
