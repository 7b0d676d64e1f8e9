# SPDX-License-Identifier: GPL-3.0-or-later
"""A result as a file of its own, made in a scene of its own."""

import contextlib
import io
import os

import bpy

from .asset import BadResult, Provenance, read_result
from .build import Placement, build_object
from .lods import lods_of


def unused(path):
    """``path``, or the first of ``name-2``, ``name-3`` ... that is free: nothing of the user's is overwritten."""
    number, candidate = 1, path
    while candidate.exists() or lod_files(candidate, 1)[0].exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def lod_files(target, count):
    """The files of an object's ``count`` levels of detail: ``mug_LOD1.glb`` ... beside ``mug.glb``."""
    return [target.with_name(f"{target.stem}_LOD{number}{target.suffix}") for number in range(1, count + 1)]


def write(folder, request, job, target, size):
    """Write the result in ``folder`` to ``target`` (.glb, .blend), complete or not at all; return its number of faces.

    Levels of detail are hidden objects in a .blend. Of .glb files each has one of its own beside the target, for
    viewers would show all that is in a file at once: ``lod_files`` tells which. For background use: a .blend takes the
    place of the open file. Raises BadResult, OSError.
    """
    asset = read_result(folder)
    provenance = Provenance.of(request, job)
    target.parent.mkdir(parents=True, exist_ok=True)
    targets = [target] if target.suffix == ".blend" else [target, *lod_files(target, len(asset.lods))]
    parts = [each.with_name(f".{each.stem}.part{each.suffix}") for each in targets]
    scene = bpy.data.scenes.new(request.get("name", "Espalier"))
    try:
        layer = scene.view_layers[0]
        item = build_object(scene, request.get("name", target.stem), asset, Placement(size=size), provenance, layer)
        if target.suffix == ".blend":
            bpy.data.libraries.write(str(parts[0]), {scene}, compress=True)
            _discard(scene)
            _make_openable(parts[0])
        else:
            for each, part in zip([item, *lods_of(item).values()], parts):
                _write_alone(scene, each, part)
            _discard(scene)
        for part, each in reversed(list(zip(parts, targets))):
            os.replace(part, each)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return len(asset.faces)


def write_open_file(target):
    """Write what is open to ``target`` (.glb, .blend), complete or not at all. Raises BadResult, OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        if target.suffix == ".blend":
            _save(temporary)
        else:
            scene = bpy.context.scene
            # Shape keys are lost when modifiers are applied, so only where there is something to apply.
            has_modifiers = any(mod.type != "ARMATURE" for item in scene.objects for mod in item.modifiers)
            _write_glb(scene, temporary, use_visible=True, export_apply=has_modifiers)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _save(path):
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True)
    except RuntimeError as error:
        raise BadResult(f"Blender could not save the file: {error}") from error


def _write_glb(scene, path, **options):
    with (
        bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            bpy.ops.export_scene.gltf(
                filepath=str(path), export_format="GLB", use_active_scene=True, export_extras=True, **options
            )
        except RuntimeError as error:
            raise BadResult(f"Blender's glTF exporter failed: {error}") from error
    if not path.is_file():
        raise BadResult("Blender's glTF exporter wrote nothing.")


def _write_alone(scene, item, path):
    """Write one object of the scene, though it be hidden."""
    others = [(other, other.users_collection) for other in scene.collection.all_objects if other != item]
    for other, collections in others:
        for collection in collections:
            collection.objects.unlink(other)
    try:
        _write_glb(scene, path, use_visible=False)
    finally:
        for other, collections in others:
            for collection in collections:
                collection.objects.link(other)


def _make_openable(path):
    """Turn a file of datablocks into one to be opened: with windows, the object in view and its materials shown."""
    whole = path.with_name(f"{path.stem}-whole.blend")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
        for screen in bpy.data.screens:
            for area in screen.areas:
                if area.type == "VIEW_3D":
                    area.spaces.active.shading.type = "MATERIAL"
        _save(whole)
        os.replace(whole, path)
    except RuntimeError as error:
        raise BadResult(f"Blender could not save the file: {error}") from error
    finally:
        whole.unlink(missing_ok=True)


def _discard(scene):
    """Remove the scene and everything that only it used."""
    objects = list(scene.collection.all_objects)
    collections = list(scene.collection.children_recursive)
    meshes = [item.data for item in objects]
    materials = [material for mesh in meshes for material in mesh.materials]
    nodes = [node for material in materials for node in material.node_tree.nodes]
    images = [node.image for node in nodes if node.type == "TEX_IMAGE"]
    groups = [node.node_tree for node in nodes if node.type == "GROUP"]
    # By itself and first: this way Blender also takes windows and the context away from it.
    bpy.data.scenes.remove(scene)
    bpy.data.batch_remove({*objects, *collections, *meshes, *materials, *images})
    bpy.data.batch_remove({group for group in groups if not group.users})
