# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture on a copy, for linked objects too, and what becomes of materials that it covers. Stand-in engine."""

import bpy
import numpy as np
import pytest
from espalier.addon.session import session

from .stand_in import tick
from .test_texture import add, overlap, painter, texture, uv_of  # noqa: F401 - a fixture


@pytest.fixture
def copier(painter):  # noqa: F811
    """The stand-in engine, with a copy chosen in the panel."""
    bpy.context.scene.espalier.texture_on = "COPY"
    return painter


def looks(item):
    """What a person could see of an object, and its name."""
    points = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", points)
    return (
        item.name,
        item.data.name,
        tuple(map(tuple, item.matrix_world)),
        points.tobytes(),
        [layer.name for layer in item.data.uv_layers],
        [slot.material for slot in item.material_slots],
        [modifier.type for modifier in item.modifiers],
        dict(item.items()),
    )


def test_the_copy_stands_in_the_place_of_the_object_which_stays_as_it_was(copier):
    item = add(location=(1, 2, 3), rotation=(0.1, 0, 0))
    item.data.materials.append(bpy.data.materials.new("Skin"))
    item.modifiers.new("Mirror", "MIRROR")
    item.shape_key_add(name="Basis")
    item.shape_key_add(name="Long").value = 0.5
    overlap(item)
    before = looks(item)
    texture(copier)
    copy = bpy.context.view_layer.objects.active
    assert looks(item) == before and item.hide_get() and item.hide_render
    assert copy != item and copy.name == "Suzanne.001" and copy.select_get() and not item.select_get()
    assert copy.data != item.data and copy.matrix_world == item.matrix_world
    assert copy.users_collection == item.users_collection
    assert [each.type for each in copy.modifiers] == ["MIRROR"]
    assert [key.name for key in copy.data.shape_keys.key_blocks] == ["Basis", "Long"]
    assert copy.data.shape_keys.key_blocks["Long"].value == 0.5
    assert [layer.name for layer in copy.data.uv_layers] == ["UVMap", "Espalier"]
    assert copy.active_material.name == "Suzanne.001" and copy["espalier_seed"] == 0
    assert "It is a copy of “Suzanne”, which is hidden in its place." in session.message.text
    assert not bpy.data.materials["Skin"].use_fake_user


def test_a_copy_of_one_of_several_objects_with_one_mesh_leaves_the_others_alone(copier):
    item = add()
    bpy.ops.object.duplicate(linked=True)
    other = bpy.context.object
    item.select_set(True)
    texture(copier)
    copy = bpy.context.view_layer.objects.active
    assert copy not in (item, other) and not item.material_slots and other.data == item.data
    assert "shares its mesh" not in session.message.text


def test_one_undo_takes_the_copy_away_and_shows_the_object(copier):
    add()
    bpy.ops.ed.undo_push(message="Ready")
    texture(copier)
    bpy.ops.ed.undo()
    item = bpy.data.objects["Suzanne"]
    assert [each.name for each in bpy.data.objects] == ["Suzanne"] and len(bpy.data.meshes) == 1
    assert not item.hide_get() and not item.hide_render


@pytest.fixture
def library(tmp_path):
    """A file with a monkey in a collection."""
    collection = bpy.data.collections.new("Zoo")
    bpy.context.scene.collection.children.link(collection)
    item = add()
    item.data.materials.append(bpy.data.materials.new("Fur"))
    collection.objects.link(item)
    bpy.context.scene.collection.objects.unlink(item)
    path = tmp_path / "zoo.blend"
    bpy.data.libraries.write(str(path), {collection})
    bpy.data.batch_remove([collection, item, item.data, *bpy.data.materials])
    return path


def bring(path, override=False):
    """The monkey of the file, linked into the scene and selected; or a library override of it."""
    with bpy.data.libraries.load(str(path), link=True) as (found, into):
        into.collections = found.collections
    (collection,) = into.collections
    if override:
        collection = collection.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
        for item in collection.objects:
            item.override_library.is_system_override = False
    else:
        bpy.context.scene.collection.children.link(collection)
    (item,) = collection.objects
    bpy.context.view_layer.update()
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    return item


@pytest.mark.parametrize("override", [False, True])
def test_an_object_of_another_file_is_textured_as_a_local_copy(library, copier, override):
    item = bring(library, override)
    mesh = item.data
    texture(copier)
    assert not session.message.is_error, session.message.text
    copy = bpy.context.view_layer.objects.active
    assert copy != item and copy.library is None and copy.data.library is None
    assert copy.active_material.library is None and item.data == mesh and mesh.materials[0].name == "Fur"
    assert copy.users_collection and all(each.library is None for each in copy.users_collection)


@pytest.mark.parametrize("override", [False, True])
def test_an_object_of_another_file_itself_is_refused_with_what_to_do(library, painter, override):  # noqa: F811
    bring(library, override)
    with pytest.raises(RuntimeError, match="Make Local, or texture a copy"):
        bpy.ops.espalier.texture()


def test_materials_that_a_texture_covers_are_still_there_when_the_file_was_saved(painter, tmp_path):  # noqa: F811
    item = add()
    for name in ("Skin", "Eyes"):
        item.data.materials.append(bpy.data.materials.new(name))
    other = add("cube")
    other.data.materials.append(bpy.data.materials["Eyes"])
    other.select_set(False)
    item.select_set(True)
    texture(painter)
    assert "No object shows “Skin” any more: kept in the file with a fake user." in session.message.text
    texture(painter)
    assert "fake user" not in session.message.text
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert {"Skin", "Eyes", "Suzanne.001"} <= {material.name for material in bpy.data.materials}


def test_use_settings_tells_a_copy_from_the_object(copier):
    add()
    texture(copier)
    settings = bpy.context.scene.espalier
    settings.texture_on = "OBJECT"
    session.look()
    tick()
    (entry,) = session.shelf.ended()
    assert bpy.ops.espalier.recall(job=entry.job.id) == {"FINISHED"}
    assert settings.texture_on == "COPY" and uv_of(bpy.data.objects["Suzanne"].data, "UVMap").size
