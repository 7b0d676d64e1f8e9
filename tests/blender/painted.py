# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects with known colours in known places, and what becomes of them as voxels."""

import math

import bpy
import numpy as np
from espalier.addon.scene import handover
from espalier.addon.scene.open_mesh import open_mesh
from espalier.engine.ovoxel.ovoxel_file import decode_ovoxels
from espalier.engine.ovoxel.textured_mesh import read_textured_mesh

RED, GREEN, BLUE, WHITE = (230, 20, 30), (20, 200, 40), (30, 40, 220), (240, 240, 240)


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
    """Join two sockets."""
    tree.links.new(output, socket)


def image_node(tree, image):
    """An Image Texture node."""
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


def flat_material():
    """A new material, its node tree and its Principled BSDF."""
    material = bpy.data.materials.new("Nodes")
    material.use_nodes = True
    return material, material.node_tree, material.node_tree.nodes["Principled BSDF"]


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
    """A sphere whose UVs are its picture from the front."""
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
    """Mean attributes of some voxels, 0 to 255."""
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


def export_as(path):
    """Write the open scene as the kind of file that the name says."""
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


def read_back(tmp_path, file, resolution=32):
    """Hand over and voxelise in this process."""
    folder = tmp_path / f"handed-{file.stem}-{file.suffix[1:]}"
    folder.mkdir()
    with open_mesh(file) as (scene, layer):
        notes = handover.hand_over(scene, layer, folder)
    return decode_ovoxels(read_textured_mesh(folder).voxelise(resolution), file.name, resolution), notes
