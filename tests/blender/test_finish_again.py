# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish Again: the same object with a new mesh and new maps, and what of it must stay. The engine is a stand-in."""

import json
import shutil

import bpy
import numpy as np
import pytest
from espalier.addon import ids
from espalier.addon.operators.finish_again import why_not_again
from espalier.addon.request import FINISHING
from espalier.addon.session import session
from mathutils import Matrix

from .conftest import box, png
from .stand_in import tick


@pytest.fixture
def made(engine):
    """A generated object in the scene, 2 m long, whose job has kept its voxels; the next result has more faces."""
    bpy.context.scene.espalier.size = 2.0
    bpy.ops.espalier.generate()
    tick()
    (engine.submitted[0][1] / "voxels.safetensors").write_bytes(b"voxels")
    engine.finish()
    tick()
    write_finer_result(engine.result)
    return bpy.data.objects["red mug"]


def write_finer_result(folder):
    """The same box with each face cut in three, and green."""
    vertices, faces = box()
    middle = vertices[faces].mean(axis=1)
    new = np.arange(len(faces)) + len(vertices)
    a, b, c = faces.T
    faces = np.stack([[a, b, new], [b, c, new], [c, a, new]], axis=0).transpose(0, 2, 1).reshape(-1, 3)
    uv = np.random.default_rng(5).random((len(faces), 3, 2)).astype(np.float32)
    np.savez(folder / "result.npz", vertices=np.concatenate([vertices, middle]), faces=faces.astype(np.int32), uv=uv)
    (folder / "base_color.png").write_bytes(png(np.full((16, 16, 3), (30, 200, 60))))


def again(engine):
    assert bpy.ops.espalier.finish_again() == {"FINISHED"}
    tick()
    engine.finish()
    tick()


def points(item):
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def colour(item):
    nodes = item.active_material.node_tree.nodes
    image = next(node.image for node in nodes if node.type == "TEX_IMAGE" and node.label == "Base Color")
    return [round(value * 255) for value in image.pixels[:3]]


def test_request_names_the_generation_and_the_settings_of_the_panel(made, engine):
    finish = bpy.context.scene.espalier.finish
    finish.texture_size, finish.repair, finish.amount, finish.faces = "2048", "WATERTIGHT", "NUMBER", 900
    bpy.ops.espalier.finish_again()
    tick()
    request = json.loads((engine.submitted[1][1] / "request.json").read_text())
    assert request["kind"] == "refinish" and request["source"] == str(engine.submitted[0][1])
    expected = {**FINISHING, "texture_size": 2048, "faces": 900, "repair": "watertight"}
    assert request["settings"] == {"quality": "starter", "matting": "auto", **expected}
    assert request["seed"] == 0 and request["model"]["set"] == "starter"
    assert not list(engine.submitted[1][1].glob("input*")) and "input" not in request


def test_object_stays_what_it_is_with_a_new_mesh_and_new_maps(made, engine):
    made.name = "My Mug"
    made.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.5, 4, "X")
    other = bpy.data.collections.new("Kitchen")
    bpy.context.scene.collection.children.link(other)
    other.objects.link(made)
    parent = bpy.data.objects.new("Table", None)
    bpy.context.scene.collection.objects.link(parent)
    made.parent = parent
    bevel = made.modifiers.new("Bevel", "BEVEL")
    bevel.width = 0.25
    group = made.vertex_groups.new(name="Rim")
    mask = made.modifiers.new("Mask", "MASK")
    mask.vertex_group = group.name
    made["note"] = "mine"
    bpy.context.view_layer.update()
    before = (made.name, made.data, made.data.name, tuple(map(tuple, made.matrix_world)), made.parent)
    collections, box_before = set(made.users_collection), points(made)
    again(engine)
    assert (made.name, made.data, made.data.name, tuple(map(tuple, made.matrix_world)), made.parent) == before
    assert set(made.users_collection) == collections and made["note"] == "mine"
    assert [(each.name, each.type) for each in made.modifiers] == [("Bevel", "BEVEL"), ("Mask", "MASK")]
    assert (
        made.modifiers[0].width == 0.25
        and made.modifiers[1].vertex_group == "Rim"
        and made.vertex_groups.keys() == ["Rim"]
    )
    assert len(made.data.polygons) == 36 and not made.data.validate()
    assert np.abs(points(made)[:8] - box_before).max() < 1e-6
    assert colour(made) == [30, 200, 60] and [slot.name for slot in made.material_slots] == ["red mug"]
    assert made[ids.PROP_JOB] == engine.submitted[1][0] and made["espalier_image"] == "red mug.png"
    assert session.message.text.startswith("My Mug: finished again, 36 faces")
    assert len(bpy.data.objects) == 2 and len(bpy.data.materials) == 1
    assert sorted(image.name for image in bpy.data.images if ids.PROP_MAP in image) == [
        "red mug Base Color",
        "red mug Roughness Metallic",
    ]


