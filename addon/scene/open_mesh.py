# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the mesh files that Blender can read: in a scene of their own, or in place of what is open."""

import contextlib
import io

import bpy

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".fbx", ".blend")


class BadMesh(Exception):  # noqa: N818 - its text is shown to people as it is
    """A file that gives no mesh; the text says why and what to do."""


@contextlib.contextmanager
def open_mesh(path):
    """Give the scene and view layer with what the file ``path`` holds; an imported scene is emptied again afterwards.

    For background use: a .blend takes the place of the open file, its scripts do not run. Raises BadMesh.
    """
    if path.suffix.lower() == ".blend":
        _read(path)
        yield bpy.context.scene, bpy.context.view_layer
        return
    scene = bpy.data.scenes.new(path.stem)
    try:
        layer = scene.view_layers[0]
        override = {"scene": scene, "view_layer": layer, "collection": scene.collection}
        with bpy.context.temp_override(**override):
            _read(path)
        yield scene, layer
    finally:
        bpy.data.batch_remove([*scene.collection.all_objects])
        bpy.data.scenes.remove(scene)


def open_instead(path):
    """Open the file ``path`` in place of what is open and return the mesh objects to be seen in its scene, one for each
    mesh: linked duplicates count once. For background use. Raises BadMesh.
    """
    if path.suffix.lower() != ".blend":
        bpy.ops.wm.read_homefile(use_empty=True)
    _read(path)
    layer = bpy.context.view_layer
    layer.update()
    seen = [item for item in bpy.context.scene.objects if item.type == "MESH" and item.visible_get(view_layer=layer)]
    if not seen:
        raise BadMesh(f"“{path.name}” shows no mesh. Choose a file with a mesh in its open scene.")
    return list({item.data: item for item in reversed(seen)}.values())[::-1]


def _read(path):
    """Open a .blend, or import another file into the scene of the context."""
    if not path.is_file():
        raise BadMesh(f"The file {path} is not there. Check its name.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadMesh(f"“{path.name}” is no mesh file that Blender reads: choose one of {', '.join(SUFFIXES)}.")
    # Importers print, and on the command line our output is read by programs.
    with _telling(path), contextlib.redirect_stdout(io.StringIO()):
        if suffix == ".blend":
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
        else:
            _importer(suffix)(filepath=str(path))


def _importer(suffix):
    wm = bpy.ops.wm
    if suffix == ".fbx":
        # Blender 4.5 has a reader of its own; before, an extension that comes with it.
        return wm.fbx_import if "fbx_import" in dir(wm) else bpy.ops.import_scene.fbx
    return {
        ".glb": bpy.ops.import_scene.gltf,
        ".gltf": bpy.ops.import_scene.gltf,
        ".obj": wm.obj_import,
        ".ply": wm.ply_import,
        ".stl": wm.stl_import,
    }[suffix]


@contextlib.contextmanager
def _telling(path):
    """Put what an importer raises into a sentence. One that is switched off in Blender is an AttributeError."""
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[-1].removeprefix("Error: ").rstrip(".")
        raise BadMesh(f"Blender cannot read “{path.name}”: {reason}. Check that the file is whole.") from error
