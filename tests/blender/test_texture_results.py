# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished textures of an earlier Blender, put on an object from the list of results. The engine is a stand-in."""

import json

import bpy
import pytest
from espalier.addon.session import session

from .stand_in import tick
from .test_results import look, start_again
from .test_texture import add, overlap, painter, texture, uv_maps, uv_of  # noqa: F401 - a fixture


def textured(engine, item, in_scene=True):
    """A texture of ``item`` that an earlier Blender made; the object is as it was before, but for where it stands."""
    overlap(item)
    make = texture if in_scene else finish_only
    make(engine)
    start_again(engine)
    (entry,) = session.shelf.ended()
    return entry.job


def finish_only(engine):
    bpy.ops.espalier.texture()
    tick()
    engine.finish()
    session.queue.poll()


def anew(kind="monkey"):
    """A new file with a mesh of the same kind, as it was before the texture was made."""
    bpy.ops.wm.read_homefile(use_empty=True)
    tick()
    item = add(kind)
    overlap(item)
    return item


def test_a_texture_is_on_its_object_again_without_the_engine(painter):  # noqa: F811
    job = textured(painter, add())
    submitted = len(painter.submitted)
    item = anew()
    item.select_set(False)
    assert bpy.ops.espalier.place_result(job=job.id) == {"FINISHED"}
    assert len(painter.submitted) == submitted and session.queue.waiting == []
    assert item["espalier_job"] == job.id and uv_maps(item.active_material) == {"Espalier"}
    assert [layer.name for layer in item.data.uv_layers] == ["UVMap", "Espalier"]


def test_one_that_was_never_applied_counts_as_in_a_scene_then(painter):  # noqa: F811
    job = textured(painter, add(), in_scene=False)
    assert job.state == "finished" and bpy.ops.espalier.place_result(job=job.id) == {"FINISHED"}
    look()
    assert session.shelf.entries[job.id].job.state == "built" and bpy.data.objects["Suzanne"].active_material


def test_a_texture_that_waits_for_the_users_word_is_applied_from_the_list_too(painter):  # noqa: F811
    overlap(add())
    bpy.ops.espalier.texture()
    tick()
    item = anew()
    painter.finish()
    tick()
    look()
    (job,) = session.ready
    item.name = "Renamed"
    assert bpy.ops.espalier.place_result(job=job) == {"FINISHED"}
    assert session.ready == [] and item["espalier_job"] == job


def test_under_another_name_the_selected_mesh_gets_it_when_it_is_the_same(painter):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    item.name = "Monkey"
    other = add("cube")
    item.select_set(True)
    assert bpy.context.view_layer.objects.active == other
    bpy.ops.espalier.place_result(job=job.id)
    assert item["espalier_job"] == job.id and not other.material_slots


def test_an_object_of_the_name_with_another_mesh_leaves_it_to_the_selected_one(painter):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    item.name = "Monkey"
    other = add("cube")
    other.name = "Suzanne"
    item.select_set(True)
    bpy.ops.espalier.place_result(job=job.id)
    assert item["espalier_job"] == job.id and not other.material_slots


def test_an_object_of_the_name_that_is_linked_from_another_file_leaves_it_to_the_selected_one(painter, tmp_path):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    bpy.data.libraries.write(str(tmp_path / "zoo.blend"), {item})
    item.name = "Monkey"
    with bpy.data.libraries.load(str(tmp_path / "zoo.blend"), link=True) as (_, into):
        into.objects = ["Suzanne"]
    (linked,) = into.objects
    bpy.context.scene.collection.objects.link(linked)
    bpy.ops.espalier.place_result(job=job.id)
    assert item["espalier_job"] == job.id and not linked.material_slots
    item.select_set(False)
    with pytest.raises(RuntimeError, match="“Suzanne” is linked from another file"):
        bpy.ops.espalier.place_result(job=job.id)