def test_it_can_be_finished_again_and_again(made, engine):
    again(engine)
    again(engine)
    request = json.loads((engine.submitted[2][1] / "request.json").read_text())
    assert request["source"] == str(engine.submitted[0][1]) and request["settings"]["repair"] is None
    assert made[ids.PROP_JOB] == engine.submitted[2][0]


def test_one_undo_restores_mesh_material_and_origin(made, engine):
    bpy.ops.ed.undo_push(message="Ready")
    before = made[ids.PROP_JOB]
    again(engine)
    bpy.ops.ed.undo()
    item = bpy.data.objects["red mug"]
    assert len(item.data.polygons) == 12 and colour(item) == [200, 60, 30]
    assert item[ids.PROP_JOB] == before and item.data.uv_layers.active is not None


def test_it_follows_what_was_applied_to_the_mesh(made, engine):
    change = Matrix.Translation((5, 0, 1)) @ Matrix.Rotation(1.0, 4, "Y") @ Matrix.Diagonal((1, 3, -2, 1))
    made.data.transform(change)
    made.data.flip_normals()
    before = points(made)
    again(engine)
    assert np.abs(points(made)[:8] - before).max() < 1e-5
    assert volume(made) > 0


def volume(item):
    item.data.calc_loop_triangles()
    co = points(item).astype(np.float64)
    corners = np.array([co[list(triangle.vertices)] for triangle in item.data.loop_triangles])
    return np.einsum("ti,ti->t", np.cross(corners[:, 0], corners[:, 1]), corners[:, 2]).sum() / 6


def test_a_mesh_of_other_vertices_gives_way_to_one_of_the_same_size_and_place(made, engine):
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    low, high = points(made).min(axis=0), points(made).max(axis=0)
    again(engine)
    assert np.abs(points(made).min(axis=0) - low).max() < 1e-6
    assert np.abs(points(made).max(axis=0) - high).max() < 1e-6


def test_linked_duplicates_follow_and_full_ones_do_not(made, engine):
    linked, full = made.copy(), made.copy()
    full.data = made.data.copy()
    for item in (linked, full):
        bpy.context.collection.objects.link(item)
    again(engine)
    assert linked.data == made.data and colour(linked) == [30, 200, 60]
    assert linked[ids.PROP_JOB] == made[ids.PROP_JOB] == engine.submitted[1][0]
    assert len(full.data.polygons) == 12 and colour(full) == [200, 60, 30]
    assert full[ids.PROP_JOB] == engine.submitted[0][0]
    assert "1 more object shares its mesh and changed with it." in session.message.text


def test_materials_of_the_user_stay_in_their_slots(made, engine):
    own = bpy.data.materials.new("Glaze")
    made.data.materials.append(own)
    again(engine)
    assert [slot.material.name for slot in made.material_slots] == ["red mug", "Glaze"]


def test_shape_keys_go_and_that_is_told(made, engine):
    made.shape_key_add(name="Basis")
    made.shape_key_add(name="Bent")
    again(engine)
    assert made.data.shape_keys is None and len(made.data.polygons) == 36
    assert "shape keys" in session.message.text


def test_it_waits_for_object_mode_and_tells_when_the_object_is_gone(made, engine):
    bpy.ops.espalier.finish_again()
    tick()
    bpy.ops.object.mode_set(mode="EDIT")
    engine.finish()
    tick()
    assert session.ready and len(made.data.polygons) == 12
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.data.objects.remove(made)
    tick()
    assert session.message.is_error and "no longer in the file" in session.message.text and not session.ready


