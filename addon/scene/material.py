# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture files to packed images and a Principled BSDF."""

import struct

import bpy

from .. import compat, ids
from .mesh import BASE_COLOR, MATERIAL_VALUES

MASK_THRESHOLD = 0.5
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


def build_material(name, maps, alpha_mode, uv_layer=None):
    """Return a new material with a Principled BSDF fed by ``maps`` (encoded PNG files by name, see ``Texture``).

    Alpha is connected only when ``alpha_mode`` is "mask" (cut at one half) or "blend"; the glTF exporter reads both.
    The maps are placed by ``uv_layer``; without it by the one that renders.
    """
    material = bpy.data.materials.new(name)
    tree = compat.ensure_node_tree(material)
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputMaterial", 400, 0)
    shader = _node(tree, "ShaderNodeBsdfPrincipled", 100, 0)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    if "base_color" in maps:
        texture = _texture(tree, name, "base_color", maps, -700, 300, alpha=alpha_mode != "opaque")
        tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
        _connect_alpha(tree, texture, shader, alpha_mode)
    if "orm" in maps:
        texture = _texture(tree, name, "orm", maps, -700, 0)
        separate = _node(tree, "ShaderNodeSeparateColor", -380, 0)
        tree.links.new(texture.outputs["Color"], separate.inputs["Color"])
        tree.links.new(separate.outputs["Green"], shader.inputs["Roughness"])
        tree.links.new(separate.outputs["Blue"], shader.inputs["Metallic"])
    if "normal" in maps:
        texture = _texture(tree, name, "normal", maps, -700, -300)
        normal = _node(tree, "ShaderNodeNormalMap", -380, -300)
        tree.links.new(texture.outputs["Color"], normal.inputs["Color"])
        tree.links.new(normal.outputs["Normal"], shader.inputs["Normal"])
    if uv_layer is not None:
        _place_by(tree, uv_layer)
    # Dithered sorts correctly from every side and casts shadows; blended is the user's choice where noise matters more.
    material.surface_render_method = "DITHERED"
    return material


def build_draft_material(name, alpha_mode):
    """Return a new material with a Principled BSDF that reads the attributes of a draft's mesh (``set_materials``)."""
    material = bpy.data.materials.new(name)
    material[ids.PROP_MAP] = True
    tree = compat.ensure_node_tree(material)
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputMaterial", 400, 0)
    shader = _node(tree, "ShaderNodeBsdfPrincipled", 100, 0)
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    names = (BASE_COLOR, *MATERIAL_VALUES) if alpha_mode != "opaque" else (BASE_COLOR, *MATERIAL_VALUES[:2])
    for row, each in enumerate(names):
        attribute = _node(tree, "ShaderNodeAttribute", -380, 300 - 200 * row)
        attribute.attribute_name = attribute.label = each
        tree.links.new(attribute.outputs["Color" if each == BASE_COLOR else "Fac"], shader.inputs[each])
    material.surface_render_method = "DITHERED"
    return material


def name_material(material, name):
    """Give a material and its maps the names that ``build_material`` gives them where these are free."""
    material.name = name
    for node in material.node_tree.nodes:
        if node.type == "TEX_IMAGE":
            node.image.name = f"{name} {node.label}"


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
