# SPDX-License-Identifier: GPL-3.0-or-later
"""All meshes of a scene with their materials, as the arrays and images that the engine's converter takes.

The folder is described in ``engine/ovoxel/textured_mesh.py``. World space, Z up; what is hidden is left out.
"""

from __future__ import annotations

import json
from dataclasses import replace

import bpy
import numpy as np

from .arrays import corner_uv, corner_vertices, triangle_corners, vertices_of
from .open_mesh import BadMesh
from .pixels import encode_png, linear_to_srgb
from .shading import ALPHA, Surface, Value, read_material

MESH_TYPES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}
# More texels than voxels could show; larger images are scaled down to this many.
MOST_TEXELS = 4096 * 4096
QUANTITIES = ("base_color", "metallic", "roughness", "alpha")


def hand_over(scene, view_layer, folder):
    """Write the visible meshes of a scene into ``folder``; return sentences about what was lost. Raises BadMesh."""
    view_layer.update()
    materials = _Materials(folder)
    parts = []
    for instance in view_layer.depsgraph.object_instances:
        item = instance.object
        if item.type not in MESH_TYPES or not instance.show_self or item.original.hide_render:
            continue
        part = _read(item, np.array(instance.matrix_world, dtype=np.float64), materials)
        if part is not None:
            parts.append(part)
    if not parts:
        raise BadMesh("The file has no faces. Choose a file with a mesh.")
    first = np.cumsum([0, *(len(part["vertices"]) for part in parts[:-1])])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    joined["faces"] = np.concatenate([part["faces"] + start for part, start in zip(parts, first)]).astype(np.int32)
    low, high = joined["vertices"].min(axis=0), joined["vertices"].max(axis=0)
    if not np.isfinite(high - low).all():
        raise BadMesh("The mesh has vertices at infinite or undefined positions. Remove them and try again.")
    # Around the origin float32 has the digits; the engine fits the mesh into its box anyway.
    joined["vertices"] = (joined["vertices"] - (low + high) / 2).astype(np.float32)
    np.savez(folder / "mesh.npz", **joined)
    (folder / "materials.json").write_text(json.dumps(materials.described), encoding="utf-8")
    return materials.notes


def _read(item, matrix, materials):
    """Return the triangles of one evaluated object: vertices float64 [V, 3] in the world, faces, uv, material."""
    mesh = item.to_mesh()
    if mesh is None:
        return None
    try:
        corners = triangle_corners(mesh)
        if not len(corners):
            return None
        slots = np.empty(len(corners), dtype=np.int32)
        mesh.loop_triangles.foreach_get("material_index", slots)
        numbers = np.full(len(corners), -1, dtype=np.int32)
        uv = np.zeros((len(corners), 3, 2), dtype=np.float32)
        for slot in np.unique(slots):
            rows = slots == slot
            material = _material_of(item, mesh, int(slot))
            numbers[rows], surface = materials.number(material)
            colours = _attribute_colours(mesh, corners[rows], "" if material is None else surface.base_color.attribute)
            if colours is None:
                uv[rows] = _placed(mesh, corners[rows], materials.placement(surface))
            else:
                numbers[rows], uv[rows] = materials.paint(surface, colours)
        return {
            "vertices": vertices_of(mesh) @ matrix[:3, :3].T + matrix[:3, 3],
            "faces": corner_vertices(mesh)[corners],
            "uv": uv,
            "material": numbers,
        }
    finally:
        item.to_mesh_clear()


def _material_of(item, mesh, slot):
    """The material of a slot: the object's own, or the one that its modifiers set."""
    for materials in ([slot.material for slot in item.material_slots], mesh.materials):
        if slot < len(materials) and materials[slot] is not None:
            return materials[slot].original
    return None


