# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture files to packed images and a Principled BSDF."""

import struct

import bpy
from mathutils import Color

from .. import compat, ids
from .mesh import BASE_COLOR, MATERIAL_VALUES

MASK_THRESHOLD = 0.5
# The exporter knows its groups by how their names begin. The whole name is not its own: in a group of that name its
# importer expects every socket of its version.
GLTF_GROUP = "glTF Material Output, Occlusion"
LABELS = {"base_color": "Base Color", "orm": "Roughness Metallic", "normal": "Normal"}


def build_image(name, png, is_data, alpha=False):
    """Return a new packed image made of an encoded PNG file. ``is_data`` marks values that are not colours."""
    width, height = struct.unpack(">II", png[16:24])
    image = bpy.data.images.new(name, width, height, alpha=alpha)
    # The place and name that File > External Data > Unpack gives it.
    image.filepath_raw = f"//textures/{bpy.path.clean_name(name)}.png"
    image.file_format = "PNG"
    image.pack(data=png, data_len=len(png))
    image.source = "FILE"
    image.colorspace_settings.is_data = is_data
    # The colour under transparent texels is meant to be there: it must not bleed black into the rim.
    image.alpha_mode = "CHANNEL_PACKED" if alpha else "NONE"
    image[ids.PROP_MAP] = True
    return image


def build_material(name, texture, uv_layer=None):
    """Return a new material with a Principled BSDF fed by the maps of a ``Texture``.

    Alpha is connected only when the alpha mode is "mask" (cut at one half) or "blend"; the glTF exporter reads both.
    Occlusion is connected to what that exporter looks for and to nothing else: the light of Cycles and EEVEE finds
    hollows by itself. The maps are placed by ``uv_layer``; without it by the one that renders.
    """
    maps, alpha_mode = texture.maps, texture.alpha_mode
    material = bpy.data.materials.new(name)
    tree = compat.ensure_node_tree(material)
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputMaterial", 400, 0)
    shader = _node(tree, "ShaderNodeBsdfPrincipled", 100, 0)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    if "base_color" in maps:
        node = _texture(tree, name, "base_color", maps, -700, 300, alpha=alpha_mode != "opaque")
        tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
        _connect_alpha(tree, node, shader, alpha_mode)
    if "orm" in maps:
        node = _texture(tree, name, "orm", maps, -700, 0)
        separate = _node(tree, "ShaderNodeSeparateColor", -380, 0)
        tree.links.new(node.outputs["Color"], separate.inputs["Color"])
        tree.links.new(separate.outputs["Green"], shader.inputs["Roughness"])
        tree.links.new(separate.outputs["Blue"], shader.inputs["Metallic"])
        if texture.occlusion:
            exported = _node(tree, "ShaderNodeGroup", 100, 160)
            exported.node_tree = _gltf_group()
            tree.links.new(separate.outputs["Red"], exported.inputs["Occlusion"])
    if "normal" in maps:
        node = _texture(tree, name, "normal", maps, -700, -300)
        normal = _node(tree, "ShaderNodeNormalMap", -380, -300)
        tree.links.new(node.outputs["Color"], normal.inputs["Color"])
        tree.links.new(normal.outputs["Normal"], shader.inputs["Normal"])
    if uv_layer is not None:
        _place_by(tree, uv_layer)
    # Dithered sorts correctly from every side and casts shadows; blended is the user's choice where noise matters more.
    material.surface_render_method = "DITHERED"
    material.use_backface_culling = texture.one_sided
    _colour_viewport(material, texture)
    return material


def build_draft_material(name, texture):
    """Return a new material with a Principled BSDF that reads the attributes of a draft's mesh (``set_materials``)."""
    material = bpy.data.materials.new(name)
    material[ids.PROP_MAP] = True
    tree = compat.ensure_node_tree(material)
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputMaterial", 400, 0)
    shader = _node(tree, "ShaderNodeBsdfPrincipled", 100, 0)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    names = (BASE_COLOR, *MATERIAL_VALUES) if texture.alpha_mode != "opaque" else (BASE_COLOR, *MATERIAL_VALUES[:2])
    for row, each in enumerate(names):
        attribute = _node(tree, "ShaderNodeAttribute", -380, 300 - 200 * row)
        attribute.attribute_name = attribute.label = each
        tree.links.new(attribute.outputs["Color" if each == BASE_COLOR else "Fac"], shader.inputs[each])
    material.surface_render_method = "DITHERED"
    _colour_viewport(material, texture)
    return material


def _colour_viewport(material, texture):
    """Give the material the mean colour of what it shows, for Solid view knows one colour a material and no maps."""
    colour = texture.report.get("mean_colour")
    if isinstance(colour, list) and len(colour) == 3 and all(isinstance(value, int | float) for value in colour):
        material.diffuse_color = (*Color(colour).from_srgb_to_scene_linear(), 1.0)


def name_material(material, name):
    """Give a material and its maps the names that ``build_material`` gives them where these are free."""
    material.name = name
    for node in material.node_tree.nodes:
        if node.type == "TEX_IMAGE":
            node.image.name = f"{name} {node.label}"


def is_ours(material):
    """Whether a material shows maps of ours or the attributes of a draft."""
    return material is not None and (ids.PROP_MAP in material or bool(maps_of(material)))


def maps_of(material):
    """The images of ours that a material shows."""
    tree = material.node_tree
    images = [node.image for node in tree.nodes if node.type == "TEX_IMAGE"] if tree is not None else []
    return [image for image in images if image is not None and ids.PROP_MAP in image]


def _gltf_group():
    """The node group in which Blender's glTF exporter looks for occlusion; all our materials share it."""
    group = bpy.data.node_groups.get(GLTF_GROUP)
    if group is not None and group.library is None and "Occlusion" in group.interface.items_tree:
        return group
    group = bpy.data.node_groups.new(GLTF_GROUP, "ShaderNodeTree")
    group.interface.new_socket("Occlusion", in_out="INPUT", socket_type="NodeSocketFloat")
    group.nodes.new("NodeGroupOutput")
    group.nodes.new("NodeGroupInput").location = -200, 0
    return group


def _place_by(tree, uv_layer):
    uv = _node(tree, "ShaderNodeUVMap", -960, 0)
    uv.uv_map = uv_layer
    for node in tree.nodes:
        if node.type == "TEX_IMAGE":
            tree.links.new(uv.outputs["UV"], node.inputs["Vector"])


def _connect_alpha(tree, texture, shader, alpha_mode):
    if alpha_mode == "opaque":
        return
    alpha = texture.outputs["Alpha"]
    if alpha_mode == "mask":
        cut = _node(tree, "ShaderNodeMath", -380, 180)
        cut.operation = "GREATER_THAN"
        cut.label = "Mask"
        cut.inputs[1].default_value = MASK_THRESHOLD
        tree.links.new(alpha, cut.inputs[0])
        alpha = cut.outputs["Value"]
    tree.links.new(alpha, shader.inputs["Alpha"])


def _texture(tree, name, kind, maps, x, y, alpha=False):
    node = _node(tree, "ShaderNodeTexImage", x, y)
    node.label = LABELS[kind]
    node.image = build_image(f"{name} {LABELS[kind]}", maps[kind], is_data=kind != "base_color", alpha=alpha)
    return node


def _node(tree, kind, x, y):
    node = tree.nodes.new(kind)
    node.location = x, y
    return node
