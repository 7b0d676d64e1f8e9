# SPDX-License-Identifier: GPL-3.0-or-later
"""A result as a file of its own, made in a scene of its own."""

import contextlib
import os
import tempfile
from pathlib import Path

import bpy

from ...engine import protocol
from .asset import BadResult, Provenance, read_result
from .build import Placement, build_object
from .formats import export_scene, maps_folder
from .library import describe, mark_asset
from .lods import lods_of


def unused(path):
    """``path``, or the first of ``name-2``, ``name-3`` ... that is free: nothing of the user's is overwritten."""
    number, candidate = 1, path
    while any(each.exists() for each in (candidate, *_beside(candidate))):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def _beside(path):
    """What may be written beside a file."""
    return [lod_files(path, 1)[0], maps_folder(path), *([path.with_suffix(".mtl")] if path.suffix == ".obj" else [])]


def lod_files(target, count):
    """The files of an object's ``count`` levels of detail: ``mug_LOD1.glb`` ... beside ``mug.glb``."""
    return [target.with_name(f"{target.stem}_LOD{number}{target.suffix}") for number in range(1, count + 1)]


def write(folder, request, job, target, size):
    """Write the result in ``folder`` to ``target``, complete or not at all; return its number of faces. See
    ``write_as_it_goes``.
    """
    asset = read_result(folder)
    with _whole(target) as path:
        return _write_asset(asset, request, job, path, size, folder / protocol.PREVIEW_FILE)


def write_open_file(target):
    """Write what is open to ``target``, complete or not at all. Raises BadResult, OSError."""
    with _whole(target) as path:
        write_open_file_as_it_goes(path)


def write_as_it_goes(folder, request, job, path, size):
    """Write the result in ``folder`` to ``path``, of a kind of ``formats.KINDS``, and return its number of faces.

    Levels of detail are hidden objects in a .blend. Of other files each has one of its own beside the target, for
    viewers would show all that is in a file at once: ``lod_files`` tells which. The object of a .blend is an asset,
    with the picture of it that lies beside the result. For background use: after a .blend an empty file is open.
    Raises BadResult, OSError.
    """
    return _write_asset(read_result(folder), request, job, path, size, folder / protocol.PREVIEW_FILE)


def write_open_file_as_it_goes(path):
    """Write what is open to ``path``, of a kind of ``formats.KINDS``. Raises BadResult, OSError."""
    if path.suffix == ".blend":
        _save(path)
        return
    scene = bpy.context.scene
    # Shape keys are lost when modifiers are applied, so only where there is something to apply.
    has_modifiers = any(mod.type != "ARMATURE" for item in scene.objects for mod in item.modifiers)
    export_scene(scene, path, use_visible=True, export_apply=has_modifiers)


def _write_asset(asset, request, job, path, size, preview):
    provenance = Provenance.of(request, job)
    scene = bpy.data.scenes.new(request.get("name", "Espalier"))
    try:
        layer = scene.view_layers[0]
        item = build_object(scene, request.get("name", path.stem), asset, Placement(size=size), provenance, layer)
        if path.suffix == ".blend":
            if preview.is_file():
                mark_asset(item, preview, describe(provenance))
            bpy.data.libraries.write(str(path), {scene}, compress=True)
        else:
            for each, file in zip([item, *lods_of(item).values()], [path, *lod_files(path, len(asset.lods))]):
                _write_alone(scene, each, file)
    finally:
        _discard(scene)
    if path.suffix == ".blend":
        _make_openable(path)
    return len(asset.faces)


@contextlib.contextmanager
def _whole(target):
    """Give the path of a file to write in a folder beside ``target``; what is there in the end takes its place, the
    file itself last.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.stem}.", suffix=".part", dir=target.parent) as hidden:
        path = Path(hidden) / target.name
        yield path
        for each in sorted(Path(hidden).iterdir(), key=lambda each: each == path):
            os.replace(each, target.with_name(each.name))


def _save(path):
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True)
    except RuntimeError as error:
        raise BadResult(f"Blender could not save the file: {error}") from error


def _write_alone(scene, item, path):
    """Write one object of the scene, though it be hidden."""
    others = [(other, other.users_collection) for other in scene.collection.all_objects if other != item]
    for other, collections in others:
        for collection in collections:
            collection.objects.unlink(other)
    # Only a .glb takes in what is hidden.
    item.hide_set(False, view_layer=scene.view_layers[0])
    try:
        export_scene(scene, path, use_visible=False)
    finally:
        for other, collections in others:
            for collection in collections:
                collection.objects.link(other)


def _make_openable(path):
    """Turn a file of datablocks into one to be opened: with windows, the object in view and its materials shown.

    An empty file is open afterwards, so that what is made next keeps its names.
    """
    whole = path.with_name(f"{path.stem}-whole.blend")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
        for screen in bpy.data.screens:
            for area in screen.areas:
                if area.type == "VIEW_3D":
                    area.spaces.active.shading.type = "MATERIAL"
        _save(whole)
        os.replace(whole, path)
        bpy.ops.wm.read_homefile(use_empty=True)
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
