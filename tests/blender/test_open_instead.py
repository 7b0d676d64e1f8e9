# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with meshes that the command line opens in place of what is open."""

import bpy
import pytest
from espalier.addon.scene import export
from espalier.addon.scene.open_mesh import BadMesh, open_instead

EXPORTERS = {
    ".blend": lambda path: bpy.ops.wm.save_as_mainfile(filepath=path),
    ".glb": lambda path: bpy.ops.export_scene.gltf(filepath=path),
    ".gltf": lambda path: bpy.ops.export_scene.gltf(filepath=path, export_format="GLTF_SEPARATE"),
    ".obj": lambda path: bpy.ops.wm.obj_export(filepath=path),
    ".ply": lambda path: bpy.ops.wm.ply_export(filepath=path),
    ".stl": lambda path: bpy.ops.wm.stl_export(filepath=path),
    ".fbx": lambda path: bpy.ops.export_scene.fbx(filepath=path),
}


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_every_kind_of_file_is_opened_in_place_of_what_was_open(tmp_path, suffix):
    bpy.ops.mesh.primitive_monkey_add()
    path = tmp_path / f"file{suffix.upper() if suffix == '.obj' else suffix}"
    EXPORTERS[suffix](str(path))
    bpy.ops.mesh.primitive_cube_add()
    (item,) = open_instead(path)
    assert item.type == "MESH" and len(item.data.loop_triangles) in (0, 968)
    assert len([other for other in bpy.data.objects if other.type == "MESH"]) == 1


def test_linked_duplicates_count_once_and_hidden_objects_not_at_all(tmp_path):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.object.duplicate(linked=True)
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.hide_viewport = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert [item.name for item in open_instead(tmp_path / "a.blend")] == ["Suzanne"]


@pytest.mark.parametrize("name", ["a.blend", "a.glb", "a.obj", "a.ply", "a.stl", "a.fbx", "a.txt"])
@pytest.mark.parametrize("content", [None, b"", b"no mesh at all"], ids=["missing", "empty", "foreign"])
def test_files_without_meshes_are_refused_with_a_sentence(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadMesh) as refused:
        open_instead(tmp_path / name)
    assert name in str(refused.value) and str(refused.value).endswith(".")


def test_open_file_is_written_with_its_modifiers_where_they_can_be_kept(tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.modifiers.new("Array", "ARRAY").count = 3
    for name in ("a.blend", "a.glb"):
        export.write_open_file(tmp_path / "out" / name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.blend", "a.glb"]
    (item,) = open_instead(tmp_path / "out" / "a.glb")
    assert max(item.dimensions) == pytest.approx(6.0, abs=1e-3)
    (item,) = open_instead(tmp_path / "out" / "a.blend")
    assert [modifier.type for modifier in item.modifiers] == ["ARRAY"]
