# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with meshes, opened in place of what was open. For use without a window."""

import contextlib
import io

import bpy

# The operators that read each kind of file; of two the first that this Blender has.
IMPORTERS = {
    ".glb": ("import_scene.gltf",),
    ".gltf": ("import_scene.gltf",),
    ".obj": ("wm.obj_import",),
    ".ply": ("wm.ply_import",),
    ".stl": ("wm.stl_import",),
    ".fbx": ("wm.fbx_import", "import_scene.fbx"),
}
KINDS = ", ".join([".blend", *IMPORTERS])


class CannotOpen(Exception):  # noqa: N818 - its text is shown to people as it is
    """A file that gives no meshes; the text says why and what to do."""


def open_meshes(path):
    """Open a file and return the mesh objects to see in it, one for each mesh. Raises CannotOpen."""
    if not path.is_file():
        raise CannotOpen(f"{path} does not exist. Choose another file.")
    suffix = path.suffix.lower()
    try:
        if suffix == ".blend":
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
        elif suffix in IMPORTERS:
            bpy.ops.wm.read_homefile(use_empty=True)
            # Importers print, and our output is read by programs.
            with contextlib.redirect_stdout(io.StringIO()):
                _importer(suffix)(filepath=str(path))
        else:
            raise CannotOpen(f"{path.name} is no kind of file that can be textured. Choose one of {KINDS}.")
    except (RuntimeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise CannotOpen(f"{path.name} cannot be opened: {reason}") from error
    layer = bpy.context.view_layer
    layer.update()
    seen = [item for item in bpy.context.scene.objects if item.type == "MESH" and item.visible_get(view_layer=layer)]
    items = list({item.data: item for item in reversed(seen)}.values())[::-1]
    if not items:
        raise CannotOpen(f"{path.name} shows no mesh. Choose a file with a mesh in its open scene.")
    return items


def _importer(suffix):
    """The first operator for a kind of file that this Blender has."""
    for name in IMPORTERS[suffix]:
        module, _, operator = name.partition(".")
        if operator in dir(getattr(bpy.ops, module)):
            return getattr(getattr(bpy.ops, module), operator)
    raise AttributeError(f"This Blender has no importer for {suffix} files.")
