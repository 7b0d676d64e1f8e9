# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of files that results are written in: read again by Blender they show the same object and maps."""

import bpy
import numpy as np
import pytest
from espalier.addon.scene import export, formats
from espalier.addon.scene.asset import BadResult

from .test_export import REQUEST

IMPORTERS = {
    "glb": lambda file: bpy.ops.import_scene.gltf(filepath=file),
    "fbx": lambda file: bpy.ops.import_scene.fbx(filepath=file),
    "obj": lambda file: bpy.ops.wm.obj_import(filepath=file),
    "usd": lambda file: bpy.ops.wm.usd_import(filepath=file),
}
COLOUR = np.float32([200, 60, 30]) / 255


def opened(path):
    """The mesh objects of a file that was written."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix == ".blend":
        bpy.ops.wm.open_mainfile(filepath=str(path))
    else:
        IMPORTERS[path.suffix[1:]](str(path))
    bpy.context.view_layer.update()
    return [item for item in bpy.data.objects if item.type == "MESH"]


def source(item, quantity):
    """The node that feeds a quantity of an object's material."""
    nodes = item.active_material.node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    return shader.inputs[quantity].links[0].from_node


def base_colour(item):
    return mean(source(item, "Base Color").image)


def mean(image):
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(-1, 4)[:, :3].mean(0)


@pytest.mark.parametrize("kind", formats.KINDS)
def test_the_object_comes_back_with_its_size_faces_and_colour(result_folder, tmp_path, kind):
    assert formats.find_obstacle(kind) == ""
    target = tmp_path / "out" / f"red mug.{kind}"
    assert export.write(result_folder(), REQUEST, "job", target, 2.0) == 12
    assert not any((bpy.data.objects, bpy.data.meshes, bpy.data.materials, bpy.data.images, bpy.data.node_groups))
    (item,) = opened(target)
    assert sum(len(face.vertices) - 2 for face in item.data.polygons) == 12
    assert sorted(item.dimensions) == pytest.approx([2 / 3, 4 / 3, 2.0], rel=1e-4)
    assert base_colour(item) == pytest.approx(COLOUR, abs=0.01)
    beside = {path.name for path in target.parent.iterdir()} - {target.name}
    assert beside == {"obj": {"red mug.mtl", "red mug.obj.textures"}, "usd": {"red mug.usd.textures"}}.get(kind, set())


@pytest.mark.parametrize("kind", ["fbx", "obj", "usd"])
def test_hidden_levels_of_detail_have_files_of_their_own(result_folder, tmp_path, kind):
    target = tmp_path / f"mug.{kind}"
    export.write(result_folder(lods=2), REQUEST, "job", target, 1.0)
    for path, count in zip([target, *export.lod_files(target, 2)], (12, 8, 4)):
        (item,) = opened(path)
        assert sum(len(face.vertices) - 2 for face in item.data.polygons) == count
        assert base_colour(item) == pytest.approx(COLOUR, abs=0.01)


def test_every_map_beside_an_obj_is_one_that_it_names(result_folder, tmp_path):
    export.write(result_folder(), REQUEST, "job", tmp_path / "mug.obj", 1.0)
    named = (tmp_path / "mug.mtl").read_text(encoding="utf-8")
    files = [path.name for path in (tmp_path / "mug.obj.textures").iterdir()]
    assert files and all(name in named for name in files)


@pytest.mark.parametrize("kind", ["fbx", "obj"])
def test_kinds_without_channels_have_a_map_for_each_quantity(result_folder, tmp_path, kind):
    target = tmp_path / f"mug.{kind}"
    export.write(result_folder(lods=1), REQUEST, "job", target, 1.0)
    for path in (target, *export.lod_files(target, 1)):
        (item,) = opened(path)
        for quantity, value in (("Roughness", 128), ("Metallic", 64)):
            assert mean(source(item, quantity).image) == pytest.approx([value / 255] * 3, abs=0.01)


def test_an_open_file_is_written_in_every_kind(tmp_path):
    for kind in formats.KINDS:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.mesh.primitive_cube_add()
        export.write_open_file(tmp_path / f"cube.{kind}")
        assert len(opened(tmp_path / f"cube.{kind}")) == 1


def test_images_of_a_user_keep_their_format_and_names_that_clash_are_told_apart(tmp_path):
    import io

    from PIL import Image

    bpy.ops.mesh.primitive_cube_add()
    item = bpy.context.object
    item.data.materials.clear()
    for name, kind in (("a b.png", "PNG"), ("a_b", "PNG"), ("photo.jpg", "JPEG")):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (200, 60, 30)).save(stream, kind)
        image = bpy.data.images.new(name, 8, 8)
        image.pack(data=stream.getvalue(), data_len=len(stream.getvalue()))
        image.source = "FILE"
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        shader = next(each for each in material.node_tree.nodes if each.type == "BSDF_PRINCIPLED")
        material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
        item.data.materials.append(material)
    export.write_open_file(tmp_path / "cube.obj")
    files = sorted((tmp_path / "cube.obj.textures").iterdir())
    assert [file.name for file in files] == ["a_b.png", "a_b_.png", "photo.jpg"]
    assert [Image.open(file).format for file in files] == ["PNG", "PNG", "JPEG"]
    named = (tmp_path / "cube.mtl").read_text()
    assert all(f"map_Kd cube.obj.textures/{file.name}" in named for file in files)


def test_an_exporter_that_is_switched_off_is_a_sentence(result_folder, tmp_path):
    bpy.ops.preferences.addon_disable(module="io_scene_fbx")
    try:
        sentence = formats.find_obstacle("fbx")
        assert sentence.startswith("This Blender has no exporter for .fbx files: its add-on is switched off.")
        with pytest.raises(BadResult, match="no exporter"):
            export.write(result_folder(), REQUEST, "job", tmp_path / "mug.fbx", 1.0)
        assert not (tmp_path / "mug.fbx").exists()
    finally:
        bpy.ops.preferences.addon_enable(module="io_scene_fbx")


def test_an_asset_shows_the_preview_that_it_was_given(result_folder, tmp_path):
    from PIL import Image

    shown = np.zeros((512, 512, 3), np.uint8)
    shown[:256] = (255, 0, 0)
    Image.fromarray(shown).save(tmp_path / "preview.png")
    target = tmp_path / "mug.blend"
    export.write_as_it_goes(result_folder(), REQUEST, "job", target, 1.0)
    (item,) = opened(target)
    assert item.asset_data.description == "Made by Espalier from mug.png, seed 5"
    preview = item.preview
    pixels = np.empty(preview.image_size[0] * preview.image_size[1] * 4, np.float32)
    preview.image_pixels_float.foreach_get(pixels)
    pixels = pixels.reshape(*preview.image_size, 4)
    assert pixels[-8, 8].tolist() == [1, 0, 0, 1] and pixels[8, 8].tolist() == [0, 0, 0, 1]
