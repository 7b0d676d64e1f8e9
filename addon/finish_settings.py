# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says under "Finish": the same for a generation and for finishing again."""

import json

import bpy

from . import ids
from .languages import iface_
from .request import FINISHING, LODS, TEXTURE_SIZES

TEXTURES = tuple((str(size), f"{size} px", f"Texture maps of {size} × {size} pixels") for size in TEXTURE_SIZES)
REPAIRS = (
    ("MODEL", "As Suggested", "As the model suggests: what suits its surfaces best"),
    ("AS_GENERATED", "As Generated", "Nothing is closed and nothing is removed"),
    ("CLEAN", "Clean", "Close small holes and remove crumbs; what is open by its nature stays open"),
    ("WATERTIGHT", "Watertight", "The closed outer skin of the object, for printing and booleans"),
)
AMOUNTS = (
    ("AUTOMATIC", "Automatic", "As many as the voxels carry and a viewport likes"),
    ("NUMBER", "Number", "At most a number of faces of your choice"),
    ("SHARE", "Share", "A share of the faces that the mended surface has; at 100 % all of them"),
)
SHARE = {"subtype": "PERCENTAGE", "min": 0.0, "max": 100.0}


class ESPALIER_PG_finish(bpy.types.PropertyGroup):
    draft: bpy.props.BoolProperty(
        name="Draft",
        description=(
            "For a quick look: the whole mesh with its materials at the vertices, without unwrapping it or making "
            "texture maps. Finish Again turns it into a finished object"
        ),
    )
    repair: bpy.props.EnumProperty(
        name="Repair", description="How the surface is mended", items=REPAIRS, translation_context=ids.CONTEXT
    )
    amount: bpy.props.EnumProperty(
        name="Faces",
        description="How many faces the mesh gets",
        items=AMOUNTS,
        translation_context=ids.CONTEXT,
    )
    faces: bpy.props.IntProperty(
        name="Number of Faces",
        description="The mesh gets at most this many triangles",
        default=20_000,
        min=4,
        soft_min=500,
        soft_max=500_000,
        translation_context=ids.CONTEXT,
    )
    share: bpy.props.FloatProperty(
        name="Share of Faces",
        description="The mesh gets this share of the triangles that the mended surface has",
        default=100.0,
        precision=1,
        **{**SHARE, "min": 0.1},
    )
    texture_size: bpy.props.EnumProperty(
        name="Textures", description="Size of the texture maps", items=TEXTURES, default=str(FINISHING["texture_size"])
    )
    occlusion: bpy.props.BoolProperty(
        name="Occlusion",
        description=(
            "Bake how hidden each place is into the maps, for game engines and exported glTF files. "
            "Cycles and EEVEE find that by themselves and do not use it"
        ),
        default=FINISHING["occlusion"],
    )
    normal_map: bpy.props.BoolProperty(
        name="Normal Map",
        description="Bake the relief of the whole surface, so that a mesh of few faces looks like one of many",
        default=FINISHING["normal_map"],
    )
    lods: bpy.props.BoolProperty(
        name="LODs",
        description=(
            "Also make levels of detail with 50 %, 25 % and 12 % of the faces, for the same maps: "
            "objects with the ending _LOD1, _LOD2 and _LOD3, hidden beside the object"
        ),
    )
    use_smoothing: bpy.props.BoolProperty(
        name="Choose Smoothing", description="Choose how much is smoothed; otherwise it is as the model suggests"
    )
    smoothing: bpy.props.IntProperty(
        name="Smoothing",
        description="How many times the surface is smoothed, without shrinking it, before anything else is made of it",
        default=8,
        min=0,
        max=200,
        soft_max=30,
    )
    use_holes: bpy.props.BoolProperty(
        name="Choose Holes",
        description="Choose which holes are closed; otherwise those with a rim of up to sixteen voxels",
    )
    hole_length: bpy.props.FloatProperty(
        name="Close Holes",
        description="Holes with a rim up to this long are closed, in percent of the object's longest side",
        default=5.0,
        soft_max=50.0,
        precision=2,
        **SHARE,
    )
    use_floaters: bpy.props.BoolProperty(
        name="Choose Crumbs", description="Choose which loose pieces are removed; otherwise only the very small ones"
    )
    floater_size: bpy.props.FloatProperty(
        name="Remove Crumbs",
        description="Loose pieces smaller than this are removed, in percent of the object's longest side",
        default=2.0,
        soft_max=20.0,
        precision=2,
        **SHARE,
    )
    thickness: bpy.props.FloatProperty(
        name="Thickness",
        description=(
            "Single sheets, such as leaves and cloth, become this thick, in percent of the object's longest side; "
            "at 0 they stay as thin as the voxels allow"
        ),
        soft_max=5.0,
        precision=2,
        **{**SHARE, "max": 20.0},
    )