def _attribute_colours(mesh, corners, name):
    """The mean colour of each triangle in a colour attribute ("" for the one that renders), sRGB uint8 [T, 3].

    None when ``name`` is None or there is no such attribute.
    """
    attributes = mesh.color_attributes
    if name is None or not len(attributes):
        return None
    attribute = attributes[name] if name in attributes else attributes[max(attributes.render_color_index, 0)]
    colours = np.empty(len(attribute.data) * 4, dtype=np.float32)
    attribute.data.foreach_get("color_srgb", colours)
    colours = np.clip(np.nan_to_num(colours.reshape(-1, 4)[:, :3]), 0.0, 1.0)
    rows = corners if attribute.domain == "CORNER" else corner_vertices(mesh)[corners]
    return (colours[rows].mean(axis=1) * 255.0 + 0.5).astype(np.uint8)


def _placed(mesh, corners, placement):
    """The UVs [T, 3, 2] at which a material reads its images."""
    layer, mapping = placement
    if layer not in mesh.uv_layers:
        layer = next((candidate.name for candidate in mesh.uv_layers if candidate.active_render), "")
    if not layer:
        return np.zeros((len(corners), 3, 2), dtype=np.float32)
    uv = np.nan_to_num(corner_uv(mesh, layer)[corners], nan=0.0, posinf=0.0, neginf=0.0)
    return uv if mapping is None else _mapped(uv, mapping)


def _mapped(uv, node):
    """UVs after a Mapping node; what is linked into its sockets is left out."""
    location, turn, scale = (
        np.array(node.inputs[name].default_value, dtype=np.float64) if name in node.inputs else np.zeros(3)
        for name in ("Location", "Rotation", "Scale")
    )
    cos, sin = np.cos(turn[2]), np.sin(turn[2])
    rotation = np.array([[cos, -sin], [sin, cos]])
    if node.vector_type == "TEXTURE":
        mapped = (uv - location[:2]) @ rotation / np.where(scale[:2] == 0, 1.0, scale[:2])
    else:
        mapped = (uv * scale[:2]) @ rotation.T + (location[:2] if node.vector_type == "POINT" else 0.0)
    return mapped.astype(np.float32)


