# SPDX-License-Identifier: GPL-3.0-or-later
"""``convert``: mesh files of every kind become voxels with their colours in place, and voxels become mesh files."""

import json
import math
import sys

import bpy
import numpy as np
import pytest
from espalier.addon import cli, preferences
from espalier.addon.scene import handover
from espalier.addon.scene.open_mesh import BadMesh, open_mesh
from espalier.addon.scene.shading import read_material
from espalier.engine.ovoxel.ovoxel_file import decode_ovoxels, read_voxels
from espalier.engine.ovoxel.vxz import write_vxz

RED, GREEN, BLUE, WHITE = (230, 20, 30), (20, 200, 40), (30, 40, 220), (240, 240, 240)


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command and gives its exit code and events."""
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")

    def run(*arguments):
        capsys.readouterr()
        code = cli.main(["convert", *map(str, arguments), "--json", "--engine-python", sys.executable])
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return code, [json.loads(line) for line in lines]

    return run


def painted(name, pixels, is_data=False):
    """A packed image of uint8 [height, width, 3 or 4], first row on top."""
    pixels = np.asarray(pixels, np.uint8)
    height, width = pixels.shape[:2]
    whole = np.full((height, width, 4), 255, np.uint8)
    whole[..., : pixels.shape[2]] = pixels
    image = bpy.data.images.new(name, width, height, alpha=True)
    image.colorspace_settings.is_data = is_data
    image.pixels.foreach_set((whole[::-1] / np.float32(255)).astype(np.float32).ravel())
    image.pack()
    return image


def quarters(size=64):
    """An image of four colours: red and green above, blue and white below."""
    pixels = np.empty((size, size, 3), np.uint8)
    half = size // 2
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = RED, GREEN, BLUE, WHITE
    return pixels


def link(tree, output, socket):
    tree.links.new(output, socket)


def image_node(tree, image):
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    return node


def textured(name="Painted"):
    """A material with a base colour image and one image for roughness and metallic, as the glTF importer makes it."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    link(tree, image_node(tree, painted("colour", quarters())).outputs["Color"], shader.inputs["Base Color"])
    orm = np.zeros((64, 64, 3), np.uint8)
    orm[:] = (255, 100, 0)
    orm[:, 32:] = (255, 200, 255)
    separate = tree.nodes.new("ShaderNodeSeparateColor")
    link(tree, image_node(tree, painted("orm", orm, is_data=True)).outputs["Color"], separate.inputs["Color"])
    link(tree, separate.outputs["Green"], shader.inputs["Roughness"])
    link(tree, separate.outputs["Blue"], shader.inputs["Metallic"])
    return material


def project_from_front(item):
    """UVs by position: u along x, v along z, over the object's extent."""
    mesh = item.data
    points = np.array([vertex.co for vertex in mesh.vertices])
    low, high = points.min(0), points.max(0)
    layer = mesh.uv_layers.active or mesh.uv_layers.new()
    for loop in mesh.loops:
        at = (points[loop.vertex_index] - low) / (high - low)
        layer.uv[loop.index].vector = (0.01 + 0.98 * at[0], 0.01 + 0.98 * at[2])


def ball(material, location=(3.0, -2.0, 5.0), radius=2.0):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=32, radius=radius, location=location)
    item = bpy.context.object
    project_from_front(item)
    if material is not None:
        item.data.materials.append(material)
    return item


def places(ovoxels):
    """Centres of the voxels in the unit box."""
    return (ovoxels.coords + 0.5) / ovoxels.resolution - 0.5


def mean_of(ovoxels, where):
    return ovoxels.attrs[where].mean(0) * 255


def assert_painted_ball(ovoxels):
    """A sphere in the unit box with the four colours where they were painted."""
    at = places(ovoxels)
    surface = (ovoxels.coords + ovoxels.dual_vertices) / ovoxels.resolution - 0.5
    assert abs(np.linalg.norm(surface, axis=1) - 0.5).max() < math.sqrt(3) / ovoxels.resolution
    clear = (abs(at[:, 0]) > 0.08) & (abs(at[:, 2]) > 0.08)
    left, upper = at[:, 0] < 0, at[:, 2] > 0
    for where, colour in ((left & upper, RED), (~left & upper, GREEN), (left & ~upper, BLUE), (~left & ~upper, WHITE)):
        assert abs(mean_of(ovoxels, where & clear)[:3] - colour).max() < 4
    assert abs(mean_of(ovoxels, left & clear)[3:] - [0, 100, 255]).max() < 3
    assert abs(mean_of(ovoxels, ~left & clear)[3:] - [255, 200, 255]).max() < 3


