# SPDX-License-Identifier: GPL-3.0-or-later
"""What a material's nodes say about its four quantities, and the colours that the voxels get from them."""

import bpy
import numpy as np
import pytest
from espalier.addon.scene.shading import read_material
from espalier.tests.blender.painted import (
    GREEN,
    RED,
    assert_painted_ball,
    ball,
    export_as,
    flat_material,
    image_node,
    link,
    mean_of,
    painted,
    places,
    quarters,
    read_back,
    textured,
)


def test_constants_in_groups_and_behind_reroutes_are_found():
    material, tree, shader = flat_material()
    group = bpy.data.node_groups.new("Paint", "ShaderNodeTree")
    group.interface.new_socket("Tint", in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("Out", in_out="OUTPUT", socket_type="NodeSocketColor")
    first, last = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    mix = group.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 1.0
    link(group, first.outputs["Tint"], mix.inputs[6])
    mix.inputs[7].default_value = (0.5, 0.5, 0.25, 1)
    link(group, mix.outputs[2], last.inputs["Out"])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    node.inputs["Tint"].default_value = (0.4, 0.8, 0.8, 1)
    reroute = tree.nodes.new("NodeReroute")
    link(tree, node.outputs["Out"], reroute.inputs[0])
    link(tree, reroute.outputs[0], shader.inputs["Base Color"])
    value = tree.nodes.new("ShaderNodeValue")
    value.outputs[0].default_value = 0.75
    link(tree, value.outputs[0], shader.inputs["Metallic"])
    surface = read_material(material)
    assert surface.base_color.factor == pytest.approx((0.2, 0.4, 0.2)) and surface.base_color.lookup is None
    assert surface.metallic.factor == pytest.approx((0.75,)) and not surface.notes


def test_a_principled_shader_inside_a_group_is_found():
    material, tree, shader = flat_material()
    tree.nodes.remove(shader)
    group = bpy.data.node_groups.new("Shader", "ShaderNodeTree")
    group.interface.new_socket("Rough", in_out="INPUT", socket_type="NodeSocketFloat")
    group.interface.new_socket("BSDF", in_out="OUTPUT", socket_type="NodeSocketShader")
    inner = group.nodes.new("ShaderNodeBsdfPrincipled")
    first, last = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    link(group, first.outputs["Rough"], inner.inputs["Roughness"])
    link(group, inner.outputs["BSDF"], last.inputs["BSDF"])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    node.inputs["Rough"].default_value = 0.125
    link(tree, node.outputs["BSDF"], tree.nodes["Material Output"].inputs["Surface"])
    assert read_material(material).roughness.factor == pytest.approx((0.125,))


def test_images_times_factors_and_cut_out_alpha_are_understood():
    material, tree, shader = flat_material()
    picture = image_node(tree, painted("leaf", quarters()))
    picture.extension, picture.interpolation = "MIRROR", "Closest"
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 1.0
    link(tree, picture.outputs["Color"], mix.inputs[6])
    mix.inputs[7].default_value = (1.0, 0.5, 0.25, 1)
    link(tree, mix.outputs[2], shader.inputs["Base Color"])
    less, minus = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMath")
    less.operation, minus.operation = "LESS_THAN", "SUBTRACT"
    link(tree, picture.outputs["Alpha"], less.inputs[0])
    less.inputs[1].default_value = 0.3
    minus.inputs[0].default_value = 1.0
    link(tree, less.outputs[0], minus.inputs[1])
    link(tree, minus.outputs[0], shader.inputs["Alpha"])
    surface = read_material(material)
    lookup = surface.base_color.lookup
    assert surface.base_color.factor == pytest.approx((1.0, 0.5, 0.25))
    assert (lookup.image.name, lookup.channels, lookup.wrap, lookup.smooth) == ("leaf", (0, 1, 2), "mirror", False)
    assert surface.alpha.lookup.channels == (3,)
    assert surface.alpha.cutoff == pytest.approx(0.3) and not surface.alpha.inverted
    assert not surface.notes


def test_what_is_not_understood_is_said_and_the_image_behind_it_taken():
    material, tree, shader = flat_material()
    hue = tree.nodes.new("ShaderNodeHueSaturation")
    link(tree, image_node(tree, painted("wood", quarters())).outputs["Color"], hue.inputs["Color"])
    link(tree, hue.outputs["Color"], shader.inputs["Base Color"])
    noise = tree.nodes.new("ShaderNodeTexNoise")
    link(tree, noise.outputs[0], shader.inputs["Roughness"])
    surface = read_material(material)
    assert surface.base_color.lookup.image.name == "wood"
    assert len(surface.notes) == 2 and all(note.endswith(".") and "Nodes" in note for note in surface.notes)


def test_constant_colours_keep_their_look(tmp_path):
    material, _, shader = flat_material()
    shader.inputs["Base Color"].default_value = (0.2, 0.5, 0.05, 1)
    shader.inputs["Alpha"].default_value = 0.5
    ball(material)
    export_as(tmp_path / "a.blend")
    ovoxels, _ = read_back(tmp_path, tmp_path / "a.blend")
    # sRGB of 0.2, 0.5, 0.05; metallic 0, roughness 0.5, alpha 0.5.
    assert abs(ovoxels.attrs.mean(0) * 255 - [124, 188, 63, 0, 127, 127]).max() < 2


def test_values_and_colours_are_read_as_the_shader_sees_them(tmp_path):
    material, tree, shader = flat_material()
    grey = painted("grey", np.full((8, 8, 3), 128, np.uint8))
    link(tree, image_node(tree, grey).outputs["Color"], shader.inputs["Roughness"])
    linear = painted("linear", np.full((8, 8, 3), 128, np.uint8), is_data=True)
    link(tree, image_node(tree, linear).outputs["Color"], shader.inputs["Base Color"])
    ball(material)
    export_as(tmp_path / "a.blend")
    ovoxels, _ = read_back(tmp_path, tmp_path / "a.blend")
    assert abs(ovoxels.attrs.mean(0)[[0, 4]] * 255 - [188, 55]).max() < 2


def test_images_follow_their_uv_map_and_mapping(tmp_path):
    material = textured()
    tree = material.node_tree
    (picture,) = [n for n in tree.nodes if n.type == "TEX_IMAGE" and n.image.name == "colour"]
    (orm,) = [n for n in tree.nodes if n.type == "TEX_IMAGE" and n.image.name == "orm"]
    uv, mapping = tree.nodes.new("ShaderNodeUVMap"), tree.nodes.new("ShaderNodeMapping")
    uv.uv_map = "Second"
    link(tree, uv.outputs["UV"], mapping.inputs["Vector"])
    for node in (picture, orm):
        link(tree, mapping.outputs["Vector"], node.inputs["Vector"])
    item = ball(material)
    first = np.empty(len(item.data.loops) * 2, np.float32)
    item.data.uv_layers.active.uv.foreach_get("vector", first)
    # The second layer is half the size and shifted; the Mapping node puts that right.
    item.data.uv_layers.new(name="Second").uv.foreach_set("vector", first / 2 + 0.25)
    mapping.inputs["Scale"].default_value = (2, 2, 1)
    mapping.inputs["Location"].default_value = (-0.5, -0.5, 0)
    export_as(tmp_path / "a.blend")
    ovoxels, notes = read_back(tmp_path, tmp_path / "a.blend", 48)
    assert_painted_ball(ovoxels)
    assert not notes


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".blend"])
@pytest.mark.parametrize("domain", ["POINT", "CORNER"])
def test_colour_attributes_are_colours(tmp_path, suffix, domain):
    material, tree, shader = flat_material()
    item = ball(material)
    mesh = item.data
    attribute = mesh.color_attributes.new("Paint", "BYTE_COLOR", domain)
    for index, entry in enumerate(attribute.data):
        vertex = index if domain == "POINT" else mesh.loops[index].vertex_index
        entry.color_srgb = [part / 255 for part in (RED if mesh.vertices[vertex].co.x < 0 else GREEN)] + [1]
    node = tree.nodes.new("ShaderNodeVertexColor")
    node.layer_name = "Paint"
    link(tree, node.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Metallic"].default_value = 1.0
    export_as(tmp_path / f"ball{suffix}")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ovoxels, notes = read_back(tmp_path, tmp_path / f"ball{suffix}")
    at = places(ovoxels)
    assert abs(mean_of(ovoxels, at[:, 0] < -0.1)[:3] - RED).max() < 4
    assert abs(mean_of(ovoxels, at[:, 0] > 0.1)[:3] - GREEN).max() < 4
    assert suffix == ".ply" or (ovoxels.attrs[:, 3] == 1).all()
    assert not notes


def test_missing_images_are_said_and_left_out(tmp_path):
    material = textured()
    ball(material)
    for image in bpy.data.images:
        if image.name == "colour":
            image.filepath_raw = "//nowhere.png"
            image.source = "FILE"
            image.unpack(method="REMOVE") if image.packed_file else None
    export_as(tmp_path / "a.blend")
    ovoxels, notes = read_back(tmp_path, tmp_path / "a.blend")
    assert len(notes) == 1 and "colour" in notes[0]
    assert abs(ovoxels.attrs[:, :3].mean() - 1) < 0.01, "the factor alone"