def test_damaged_result_leaves_the_object_as_it_was(made, engine):
    (engine.result / "result.npz").write_bytes(b"nonsense")
    again(engine)
    assert session.message.is_error and "cannot be read" in session.message.text
    assert len(made.data.polygons) == 12 and colour(made) == [200, 60, 30]


@pytest.mark.parametrize("name", ["", "..", "../../elsewhere", "gone", 3, "a\0b"])
def test_button_is_there_only_for_objects_whose_job_is_there(made, engine, name):
    assert why_not_again(bpy.context) == ""
    made[ids.PROP_JOB] = name
    assert "Select an object" in why_not_again(bpy.context) and not bpy.ops.espalier.finish_again.poll()


def test_button_goes_with_the_folder(made, engine):
    shutil.rmtree(engine.submitted[0][1])
    assert "Select an object" in why_not_again(bpy.context)


def write_draft(folder):
    """Put a draft of the box in the place of a result: red below and green above, half metallic, quite rough."""
    vertices, faces = box()
    attributes = np.tile(np.float32([0.8, 0.2, 0.1, 0.5, 0.75, 1.0]), (len(vertices), 1))
    attributes[vertices[:, 2] > 0, :3] = (0.1, 0.8, 0.2)
    np.savez(folder / "result.npz", vertices=vertices, faces=faces, attributes=attributes)
    (folder / "result.json").write_text(json.dumps({"alpha_mode": "opaque", "maps": {}, "report": {}}))
    return attributes


def test_a_draft_shows_its_materials_without_maps_and_is_finished_in_place(engine):
    files = {path.name: path.read_bytes() for path in engine.result.glob("*.*")}
    attributes = write_draft(engine.result)
    bpy.context.scene.espalier.finish.draft = True
    bpy.ops.espalier.generate()
    tick()
    assert json.loads((engine.submitted[0][1] / "request.json").read_text())["settings"]["draft"] is True
    (engine.submitted[0][1] / "voxels.safetensors").write_bytes(b"voxels")
    engine.finish()
    tick()
    item = bpy.data.objects["red mug"]
    colours = np.empty(8 * 4, np.float32)
    item.data.attributes["Base Color"].data.foreach_get("color_srgb", colours)
    assert np.abs(colours.reshape(-1, 4)[:, :3] - attributes[:, :3]).max() < 1 / 255
    for column, name in enumerate(("Metallic", "Roughness", "Alpha"), 3):
        values = np.empty(8, np.float32)
        item.data.attributes[name].data.foreach_get("value", values)
        assert np.array_equal(values, attributes[:, column])
    nodes = item.active_material.node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    fed = {
        name: shader.inputs[name].links[0].from_node.attribute_name for name in ("Base Color", "Metallic", "Roughness")
    }
    assert fed == {name: name for name in fed} and not shader.inputs["Alpha"].links
    assert not item.data.uv_layers and not any(node.type == "TEX_IMAGE" for node in nodes)

    bpy.context.scene.espalier.finish.draft = False
    for name, data in files.items():
        (engine.result / name).write_bytes(data)
    again(engine)
    assert colour(item) == [200, 60, 30] and item.data.uv_layers.active is not None
    assert "Metallic" not in item.data.attributes and [m.name for m in bpy.data.materials] == ["red mug"]


def test_a_damaged_draft_is_refused(made, engine):
    write_draft(engine.result)
    vertices, faces = box()
    np.savez(engine.result / "result.npz", vertices=vertices, faces=faces, attributes=np.zeros((3, 6), np.float32))
    again(engine)
    assert session.message.is_error and "do not fit its vertices" in session.message.text
    assert len(made.data.polygons) == 12


def test_every_repair_of_the_engine_can_be_chosen(engine):
    pytest.importorskip("torch")
    from espalier.addon import finish_settings, request
    from espalier.engine.mesh.finish import REPAIRS

    assert set(request.REPAIRS) == set(REPAIRS)
    assert [item[0].lower() for item in finish_settings.REPAIRS] == ["model", *request.REPAIRS]
