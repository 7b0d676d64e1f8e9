# SPDX-License-Identifier: GPL-3.0-or-later
"""What a material says about base colour, metallic, roughness and alpha: constants and images, without rendering.

Follows links through reroutes, node groups and the arithmetic that importers and people put in between: multiplied
constants, separated colours, thresholds of alpha. What it does not understand it looks through to the image behind, and
says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .. import compat

MAX_DEPTH = 64
RGB = (0, 1, 2)
ALPHA = 3

WRAPS = {"REPEAT": "repeat", "EXTEND": "clamp", "CLIP": "clamp", "MIRROR": "mirror"}
# Shaders that have a colour but no Principled parameters, and the socket of that colour.
PLAIN_SHADERS = {"BSDF_DIFFUSE": "Color", "EMISSION": "Color", "BSDF_GLOSSY": "Color", "BSDF_METALLIC": "Base Color"}


@dataclass(frozen=True)
class Lookup:
    """An image that a socket reads: which of its channels, and where its UVs come from.

    ``channels`` is (0, 1, 2) or one channel's number. ``uv_layer`` is "" for the layer that renders; ``mapping`` is the
    Mapping node on the way, if any.
    """

    image: object
    channels: tuple[int, ...]
    wrap: str
    smooth: bool
    uv_layer: str
    mapping: object = None


@dataclass(frozen=True)
class Value:
    """What a socket carries: ``factor`` (three linear numbers for colours, one for values) times an image, or times the
    colour attribute of that name ("" for the one that renders).

    ``cutoff`` is set where a threshold makes 0 or 1 of it.
    """

    factor: tuple[float, ...]
    lookup: Lookup | None = None
    attribute: str | None = None
    cutoff: float | None = None
    inverted: bool = False


@dataclass
class Surface:
    """A material's four quantities; ``notes`` are sentences about what could not be followed."""

    base_color: Value = Value((0.8, 0.8, 0.8))
    metallic: Value = Value((0.0,))
    roughness: Value = Value((0.5,))
    alpha: Value = Value((1.0,))
    notes: list[str] = field(default_factory=list)


def read_material(material):
    """Return the Surface of a material datablock, or of None."""
    surface = Surface()
    if material is None:
        return surface
    tree = compat.ensure_node_tree(material) if getattr(material, "use_nodes", True) else None
    if tree is None:
        surface.base_color = Value(tuple(material.diffuse_color[:3]))
        surface.metallic, surface.roughness = Value((material.metallic,)), Value((material.roughness,))
        surface.alpha = Value((material.diffuse_color[3],))
        return surface
    reader = _Reader(material.name, surface.notes)
    shader, path = reader.find_shader(tree)
    if shader is None:
        surface.notes.append(f"“{material.name}” has no Principled BSDF: it became plain grey.")
    elif shader.type == "BSDF_PRINCIPLED":
        surface.base_color = reader.colour(shader.inputs["Base Color"], path)
        surface.metallic = reader.value(shader.inputs["Metallic"], path)
        surface.roughness = reader.value(shader.inputs["Roughness"], path)
        surface.alpha = reader.value(shader.inputs["Alpha"], path)
    else:
        surface.base_color = reader.colour(shader.inputs[PLAIN_SHADERS[shader.type]], path)
        surface.notes.append(f"“{material.name}” has no Principled BSDF: only its colour was taken.")
    return surface