def voxels_of(path):
    return decode_ovoxels(read_voxels(path), path.name)


def export_as(path):
    suffix = path.suffix
    if suffix == ".glb":
        bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB")
    elif suffix == ".gltf":
        bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLTF_SEPARATE")
    elif suffix == ".obj":
        bpy.ops.wm.obj_export(filepath=str(path), path_mode="COPY")
    elif suffix == ".ply":
        bpy.ops.wm.ply_export(filepath=str(path))
    elif suffix == ".stl":
        bpy.ops.wm.stl_export(filepath=str(path))
    elif suffix == ".fbx":
        bpy.ops.export_scene.fbx(filepath=str(path), path_mode="COPY", embed_textures=True)
    else:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))


def test_textured_ball_goes_to_voxels_and_back_with_its_colours_in_place(convert, tmp_path):
    ball(textured())
    export_as(tmp_path / "ball.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    code, events = convert(tmp_path / "ball.glb", "--to", "vxz", "--resolution", 64)
    assert code == 0 and events[-1]["event"] == "finished", events
    assert not [event for event in events if event["event"] == "note"]
    assert_painted_ball(voxels_of(tmp_path / "ball.vxz"))
    assert not bpy.data.objects and len(bpy.data.scenes) == 1, "reading leaves nothing behind"

    code, events = convert(tmp_path / "ball.vxz", "--to", "glb", "--size", 2, "--texture-size", 512)
    assert code == 0 and events[-1]["file"] == str(tmp_path / "ball-2.glb"), "nothing is overwritten"
    code, events = convert(
        tmp_path / "ball-2.glb", "--to", "vxz", "--resolution", 64, "--output", tmp_path / "again.vxz"
    )
    assert code == 0
    assert_painted_ball(voxels_of(tmp_path / "again.vxz"))


def test_voxels_become_a_blend_file_and_an_npz(convert, tmp_path):
    ball(textured())
    export_as(tmp_path / "ball.blend")
    assert convert(tmp_path / "ball.blend", "--to", "npz", "--resolution", 32)[0] == 0
    assert_painted_ball(voxels_of(tmp_path / "ball.npz"))
    out = tmp_path / "made" / "thing.blend"
    code, _ = convert(tmp_path / "ball.npz", "--to", "blend", "--output", out, "--texture-size", 512, "--size", 3)
    assert code == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (item,) = bpy.data.objects
    assert max(item.dimensions) == pytest.approx(3.0, abs=1e-3) and item.name == "ball"
    assert all(image.packed_file for image in bpy.data.images if image.type == "IMAGE")


def read_back(tmp_path, file, resolution=32):
    """Hand over and voxelise in this process."""
    from espalier.engine.ovoxel.textured_mesh import read_textured_mesh

    folder = tmp_path / f"handed-{file.stem}-{file.suffix[1:]}"
    folder.mkdir()
    with open_mesh(file) as (scene, layer):
        notes = handover.hand_over(scene, layer, folder)
    return decode_ovoxels(read_textured_mesh(folder).voxelise(resolution), file.name, resolution), notes


@pytest.mark.parametrize("suffix", [".gltf", ".obj", ".fbx", ".ply", ".stl"])
def test_every_kind_of_mesh_file_stands_upright_with_what_it_keeps_of_the_material(tmp_path, suffix):
    ball(textured(), location=(0, 0, 0), radius=1.0)
    for image in bpy.data.images:
        if suffix == ".obj":
            # It names image files and cannot carry packed ones.
            image.unpack(method="REMOVE")
            image.filepath_raw, image.file_format = str(tmp_path / f"{image.name}.png"), "PNG"
            image.save()
    bpy.ops.mesh.primitive_cube_add(size=0.4, location=(0.0, -1.2, 1.3))
    export_as(tmp_path / f"ball{suffix}")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ovoxels, _ = read_back(tmp_path, tmp_path / f"ball{suffix}", 48)
    at = places(ovoxels)
    # The cube in front of and above the ball: Z is up and the front faces -Y whatever the file's axes are.
    front = at[at[:, 1] < -0.35]
    assert len(front) and front[:, 2].mean() > 0.25 and at[at[:, 2] < -0.35][:, 1].mean() > 0
    if suffix in {".gltf", ".obj", ".fbx"}:
        body = at[:, 1] > -0.1
        reddest = at[body & (ovoxels.attrs[:, 0] > 0.85) & (ovoxels.attrs[:, 1] < 0.15)]
        assert len(reddest) > 50 and (reddest[:, 0] < 0.05).all()


def test_blend_gives_what_is_seen_with_modifiers_instances_and_transforms(tmp_path):
    bpy.ops.mesh.primitive_cube_add(size=1)
    cube = bpy.context.object
    cube.scale = (1, 1, -2)
    array = cube.modifiers.new("Array", "ARRAY")
    array.count, array.use_relative_offset, array.use_constant_offset = 2, False, True
    array.constant_offset_displace = (3, 0, 0)
    bpy.ops.mesh.primitive_cube_add(size=50, location=(100, 0, 0))
    bpy.context.object.hide_set(True)
    bpy.ops.mesh.primitive_cube_add(size=50, location=(100, 0, 0))
    bpy.context.object.hide_render = True
    group = bpy.data.collections.new("Group")
    bpy.ops.mesh.primitive_ico_sphere_add(radius=0.5)
    group.objects.link(bpy.context.object)
    bpy.context.scene.collection.objects.unlink(bpy.context.object)
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", group, (1.5, 0, 3)
    bpy.context.scene.collection.objects.link(empty)
    bpy.ops.object.text_add()
    bpy.context.object.scale = (0.3, 0.3, 0.3)
    folder = tmp_path / "out"
    folder.mkdir()
    handover.hand_over(bpy.context.scene, bpy.context.view_layer, folder)
    data = np.load(folder / "mesh.npz")
    size = np.ptp(data["vertices"], axis=0)
    assert size == pytest.approx([4, 1, 4.5], abs=0.05)
    assert len(data["faces"]) > 24 + 80, "text is a surface too"


def flat_material():
    material = bpy.data.materials.new("Nodes")
    material.use_nodes = True
    return material, material.node_tree, material.node_tree.nodes["Principled BSDF"]


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


def test_bad_input_is_told_in_a_sentence(convert, tmp_path):
    (tmp_path / "broken.glb").write_bytes(b"glTF" + bytes(30))
    (tmp_path / "broken.gltf").write_text("{}")
    (tmp_path / "broken.ply").write_text("ply")
    (tmp_path / "broken.blend").write_text("no blend file")
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "broken.vxz").write_text("text")
    ball(None)
    export_as(tmp_path / "ball.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name in ("missing.glb", "broken.glb", "broken.gltf", "broken.ply", "broken.blend", "text.txt"):
        code, events = convert(tmp_path / name, "--to", "vxz")
        assert code == 4 and events[-1]["event"] == "bad_input", (name, events)
        assert events[-1]["sentence"].endswith("."), name
    for arguments in (
        (tmp_path / "broken.vxz", "--to", "glb"),
        (tmp_path / "ball.glb", "--to", "blend"),
        (tmp_path / "ball.glb", "--to", "vxz", "--resolution", 0),
        (tmp_path / "ball.glb", "--to", "vxz", "--resolution", "many"),
        (tmp_path / "ball.glb",),
    ):
        code, events = convert(*arguments)
        assert code == 4, arguments
    names = {path.suffix for path in tmp_path.iterdir() if path.stem not in {"broken", "data"}}
    assert names == {".glb", ".txt"}, "nothing was written"


def test_a_file_without_faces_is_refused(tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.data.clear_geometry()
    export_as(tmp_path / "a.blend")
    with pytest.raises(BadMesh, match="no faces"):
        read_back(tmp_path, tmp_path / "a.blend")


def test_geometry_without_materials_comes_back_plain(convert, tmp_path):
    coords = np.argwhere(np.ones((6, 6, 6), bool))
    # A box of crossed edges: the surface between the layers 1 and 4.
    inside = ((coords >= 1) & (coords <= 4)).all(1)
    grid = np.zeros((8, 8, 8), bool)
    grid[tuple(coords[inside].T)] = True
    flags = np.zeros((len(coords), 3), np.uint8)
    for axis in range(3):
        low = coords + 1
        low[:, axis] -= 1
        high = low.copy()
        high[:, axis] += 1
        flags[:, axis] = grid[tuple(low.T)] != grid[tuple(high.T)]
    bits = (flags @ np.array([1, 2, 4])).astype(np.uint8)
    middle = np.full((len(coords), 3), 127, np.uint8)
    write_vxz(tmp_path / "box.vxz", coords, {"vertices": middle, "intersected": bits})
    code, events = convert(tmp_path / "box.vxz", "--to", "glb", "--resolution", 8)
    assert code == 0, events
    assert (tmp_path / "box.glb").read_bytes()[:4] == b"glTF"
