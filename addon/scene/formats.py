# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of files that a scene can be exported to, as far as the Blender at hand has an exporter for them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import bpy

from .. import ids
from .asset import BadResult
from .channels import separate_maps
from .pixels import SIGNATURES

KINDS = ("glb", "blend", "fbx", "obj", "usd")
# Module and name of the operator behind each kind; a .blend needs none.
_OPERATORS = {
    "glb": ("export_scene", "gltf"),
    "fbx": ("export_scene", "fbx"),
    "obj": ("wm", "obj_export"),
    "usd": ("wm", "usd_export"),
}
# What is no object, or belongs to the scene around it, stays out.
_OPTIONS = {
    "glb": {"export_format": "GLB", "use_active_scene": True, "export_extras": True},
    "fbx": {"path_mode": "COPY", "embed_textures": True, "use_custom_props": True, "bake_anim": False},
    "obj": {"path_mode": "RELATIVE", "export_pbr_extensions": True},
    # Whether maps are copied is a choice of three from Blender 4.4 on, before one of two.
    "usd": {
        "relative_paths": True,
        "evaluation_mode": "VIEWPORT",
        "export_textures_mode": "KEEP",
        "export_textures": False,
        "convert_world_material": False,
    },
}


def find_obstacle(kind):
    """A sentence that says why this Blender writes no files of ``kind``, or "" when it does."""
    if kind == "blend" or _operator(kind) is not None:
        return ""
    cause = "its add-on is switched off" if _OPERATORS[kind][0] == "export_scene" else "it was built without it"
    return (
        f"This Blender has no exporter for .{kind} files: {cause}. Choose another kind of file, such as glb or blend."
    )


def export_scene(scene, path, use_visible, **more):
    """Write ``scene`` to ``path`` (.glb, .fbx, .obj, .usd). ``more`` are options of the operator behind the kind.

    Without ``use_visible`` a .glb holds what is hidden, too; the others never do. Maps are inside a .glb and an .fbx;
    those of an .obj and a .usd become files of a folder beside it, see ``maps_folder``, and its images are no longer
    packed then. For an .fbx or .obj the materials get a map for each quantity. Raises BadResult.
    """
    kind = path.suffix[1:].lower()
    operator = _operator(kind)
    if operator is None:
        raise BadResult(find_obstacle(kind))
    if kind in {"fbx", "obj"}:
        for material in _materials(scene):
            separate_maps(material)
    if kind in {"obj", "usd"}:
        _unpack_maps(scene, maps_folder(path))
    options = {**_OPTIONS[kind], **({"use_visible": use_visible} if kind in {"glb", "fbx"} else {}), **more}
    known = {prop.identifier for prop in operator.get_rna_type().properties}
    # Exporters print, and on the command line our output is read by programs.
    with _shown(scene), _without_jobs(scene), contextlib.redirect_stdout(io.StringIO()):
        try:
            operator(filepath=str(path), **{name: value for name, value in options.items() if name in known})
        except RuntimeError as error:
            raise BadResult(f"Blender's exporter of .{kind} files failed: {error}") from error
    if not path.is_file():
        raise BadResult(f"Blender's exporter of .{kind} files wrote nothing.")


def maps_folder(path: Path) -> Path:
    """The folder of the maps that belong to a file whose kind cannot hold them."""
    return path.with_name(f"{path.name}.textures")


def _operator(kind):
    module, name = _OPERATORS[kind]
    operators = getattr(bpy.ops, module)
    return getattr(operators, name) if name in dir(operators) else None


@contextlib.contextmanager
def _shown(scene):
    """Make ``scene`` the one of the window, which several exporters ask for: overriding the context is not enough."""
    window = bpy.context.window
    before = window.scene
    window.scene = scene
    try:
        yield
    finally:
        window.scene = before


@contextlib.contextmanager
def _without_jobs(scene):
    """Leave out which job an object is of: another time it is another one, and the file the same."""
    jobs = {item: item.pop(ids.PROP_JOB) for item in scene.objects if ids.PROP_JOB in item}
    try:
        yield
    finally:
        for item, job in jobs.items():
            item[ids.PROP_JOB] = job


def _materials(scene):
    materials = {slot.material for item in scene.objects for slot in item.material_slots if slot.material}
    return [material for material in materials if material.node_tree is not None]


def _unpack_maps(scene, folder):
    """Turn the packed images of the scene's materials into files of ``folder``."""
    nodes = [node for material in _materials(scene) for node in material.node_tree.nodes]
    for image in {node.image for node in nodes if node.type == "TEX_IMAGE" and node.image is not None}:
        if image.packed_file is None:
            continue
        folder.mkdir(exist_ok=True)
        data = bytes(image.packed_file.data)
        suffix = next((suffix for start, suffix in SIGNATURES if data.startswith(start)), Path(image.filepath).suffix)
        file = folder / f"{bpy.path.clean_name(image.name.removesuffix(suffix))}{suffix}"
        while file.exists():
            file = file.with_name(f"{file.stem}_{suffix}")
        file.write_bytes(data)
        image.filepath_raw = str(file)
        image.unpack(method="REMOVE")