class _Reader:
    """Walks one material's nodes. ``path`` is the tuple of group nodes around a node, the outermost first."""

    def __init__(self, name, notes):
        self.name = name
        self.notes = notes

    def find_shader(self, tree):
        """Return the Principled BSDF behind the active output, else another shader with a colour, and its path."""
        output = tree.get_output_node("ALL")
        if output is None:
            return None, ()
        plain = (None, ())
        waiting, seen = [(output.inputs["Surface"], ())], set()
        while waiting:
            source, _, path = _trace(*waiting.pop(0))
            if source is None or (source.node.as_pointer(), path) in seen:
                continue
            node = source.node
            seen.add((node.as_pointer(), path))
            if node.type == "BSDF_PRINCIPLED":
                return node, path
            if node.type in PLAIN_SHADERS and plain[0] is None:
                plain = node, path
            waiting += [(socket, path) for socket in node.inputs if socket.type == "SHADER"]
        return plain

    def colour(self, socket, path, depth=0):
        """What a colour socket carries."""
        source, end, path = _trace(socket, path)
        if source is None or depth > MAX_DEPTH:
            return Value(_numbers(end))
        node = source.node
        if node.type == "TEX_IMAGE" and node.image is not None and source.name == "Color":
            return Value((1.0, 1.0, 1.0), self.lookup(node, path, RGB))
        if node.type in {"RGB", "VALUE"}:
            return Value(_numbers(source))
        if node.type == "VERTEX_COLOR" or (node.type == "ATTRIBUTE" and node.attribute_type == "GEOMETRY"):
            name = node.layer_name if node.type == "VERTEX_COLOR" else node.attribute_name
            return Value((1.0, 1.0, 1.0), attribute=name)
        mixed = self.mixture(node, path, depth)
        return mixed or self.look_through(node, path, Value(_numbers(socket)), self.colour, depth)

    def value(self, socket, path, depth=0):
        """What a socket of one number carries."""
        source, end, path = _trace(socket, path)
        if source is None or depth > MAX_DEPTH:
            return Value((_luminance(end),))
        node = source.node
        if node.type == "TEX_IMAGE" and node.image is not None:
            # A colour read as a value is its luminance; the images that are meant here are grey: any channel does.
            return Value((1.0,), self.lookup(node, path, (ALPHA,) if source.name == "Alpha" else (1,)))
        if node.type in {"VALUE", "RGB"}:
            return Value((_luminance(source),))
        if node.type in {"SEPARATE_COLOR", "SEPRGB", "SEPXYZ"} and getattr(node, "mode", "RGB") == "RGB":
            whole = self.colour(node.inputs[0], path, depth + 1)
            channel = list(node.outputs).index(source)
            return Value((whole.factor[channel],), whole.lookup and replace(whole.lookup, channels=(channel,)))
        computed = self.arithmetic(node, path, depth) if node.type == "MATH" else None
        return computed or self.look_through(node, path, Value((_luminance(socket),)), self.value, depth)

    def mixture(self, node, path, depth):
        """The mix of two colours where it is a constant times an image, else None."""
        sockets = _mix_sockets(node)
        if sockets is None:
            return None
        amount = self.value(sockets[0], path, depth + 1)
        first, second = (self.colour(socket, path, depth + 1) for socket in sockets[1:])
        if amount.lookup is not None:
            return None
        share = min(max(amount.factor[0], 0.0), 1.0)
        if share == 0.0:
            return first
        if node.blend_type == "MIX" and share == 1.0:
            return second
        if node.blend_type == "MULTIPLY" and (share == 1.0 or _is_constant(second)):
            scaled = tuple(1.0 - share + share * part for part in second.factor)
            return _product(first, replace(second, factor=scaled))
        if node.blend_type == "MIX" and _is_constant(first) and _is_constant(second):
            return Value(tuple((1.0 - share) * a + share * b for a, b in zip(first.factor, second.factor)))
        return None

    def arithmetic(self, node, path, depth):
        """Products, and the thresholds by which importers write cut-out alpha."""
        first = self.value(node.inputs[0], path, depth + 1)
        if node.operation == "ROUND":
            return replace(first, cutoff=0.5)
        second = self.value(node.inputs[1], path, depth + 1)
        if node.operation == "MULTIPLY":
            return _product(first, second)
        if node.operation in {"GREATER_THAN", "LESS_THAN"} and second.lookup is None:
            return replace(first, cutoff=second.factor[0], inverted=node.operation == "LESS_THAN")
        if (
            node.operation == "SUBTRACT"
            and first.lookup is None
            and first.factor == (1.0,)
            and second.cutoff is not None
        ):
            return replace(second, inverted=not second.inverted)
        return None

    def look_through(self, node, path, otherwise, read, depth):
        """What the first image behind a node that is not understood says, else ``otherwise``."""
        for socket in node.inputs:
            if socket.is_linked and socket.type in {"RGBA", "VALUE", "VECTOR"} and node.type != "TEX_IMAGE":
                behind = read(socket, path, depth + 1)
                if behind.lookup is not None:
                    self.note(f"the node “{node.name}” was left out, and the image behind it taken as it is")
                    return behind
        self.note(f"the node “{node.name}” cannot be converted and was left out")
        return otherwise

    def note(self, text):
        sentence = f"In the material “{self.name}” {text}."
        if sentence not in self.notes:
            self.notes.append(sentence)

    def lookup(self, node, path, channels):
        """The Lookup of an Image Texture node."""
        uv_layer, mapping = "", None
        source, _, path = _trace(node.inputs["Vector"], path)
        if source is not None and source.node.type == "MAPPING":
            mapping = source.node
            source, _, path = _trace(mapping.inputs["Vector"], path)
        if source is not None:
            origin = source.node
            if origin.type == "UVMAP":
                uv_layer = origin.uv_map
            elif origin.type == "ATTRIBUTE":
                uv_layer = origin.attribute_name
            elif not (origin.type == "TEX_COORD" and source.name == "UV"):
                self.note(f"the image “{node.image.name}” is not placed by UVs, and was placed by the mesh's UVs")
        smooth = node.interpolation != "Closest"
        return Lookup(node.image, channels, WRAPS.get(node.extension, "repeat"), smooth, uv_layer, mapping)


