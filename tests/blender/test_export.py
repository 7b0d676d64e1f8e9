# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the command line writes."""

import bpy
import pytest
from espalier.addon.scene import export
from espalier.addon.scene.asset import BadResult

REQUEST = {
    "name": "mug",
    "image": "mug.png",
    "seed": 5,
    "model": {"set": "starter"},
    "settings": {"quality": "starter"},
}


def test_blend_opens_with_the_object_alone_in_its_scene(result_folder, tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    target = tmp_path / "out" / "mug.blend"
    assert export.write(result_folder(), REQUEST, "job", target, 2.0) == 12
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(target))
    (item,) = bpy.data.objects
    assert bpy.context.scene.name == "mug" and bpy.context.view_layer.objects.active == item
    assert max(item.dimensions) == pytest.approx(2.0, abs=1e-4) and item["espalier_seed"] == 5
    assert all(image.packed_file for image in bpy.data.images)
    assert [path.name for path in target.parent.iterdir()] == ["mug.blend"]


def test_one_result_after_the_other_keeps_its_names(result_folder, tmp_path):
    for target in (tmp_path / "mug.blend", tmp_path / "mug-2.blend"):
        export.write(result_folder(), REQUEST, "job", target, 1.0)
        assert not bpy.data.objects
    bpy.ops.wm.open_mainfile(filepath=str(target))
    assert [item.name for item in bpy.data.objects] == [mesh.name for mesh in bpy.data.meshes] == ["mug"]


def test_glb_leaves_the_open_file_as_it_was(result_folder, tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    export.write(result_folder(), REQUEST, "job", tmp_path / "mug.glb", 1.0)
    assert len(bpy.data.objects) == len(bpy.data.scenes) == 1 and not bpy.data.images
    assert (tmp_path / "mug.glb").read_bytes()[:4] == b"glTF"


def test_the_same_result_of_another_job_is_the_same_glb_to_the_byte(result_folder, tmp_path):
    folder = result_folder(lods=1)
    for number in (1, 2):
        export.write(folder, REQUEST, f"job-{number}", tmp_path / str(number) / "mug.glb", 1.0)
    for name in ("mug.glb", "mug_LOD1.glb"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mug.glb").touch()
    (tmp_path / "mug-2.glb").touch()
    assert export.unused(tmp_path / "mug.glb").name == "mug-3.glb"


@pytest.mark.parametrize("taken", ["mug.mtl", "mug.obj.textures", "mug_LOD1.obj"])
def test_what_would_be_written_beside_a_file_is_not_overwritten_either(tmp_path, taken):
    (tmp_path / taken).touch()
    assert export.unused(tmp_path / "mug.obj").name == "mug-2.obj"
    assert export.unused(tmp_path / "mug.glb").name == "mug.glb"


def test_failed_write_leaves_no_half_file(result_folder, tmp_path):
    folder = result_folder()
    (folder / "result.npz").unlink()
    with pytest.raises(BadResult, match="missing"):
        export.write(folder, REQUEST, "job", tmp_path / "out" / "mug.glb", 1.0)
    assert not (tmp_path / "out").exists()
