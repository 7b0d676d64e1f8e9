# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of detail in the scene and in files: hidden objects beside the object, replaced with it."""

import json

import bpy
import numpy as np
import pytest
from espalier.addon import ids
from espalier.addon.operators.finish_again import why_not_again
from espalier.addon.scene import export, read_result
from espalier.addon.scene.asset import BadResult
from espalier.addon.scene.lods import lods_of
from espalier.addon.session import session
from mathutils import Matrix

from .conftest import glb_header
from .stand_in import tick


@pytest.fixture
def made(engine, result_folder):
    """A generated object with two levels of detail, 2 m long, whose job has kept its voxels."""
    result_folder(lods=2)
    bpy.context.scene.espalier.size = 2.0
    bpy.context.scene.cursor.location = (1, 2, 3)
    bpy.ops.espalier.generate()
    tick()
    (engine.submitted[0][1] / "voxels.safetensors").write_bytes(b"voxels")
    engine.finish()
    tick()
    return bpy.data.objects["red mug"]


def again(engine):
    assert bpy.ops.espalier.finish_again() == {"FINISHED"}
    tick()
    engine.finish()
    tick()
    assert not session.message.is_error, session.message


def points(item):
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def faces(items):
    return [len(item.data.polygons) for item in items]


def test_levels_stand_hidden_where_the_object_is_and_share_its_material(made):
    lods = list(lods_of(made).values())
    assert [lod.name for lod in lods] == ["red mug_LOD1", "red mug_LOD2"] and faces(lods) == [8, 4]
    for lod in lods:
        assert lod.material_slots[0].material == made.active_material
        assert lod.users_collection == made.users_collection and lod.parent is None
        assert lod.hide_get() and lod.hide_render and not lod.hide_viewport
        assert lod.location == made.location and np.abs(points(lod) - points(made)).max() < 1e-6
        assert lod[ids.PROP_JOB] == made[ids.PROP_JOB]
    assert list(bpy.context.view_layer.objects.selected) == [made] and bpy.context.view_layer.objects.active == made
    assert len(bpy.data.materials) == 1
    assert "2 LODs" in session.message.text


def test_one_undo_removes_the_object_with_its_levels(engine, result_folder):
    result_folder(lods=2)
    bpy.ops.ed.undo_push(message="Ready")
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    assert len(bpy.data.objects) == 3
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    bpy.ops.ed.redo()
    assert sorted(bpy.data.objects.keys()) == ["red mug", "red mug_LOD1", "red mug_LOD2"]


def test_finishing_again_replaces_levels_in_place_and_removes_what_is_no_longer_made(made, engine, result_folder):
    first, second = lods_of(made).values()
    first.matrix_world = Matrix.Translation((9, 0, 0))
    first.hide_set(False)
    second_name = second.name
    before = points(first)
    result_folder(lods=1)
    again(engine)
    assert list(lods_of(made).values()) == [first] and second_name not in bpy.data.objects
    assert tuple(first.location) == (9, 0, 0) and not first.hide_get()
    assert np.abs(points(first) - before).max() < 1e-6 and not first.data.validate()
    assert first.material_slots[0].material == made.active_material and len(bpy.data.materials) == 1
    assert first[ids.PROP_JOB] == made[ids.PROP_JOB] == engine.submitted[1][0]
    assert len(bpy.data.meshes) == 2


def test_levels_that_are_new_go_where_the_object_is_now(made, engine, result_folder):
    for lod in lods_of(made).values():
        bpy.data.objects.remove(lod)
    made.data.transform(Matrix.Translation((5, 0, 0)))
    made.rotation_euler.x = 1.0
    bpy.ops.object.empty_add()
    made.parent = bpy.context.object
    made.parent.location = (0, 0, 7)
    bpy.context.view_layer.objects.active = made
    bpy.context.view_layer.update()
    again(engine)
    bpy.context.view_layer.update()
    first = lods_of(made)[1]
    assert np.abs(np.array(first.matrix_world) - np.array(made.matrix_world)).max() < 1e-5
    assert np.abs(points(first) - points(made)).max() < 1e-5 and first.hide_get()