@pytest.mark.parametrize("selected", [False, True])
def test_where_the_object_is_gone_a_sentence_says_what_to_select(painter, selected):  # noqa: F811
    job = textured(painter, add())
    cube = anew("cube")
    cube.select_set(selected)
    with pytest.raises(RuntimeError, match="“Suzanne” is not in this file, and no selected mesh") as caught:
        bpy.ops.espalier.place_result(job=job.id)
    assert "Select one that has" in str(caught.value)
    assert not cube.material_slots and len(cube.data.uv_layers) == 1 and not bpy.data.materials
    assert session.queue.store.read(job.folder).state == "built"


def test_where_its_mesh_has_changed_a_sentence_says_so(painter):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="The faces or UVs of “Suzanne” have changed since its texture was made"):
        bpy.ops.espalier.place_result(job=job.id)
    assert not item.material_slots and len(item.data.uv_layers) == 1


def test_other_uvs_in_the_layer_that_the_texture_uses_are_a_change(painter):  # noqa: F811
    item = add()
    texture(painter)
    start_again(painter)
    (entry,) = session.shelf.ended()
    values = uv_of(item.data, "UVMap")
    item.data.uv_layers["UVMap"].uv.foreach_set("vector", values[::-1].copy())
    with pytest.raises(RuntimeError, match="have changed since"):
        bpy.ops.espalier.place_result(job=entry.job.id)


def test_a_sculpted_mesh_still_gets_its_texture(painter):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    item.data.vertices[0].co.x += 0.2
    assert bpy.ops.espalier.place_result(job=job.id) == {"FINISHED"} and item.active_material is not None


def test_applied_again_it_uses_the_layer_that_is_there(painter):  # noqa: F811
    item = add()
    job = textured(painter, item)
    for _ in range(2):
        assert bpy.ops.espalier.place_result(job=job.id) == {"FINISHED"}
    assert [layer.name for layer in item.data.uv_layers] == ["UVMap", "Espalier"]
    assert uv_maps(item.active_material) == {"Espalier"}


def test_what_was_made_for_a_copy_goes_on_a_copy(painter):  # noqa: F811
    bpy.context.scene.espalier.texture_on = "COPY"
    job = textured(painter, add())
    item = anew()
    bpy.ops.espalier.place_result(job=job.id)
    copy = bpy.context.view_layer.objects.active
    assert copy != item and item.hide_get() and not item.material_slots and copy["espalier_job"] == job.id


def test_one_undo_takes_it_away(painter):  # noqa: F811
    job = textured(painter, add())
    anew()
    bpy.ops.ed.undo_push(message="Ready")
    bpy.ops.espalier.place_result("EXEC_DEFAULT", True, job=job.id)
    assert bpy.data.objects["Suzanne"].active_material is not None
    bpy.ops.ed.undo()
    item = bpy.data.objects["Suzanne"]
    assert [layer.name for layer in item.data.uv_layers] == ["UVMap"]
    assert not item.material_slots and "espalier_job" not in item


@pytest.mark.parametrize("damage", ["maps", "target"])
def test_damaged_files_are_told_and_leave_the_object_alone(painter, damage):  # noqa: F811
    job = textured(painter, add())
    item = anew()
    if damage == "maps":
        (job.folder / "orm.png").write_bytes(b"nonsense")
    else:
        (job.folder / "request.json").write_text(json.dumps({**job.request, "target": [1]}))
    with pytest.raises(RuntimeError, match="not a PNG" if damage == "maps" else "its files are damaged"):
        bpy.ops.espalier.place_result(job=job.id)
    assert not item.material_slots and len(item.data.uv_layers) == 1


def test_the_button_says_what_it_does_with_a_texture(painter):  # noqa: F811
    from espalier.addon.operators.results import ESPALIER_OT_place_result as operator

    job = textured(painter, add())
    given = type("Properties", (), {"job": job.id})
    assert "selected mesh with the same faces" in operator.description(bpy.context, given)
    given.job = "another"
    assert operator.description(bpy.context, given) == operator.bl_description