def _trace(socket, path):
    """Follow an input back through reroutes, muted nodes and groups.

    Returns the output socket that feeds it (None for none), the input whose own value counts then, and the path there.
    """
    for _ in range(MAX_DEPTH):
        link = next((link for link in socket.links if link.is_valid and not link.is_muted), None)
        if link is None:
            return None, socket, path
        node, output = link.from_node, link.from_socket
        if node.mute:
            inner = next((link for link in node.internal_links if link.to_socket == output), None)
            following = inner and inner.from_socket
        elif node.type == "REROUTE":
            following = node.inputs[0]
        elif node.type == "GROUP" and node.node_tree is not None:
            inside = next((n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output), None)
            following = inside and _by_identifier(inside.inputs, output.identifier)
            path = (*path, node)
        elif node.type == "GROUP_INPUT" and path:
            following = _by_identifier(path[-1].inputs, output.identifier)
            path = path[:-1]
        else:
            return output, socket, path
        if following is None:
            break
        socket = following
    return None, socket, path


def _by_identifier(sockets, identifier):
    return next((socket for socket in sockets if socket.identifier == identifier), None)


def _numbers(socket):
    """The value of a socket as three numbers."""
    value = getattr(socket, "default_value", 0.0)
    return tuple(float(part) for part in value)[:3] if hasattr(value, "__len__") else (float(value),) * 3


def _luminance(socket):
    """The value of a socket as one number; of a colour, as Blender converts it."""
    red, green, blue = _numbers(socket)
    return red if red == green == blue else 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix_sockets(node):
    """The sockets of the share and the two colours of a node that mixes colours, else None."""
    if node.type == "MIX_RGB":
        return node.inputs[0], node.inputs[1], node.inputs[2]
    if node.type == "MIX" and node.data_type == "RGBA":
        return tuple(_by_identifier(node.inputs, name) for name in ("Factor_Float", "A_Color", "B_Color"))
    return None


def _is_constant(value):
    return value.lookup is None and value.attribute is None


def _product(first, second):
    """The product of two values where it is a constant times something, else None."""
    plain, other = (first, second) if _is_constant(first) else (second, first)
    if not _is_constant(plain) or plain.cutoff is not None or other.cutoff is not None:
        return None
    return replace(other, factor=tuple(a * b for a, b in zip(first.factor, second.factor)))
