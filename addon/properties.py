# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the panel. They live in the scene and are saved with the file; what is running never is."""

import bpy

from . import ids
from .finish_settings import ESPALIER_PG_finish
from .sampling_settings import ESPALIER_PG_sampling

MODES = (
    ("GENERATE", "Generate", "Make a new object from the image"),
    ("TEXTURE", "Texture", "Paint the selected objects after the image; their shape and UVs stay as they are"),
)
MODELS = (
    (
        "STARTER",
        "Starter",
        "The small model that comes with Espalier: simple shapes on a grid of 64, within a minute on any computer",
    ),
    (
        "TRELLIS2",
        "TRELLIS.2-4B",
        "The published model, for photographs and detail. Needs its weights and a graphics card",
    ),
)
BACKGROUNDS = (
    (
        "AUTO",
        "Automatic",
        "The image's own transparency where it has any, else BiRefNet where it is on this computer, else a plain "
        "background is removed by its colour",
    ),
    ("ALPHA", "Use Transparency", "Only what is transparent in the image is background; an opaque image is refused"),
    ("BIREFNET", "BiRefNet", "A network finds the subject before any background. It has to be on this computer"),
    ("KEYER", "Plain Background", "One smooth colour around the subject, or a studio gradient, is removed"),
    ("NONE", "Keep the Whole Image", "Nothing is removed: everything in the image is part of the object"),
)
QUALITIES = (
    ("DRAFT", "Draft", "Grid of 512: the quickest look at a shape"),
    ("STANDARD", "Standard", "Grid of 1024 in two steps"),
    ("FINE", "Fine", "Grid of 1536 in two steps: the most detail, time and memory"),
)


TEXTURED = (
    ("OBJECT", "The Object", "The object itself gets the texture; shape, UVs and name stay as they are"),
    (
        "COPY",
        "A Copy",
        "A copy takes the place of the object, which stays as it is and is hidden. Also for linked objects",
    ),
)
PLACES = (
    ("CURSOR", "3D Cursor", "With the centre of its base at the 3D cursor"),
    ("GROUND", "Below the Cursor", "On the ground, at the height zero, where the 3D cursor is above or below"),
    ("ORIGIN", "World Origin", "At the middle of the world"),
)


def _is_local(_settings, collection):
    return collection.library is None and collection.override_library is None


def _is_input(_settings, image):
    still = image.type in {"IMAGE", "UV_TEST"} and image.source in {"FILE", "GENERATED"}
    return still and ids.PROP_MAP not in image


def _get_size(settings):
    return settings.size_metres / settings.id_data.unit_settings.scale_length


def _set_size(settings, value):
    settings.size_metres = value * settings.id_data.unit_settings.scale_length


class ESPALIER_PG_settings(bpy.types.PropertyGroup):
    mode: bpy.props.EnumProperty(
        name="Mode", description="What is made from the image", items=MODES, translation_context=ids.CONTEXT
    )
    image: bpy.props.PointerProperty(
        name="Image",
        description="The picture of the object to make: one object, seen whole, on a plain or transparent background",
        type=bpy.types.Image,
        poll=_is_input,
    )
    matting: bpy.props.EnumProperty(
        name="Background", description="How the subject of the image is told from its background", items=BACKGROUNDS
    )
    texture_on: bpy.props.EnumProperty(
        name="Texture",
        description="Whether the object itself or a copy of it gets the texture",
        items=TEXTURED,
        translation_context=ids.CONTEXT,
    )
    model: bpy.props.EnumProperty(name="Model", description="What turns the image into an object", items=MODELS)
    quality: bpy.props.EnumProperty(
        name="Quality",
        description="How fine the object is made",
        items=QUALITIES,
        default="STANDARD",
        translation_context=ids.CONTEXT,
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Another seed makes another object of the same image; the same seed makes the same object",
        min=0,
        max=2**31 - 1,
    )
    lock_seed: bpy.props.BoolProperty(
        name="Lock Seed",
        description="Keep this seed. When open, every Generate draws a new one and shows it here",
        default=True,
    )
    variants: bpy.props.IntProperty(
        name="Variants",
        description="How many objects are made of the image, side by side, each with the next seed",
        default=1,
        min=1,
        max=64,
        soft_max=8,
    )
    place: bpy.props.EnumProperty(
        name="Place", description="Where in the scene the object stands", items=PLACES, translation_context=ids.CONTEXT
    )
    collection: bpy.props.PointerProperty(
        name="Collection",
        description="Where the object is filed. Empty: a collection of its own, called Espalier",
        type=bpy.types.Collection,
        poll=_is_local,
    )
    is_asset: bpy.props.BoolProperty(
        name="Mark as Asset", description="Offer the object in the Asset Browser, with a picture of it"
    )
    asset_tags: bpy.props.StringProperty(
        name="Tags",
        description="Tags of the asset, with commas between them. They count while Mark as Asset is on",
        translation_context=ids.CONTEXT,
    )
    size_metres: bpy.props.FloatProperty(default=1.0, min=1e-4, options={"HIDDEN"})
    size: bpy.props.FloatProperty(
        name="Size",
        description="Length of the object's longest side",
        unit="LENGTH",
        min=1e-4,
        soft_min=0.01,
        soft_max=100.0,
        get=_get_size,
        set=_set_size,
    )
    finish: bpy.props.PointerProperty(type=ESPALIER_PG_finish)
    sampling: bpy.props.PointerProperty(type=ESPALIER_PG_sampling)


def attach():
    """Give every scene its settings."""
    bpy.types.Scene.espalier = bpy.props.PointerProperty(type=ESPALIER_PG_settings)


def detach():
    """Take the settings away again; their values stay in the file."""
    del bpy.types.Scene.espalier