# Which repairs close holes and remove crumbs, and which thicken sheets; the others have no use for these settings.
MENDS = ("MODEL", "CLEAN", "WATERTIGHT")
THICKENS = ("WATERTIGHT",)


def asked(finish):
    """What a request says of finishing (``FINISHING``), as the panel has it."""
    repair = finish.repair
    return {
        "faces": finish.faces if finish.amount == "NUMBER" else None,
        "ratio": _part(finish.share) if finish.amount == "SHARE" else None,
        "texture_size": int(finish.texture_size),
        "repair": None if repair == "MODEL" else repair.lower(),
        "smoothing": finish.smoothing if finish.use_smoothing else None,
        "hole_length": _part(finish.hole_length) if finish.use_holes and repair in MENDS else None,
        "floater_size": _part(finish.floater_size) if finish.use_floaters and repair in MENDS else None,
        "thickness": _part(finish.thickness) or None if repair in THICKENS else None,
        "lods": list(LODS) if finish.lods else [],
        "occlusion": finish.occlusion,
        "normal_map": finish.normal_map,
        "draft": finish.draft,
    }


def take(finish, settings):
    """Set the panel to the ``settings`` of a request; what they do not say is as by default.

    Raises TypeError or ValueError for values that no request has.
    """
    known = {**FINISHING, **{name: value for name, value in settings.items() if value is not None}}
    for name in ESPALIER_PG_finish.__annotations__:
        finish.property_unset(name)
    if known["faces"] is not None:
        finish.amount, finish.faces = "NUMBER", known["faces"]
    elif known["ratio"] is not None:
        finish.amount, finish.share = "SHARE", 100 * known["ratio"]
    if str(known["texture_size"]) in {size for size, _, _ in TEXTURES}:
        finish.texture_size = str(known["texture_size"])
    finish.repair = "MODEL" if known["repair"] is None else known["repair"].upper()
    for name, use in (("smoothing", "use_smoothing"), ("hole_length", "use_holes"), ("floater_size", "use_floaters")):
        if known[name] is not None:
            setattr(finish, use, True)
            setattr(finish, name, known[name] if name == "smoothing" else 100 * known[name])
    finish.thickness = 100 * (known["thickness"] or 0)
    finish.lods = bool(known["lods"])
    finish.occlusion, finish.normal_map, finish.draft = known["occlusion"], known["normal_map"], known["draft"]


def settings_of(item):
    """The settings that an object was made with, as it keeps them; empty when it says nothing that can be read."""
    try:
        settings = json.loads(item.get(ids.PROP_SETTINGS, "{}"))
    except (TypeError, ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def describe(settings):
    """The settings of a request in a few words: ``Clean, 5,000 faces, 2048 px, 3 LODs``."""
    repairs = {name.lower(): label for name, label, _ in REPAIRS}
    # A request on the disk may hold anything.
    repair = repairs.get(str(settings.get("repair")))
    parts = [iface_("repair as suggested") if repair is None else iface_(repair, ids.CONTEXT)]
    if settings.get("draft"):
        return ", ".join([iface_("draft"), *parts])
    faces, ratio, lods = (settings.get(name) for name in ("faces", "ratio", "lods"))
    if isinstance(faces, int):
        parts.append(iface_("at most {faces:,} faces", faces=faces))
    elif isinstance(ratio, int | float):
        share = f"{ratio:.3g}" if ratio < 0.01 else f"{100 * ratio:.3g} %"
        parts.append(iface_("{share} of the faces", share=share))
    parts.append(f"{settings.get('texture_size', FINISHING['texture_size'])} px")
    if isinstance(lods, list) and lods:
        parts.append(iface_("{count} LODs", count=len(lods)))
    return ", ".join(parts)


def _part(percent):
    """A percentage as a share of one, without the noise of single precision."""
    return round(percent / 100, 6)
