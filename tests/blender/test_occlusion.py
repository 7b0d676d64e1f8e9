# SPDX-License-Identifier: GPL-3.0-or-later
"""Ambient occlusion reaches exported glTF files and no light in Blender; closed objects show one side only."""

import json

import bpy
import numpy as np
import pytest
from espalier.addon.scene import Placement, Provenance, build_object, export, read_result
from espalier.addon.scene.shading import read_material

from .conftest import glb_header, png

REQUEST = {"name": "mug", "image": "mug.png", "settings": {}}


def build(folder):
    context = bpy.context
    return build_object(context.scene, "mug", read_result(folder), Placement(), Provenance(), context.view_layer)


def with_report(folder, **report):
    info = json.loads((folder / "result.json").read_text())
    info["report"].update(report)
    (folder / "result.json").write_text(json.dumps(info))
    return folder


def test_exported_occlusion_is_the_image_of_roughness_and_metallic(result_folder, tmp_path):
    export.write(result_folder(occlusion=True), REQUEST, "job", tmp_path / "mug.glb", 1.0)
    header = glb_header(tmp_path / "mug.glb")
    (material,) = header["materials"]
    assert (
        material["occlusionTexture"]["index"] == material["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"]
    )
    assert len(header["images"]) == 2
    assert not bpy.data.node_groups


def test_without_occlusion_none_is_exported(result_folder, tmp_path):
    export.write(result_folder(), REQUEST, "job", tmp_path / "mug.glb", 1.0)
    (material,) = glb_header(tmp_path / "mug.glb")["materials"]
    assert "occlusionTexture" not in material and "metallicRoughnessTexture" in material["pbrMetallicRoughness"]


def test_all_materials_share_one_node_group(result_folder):
    folder = result_folder(occlusion=True)
    build(folder)
    build(folder)
    (group,) = bpy.data.node_groups
    assert group.users == 2 and group.name.startswith("glTF Material Output")


def test_a_file_with_our_group_still_imports_gltf(result_folder, tmp_path):
    export.write(result_folder(occlusion=True), REQUEST, "job", tmp_path / "mug.glb", 1.0)
    build(result_folder())
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / "mug.glb"))
    assert len([item for item in bpy.data.objects if item.type == "MESH"]) == 2


def test_light_is_not_darkened(result_folder, tmp_path):
    """The same picture, pixel by pixel, whether the first channel of the image is black or white."""
    pictures = []
    for red in (0, 255):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        folder = result_folder(occlusion=True)
        (folder / "orm.png").write_bytes(png(np.full((16, 16, 3), (red, 128, 0))))
        build(folder)
        pictures.append(render(tmp_path / "picture.png"))
    assert pictures[0].max() > 0.2
    assert np.array_equal(*pictures)


def render(path):
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 4
    scene.render.resolution_x = scene.render.resolution_y = 24
    scene.render.filepath = str(path)
    bpy.ops.object.light_add(type="SUN", rotation=(0.5, 0.3, 0))
    bpy.ops.object.camera_add(location=(0, -3, 0.4), rotation=(np.pi / 2, 0, 0))
    scene.camera = bpy.context.object
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(24 * 24 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def test_reading_the_material_back_finds_what_it_was_made_of(result_folder):
    surface = read_material(build(result_folder(occlusion=True)).active_material)
    assert surface.roughness.lookup.channels == (1,) and surface.metallic.lookup.channels == (2,)
    assert not surface.notes


@pytest.mark.parametrize(
    ("alpha_mode", "report", "one_sided"),
    [
        ("opaque", {"boundary_edges": 0}, True),
        ("opaque", {"boundary_edges": 0, "sheets": 0}, True),
        ("opaque", {"boundary_edges": 0, "sheets": 2}, False),
        ("opaque", {"boundary_edges": 7}, False),
        ("opaque", {}, False),
        ("blend", {"boundary_edges": 0}, False),
    ],
)
def test_only_closed_opaque_solids_show_one_side(result_folder, tmp_path, alpha_mode, report, one_sided):
    folder = with_report(result_folder(alpha_mode), **report)
    assert build(folder).active_material.use_backface_culling == one_sided
    export.write(folder, REQUEST, "job", tmp_path / "mug.glb", 1.0)
    (material,) = glb_header(tmp_path / "mug.glb")["materials"]
    assert material.get("doubleSided", False) != one_sided