class _Materials:
    """Describes each material once and writes each image once."""

    def __init__(self, folder):
        self.folder = folder
        self.described = []
        self.notes = []
        self._known = {}
        self._files = {}

    def number(self, material):
        """Return a material's number (-1 for none) and its Surface."""
        if material is None:
            return -1, read_material(None)
        key = material.as_pointer()
        if key not in self._known:
            surface = read_material(material)
            self._note(*surface.notes)
            self._known[key] = len(self.described), surface
            self.described.append(self._describe(material.name, surface))
        return self._known[key]

    def placement(self, surface):
        """The UV layer and Mapping node by which the material's images are read: those of the base colour, if any."""
        for name in QUANTITIES:
            lookup = getattr(surface, name).lookup
            if lookup is not None:
                return lookup.uv_layer, lookup.mapping
        return "", None

    def paint(self, surface, colours):
        """Add a material whose base colour is one colour uint8 [T, 3] a triangle; return its number and UVs [T, 3, 2].

        Each triangle has a texel of its own; images for the other quantities would need other UVs and are left out.
        """
        side = int(np.ceil(np.sqrt(len(colours))))
        palette = np.full((side * side, 4), 255, dtype=np.uint8)
        palette[: len(colours), :3] = colours
        file = f"colours-{len(self.described)}.png"
        (self.folder / file).write_bytes(encode_png(palette.reshape(side, side, 4)))
        texture = {"file": file, "channels": [0, 1, 2], "wrap": "clamp", "smooth": False}
        white = Value((1.0, 1.0, 1.0)) if surface.base_color.attribute is None else surface.base_color
        others = {name: replace(getattr(surface, name), lookup=None) for name in QUANTITIES[1:]}
        described = self._describe("", Surface(base_color=white, **others))
        self.described.append({**described, "base_color_texture": texture})
        row, column = np.divmod(np.arange(len(colours)), side)
        texels = np.stack([(column + 0.5) / side, 1.0 - (row + 0.5) / side], axis=1)
        return len(self.described) - 1, np.repeat(texels[:, None], 3, axis=1)

    def _describe(self, name, surface):
        described = {"alpha_mode": _alpha_mode(surface.alpha), "alpha_cutoff": surface.alpha.cutoff or 0.5}
        if surface.alpha.inverted:
            self._note(f"In the material “{name}” alpha is cut out the other way round, and was taken as opaque.")
            described["alpha_mode"] = "opaque"
        placement = self.placement(surface)
        for quantity in QUANTITIES:
            value = getattr(surface, quantity)
            factor = np.clip(np.nan_to_num(value.factor), 0.0, 1.0)
            # Images keep their encoded colours, and a product of encoded colours is close to the encoded product.
            encoded = linear_to_srgb(factor).tolist() if quantity == "base_color" else float(factor[0])
            described[quantity] = encoded
            described[f"{quantity}_texture"] = self._texture(value.lookup)
            if value.lookup is not None and (value.lookup.uv_layer, value.lookup.mapping) != placement:
                self._note(f"In the material “{name}” images have different UVs, and all were read by those of one.")
        return described

    def _texture(self, lookup):
        if lookup is None:
            return None
        file = self._file(lookup.image, lookup.channels)
        channels = list(lookup.channels) if len(lookup.channels) > 1 else lookup.channels[0]
        return file and {"file": file, "channels": channels, "wrap": lookup.wrap, "smooth": lookup.smooth}

    def _file(self, image, channels):
        """Write an image and return its file name; None when there is nothing to read."""
        # Alpha is the same in both.
        kinds = ("value", "colour") if channels == (ALPHA,) else ("value",) if len(channels) == 1 else ("colour",)
        for kind in kinds:
            if (image.name_full, kind) in self._files:
                return self._files[image.name_full, kind]
        kind = kinds[-1]
        pixels = _pixels(image, kind)
        if pixels is None:
            self._note(f"The image “{image.name}” is missing or cannot be read, and was left out.")
            file = None
        else:
            file = f"image-{len(self._files)}.png"
            (self.folder / file).write_bytes(encode_png(pixels))
        self._files[image.name_full, kind] = file
        return file

    def _note(self, *sentences):
        self.notes += [sentence for sentence in sentences if sentence not in self.notes]


def _alpha_mode(alpha):
    if alpha.cutoff is not None:
        return "mask"
    return "blend" if alpha.lookup is not None or alpha.factor[0] < 1.0 else "opaque"


def _pixels(image, kind):
    """Return an image as uint8 [height, width, 4], top row first: colours encoded as sRGB, values as shaders see them.

    None when it has no pixels.
    """
    width, height = image.size
    if not width or not height or image.source == "TILED":
        return None
    small = None
    if width * height > MOST_TEXELS:
        share = (MOST_TEXELS / (width * height)) ** 0.5
        small = image.copy()
        small.scale(max(1, int(width * share)), max(1, int(height * share)))
        width, height = small.size
    pixels = np.empty(width * height * 4, dtype=np.float32)
    (small or image).pixels.foreach_get(pixels)
    if small is not None:
        bpy.data.images.remove(small)
    pixels = np.nan_to_num(pixels.reshape(height, width, 4)[::-1], nan=0.0, posinf=1.0, neginf=0.0)
    colour, alpha = pixels[..., :3], np.clip(pixels[..., 3:], 0.0, 1.0)
    if image.alpha_mode == "NONE":
        alpha = np.ones_like(alpha)
    elif image.alpha_mode == "PREMUL" or (image.is_float and image.alpha_mode == "STRAIGHT"):
        colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    colour = np.clip(colour, 0.0, 1.0)
    space = image.colorspace_settings
    is_linear = image.is_float or space.is_data or space.name.startswith("Linear")
    if kind == "colour" and is_linear:
        colour = linear_to_srgb(colour)
    elif kind == "value" and not is_linear:
        colour = _srgb_to_linear(colour)
    return (np.concatenate([colour, alpha], axis=-1) * 255.0 + 0.5).astype(np.uint8)


def _srgb_to_linear(encoded):
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
