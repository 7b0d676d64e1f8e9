# SPDX-License-Identifier: GPL-3.0-or-later
"""One map per quantity, for kinds of files that cannot say “the green channel of that image”."""

import bpy
import numpy as np

from .. import ids
from .material import build_image
from .pixels import encode_png

CHANNELS = ("Red", "Green", "Blue")


def separate_maps(material):
    """Feed what takes a channel of one of our maps by a grey map of its own instead, and remove the map then.
    Other images stay as they are.
    """
    tree = material.node_tree
    packed = [node for node in tree.nodes if node.type == "TEX_IMAGE" and node.image and ids.PROP_MAP in node.image]
    for node in packed:
        pixels = None
        for separate in [link.to_node for link in node.outputs["Color"].links]:
            if separate.type != "SEPARATE_COLOR":
                continue
            pixels = _pixels(node.image) if pixels is None else pixels
            for socket in separate.outputs:
                for target in [link.to_socket for link in socket.links if link.to_node.type == "BSDF_PRINCIPLED"]:
                    _feed(tree, node, pixels[..., CHANNELS.index(socket.name)], target, material.name)
        if pixels is not None:
            image = node.image
            tree.nodes.remove(node)
            if not image.users:
                bpy.data.images.remove(image)


def _feed(tree, node, values, target, name):
    grey = np.repeat(values[..., None], 4, axis=2)
    grey[..., 3] = 255
    single = tree.nodes.new("ShaderNodeTexImage")
    single.image = build_image(f"{name} {target.name}", encode_png(grey), is_data=True)
    for link in node.inputs["Vector"].links:
        tree.links.new(link.from_socket, single.inputs["Vector"])
    tree.links.new(single.outputs["Color"], target)


def _pixels(image: bpy.types.Image):
    """The values of an image as stored, uint8 [height, width, 4], top row first."""
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    return (values.reshape(height, width, 4)[::-1] * 255.0 + 0.5).astype(np.uint8)