def test_one_undo_after_finishing_again_restores_every_level(made, engine, result_folder):
    bpy.ops.ed.undo_push(message="Ready")
    result_folder(lods=0)
    again(engine)
    assert len(bpy.data.objects) == 1
    bpy.ops.ed.undo()
    assert faces(lods_of(bpy.data.objects["red mug"]).values()) == [8, 4]


def test_a_copy_keeps_its_own_levels(made, engine, result_folder):
    copy = made.copy()
    copy.data = made.data.copy()
    bpy.context.collection.objects.link(copy)
    bpy.context.view_layer.objects.active = copy
    again(engine)
    assert [lod.name for lod in lods_of(made).values()] == ["red mug_LOD1", "red mug_LOD2"]
    assert [lod.name for lod in lods_of(copy).values()] == ["red mug.001_LOD1", "red mug.001_LOD2"]


def test_a_level_is_not_finished_by_itself(made):
    bpy.context.view_layer.objects.active = lods_of(made)[1]
    assert "Select the object itself" in why_not_again(bpy.context)
    assert not bpy.ops.espalier.finish_again.poll()


def test_a_level_that_is_being_edited_stops_the_replacement_before_anything_changes(made, engine, result_folder):
    lod = lods_of(made)[1]
    lod.hide_set(False)
    result_folder(lods=0)
    bpy.ops.espalier.finish_again()
    tick()
    engine.finish()
    session.poll(0.1)
    made.select_set(False)
    bpy.context.view_layer.objects.active = lod
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="red mug_LOD1” is being edited"):
        bpy.ops.espalier.replace_result(job=engine.submitted[1][0])
    assert len(made.data.polygons) == 12 and len(bpy.data.objects) == 3


def test_glb_files_hold_one_level_each_in_the_same_place(result_folder, tmp_path):
    request = {"name": "mug", "image": "mug.png", "settings": {}}
    target = tmp_path / "out" / "mug.glb"
    assert export.write(result_folder(lods=2), request, "job", target, 1.0) == 12
    assert sorted(path.name for path in target.parent.iterdir()) == ["mug.glb", "mug_LOD1.glb", "mug_LOD2.glb"]
    for file, count in zip([target, *export.lod_files(target, 2)], (12, 8, 4)):
        header = glb_header(file)
        (mesh,), (node,) = header["meshes"], header["nodes"]
        (part,) = mesh["primitives"]
        assert header["accessors"][part["indices"]]["count"] == 3 * count
        assert node["name"] == file.stem and "translation" not in node and len(header["images"]) == 2
    assert not bpy.data.objects and not bpy.data.meshes and not bpy.data.images
    assert export.unused(target).name == "mug-2.glb"
    target.unlink()
    assert export.unused(target).name == "mug-2.glb"


def test_a_blend_holds_the_levels_hidden(result_folder, tmp_path):
    request = {"name": "mug", "image": "mug.png", "settings": {}}
    target = tmp_path / "out" / "mug.blend"
    export.write(result_folder(lods=2), request, "job", target, 1.0)
    assert [path.name for path in target.parent.iterdir()] == ["mug.blend"]
    bpy.ops.wm.open_mainfile(filepath=str(target))
    assert sorted(bpy.data.objects.keys()) == ["mug", "mug_LOD1", "mug_LOD2"]
    assert [item.name for item in bpy.context.view_layer.objects if item.visible_get()] == ["mug"]


def test_names_of_any_length_keep_their_ending(engine, result_folder):
    bpy.context.scene.espalier.image.name = "ü" * 31 + ".png"
    result_folder(lods=1)
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    (lod,) = (item for item in bpy.data.objects if ids.PROP_LOD in item)
    assert lod.name.endswith("_LOD1")


@pytest.mark.parametrize("file", ["../lod1.npz", "gone.npz", "", 3, None])
def test_levels_that_cannot_be_read_are_a_sentence(result_folder, file):
    folder = result_folder(lods=1)
    info = json.loads((folder / "result.json").read_text())
    info["lods"][0]["file"] = file
    (folder / "result.json").write_text(json.dumps(info))
    with pytest.raises(BadResult, match=r"\.$"):
        read_result(folder)
