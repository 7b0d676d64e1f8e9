# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished texture on the object that it was made for. Geometry, UVs, name, transform and slots stay as they are."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np

from .arrays import corner_uv
from .asset import BadResult, Provenance, Texture
from .copies import copy_in_place
from .extract import MAX_LAYERS, Refused, fill_slots, find_obstacle, fingerprint
from .material import build_material, is_ours
from .record import record


def find_object(name, uid=None):
    """Return the object with the session identifier ``uid`` (it survives renaming), else the one called ``name``."""
    if uid is not None:
        return next((item for item in bpy.data.objects if item.session_uid == uid), None)
    return bpy.data.objects.get(name)


def target_of(request, folder):
    """What the request of a job in ``folder`` says of its object, as ``Subject.target`` gave it. Raises BadResult."""
    target = request.get("target")
    if not isinstance(target, dict):
        raise BadResult(f"The result in {folder} does not say what it was made for: its files are damaged.")
    return target


def find_fitting(name, target, chosen):
    """Return the object called ``name`` or else the first of ``chosen`` whose faces and UVs are still those that a
    texture was made for; ``target`` is what ``Subject.target`` gave. One that cannot be textured, say as it is linked
    from another file, only when no other fits. Raises Refused when there is none.
    """
    named, on_copy = find_object(name), target.get("on_copy") is True
    found = [*([named] if named is not None else []), *chosen]
    for item in sorted(found, key=lambda item: find_obstacle(item, on_copy) != ""):
        if item.type == "MESH" and _fits(item.data, target):
            return item
    if named is None:
        raise Refused(
            f"“{name}” is not in this file, and no selected mesh has the faces and UVs that its texture was made for. "
            "Select one that has, or texture an object again."
        )
    raise Refused(
        f"The faces or UVs of “{name}” have changed since its texture was made, and no selected mesh has those of "
        "then. Select one that has, or texture the object again."
    )


def _fits(mesh, target):
    layer = "" if target.get("new_layer") else str(target.get("layer", ""))
    return fingerprint(mesh, layer) == target.get("fingerprint")


class Applied(NamedTuple):
    """The object that has the texture now, the UV layer that places it, and sentences about what else changed."""

    item: bpy.types.Object
    layer: str
    notes: list[str]


def apply_texture(item, texture: Texture, target, folder, provenance: Provenance, scene=None):
    """Put ``texture`` into every material slot of ``item`` as a new material; of a copy where ``target`` says so, which
    goes into ``scene`` where nothing else can take it.

    ``target`` is what ``Subject.target`` gave; a new layer's UVs are in ``layer.npz`` of ``folder``. The materials that
    were in the slots stay in the file, also when it is saved. Raises Refused when the object is no longer what the
    texture was made for, BadResult for damaged files; nothing is changed then.
    """
    on_copy = target.get("on_copy") is True
    obstacle = find_obstacle(item, on_copy)
    if obstacle:
        raise Refused(obstacle)
    mesh, layer = item.data, str(target.get("layer", ""))
    is_new = bool(target.get("new_layer"))
    if not _fits(mesh, target):
        raise Refused(
            f"The faces or UVs of “{item.name}” were changed while its texture was made, so it no longer fits. "
            "Texture it again."
        )
    uv = _read_layer(folder, len(mesh.loops)) if is_new else None
    there = _layer_with(mesh, uv) if is_new else layer
    if not there and len(mesh.uv_layers) >= MAX_LAYERS:
        raise Refused(
            f"“{item.name}” has {MAX_LAYERS} UV layers, and no more are possible: remove one, then try again."
        )
    notes = []
    if on_copy:
        notes.append(f"It is a copy of “{item.name}”, which is hidden in its place.")
        item = copy_in_place(item, scene or bpy.context.scene)
    layer = there or _add_layer(item, layer, uv)
    before = list({slot.material: None for slot in item.material_slots if slot.material is not None})
    fill_slots(item, build_material(item.name, texture, layer))
    notes += _keep(before)
    record(item, provenance)
    return Applied(item, layer, notes)


def _keep(materials):
    """Keep materials of the user that nothing shows any more, for Blender would not save them; say so in a sentence."""
    left = [each for each in materials if not each.users and each.library is None and not is_ours(each)]
    for material in left:
        material.use_fake_user = True
    if not left:
        return []
    names = ", ".join(f"“{material.name}”" for material in left)
    return [f"No object shows {names} any more: kept in the file with a fake user."]


def _read_layer(folder, corners):
    try:
        with np.load(Path(folder) / "layer.npz", allow_pickle=False) as arrays:
            uv = np.ascontiguousarray(arrays["uv"], dtype=np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadResult(f"The UVs that were made for the texture cannot be read in {folder}: {error}.") from error
    if uv.shape != (corners, 2):
        raise BadResult(f"The UVs in {folder} do not fit the mesh: the job's files are damaged.")
    return uv


def _layer_with(mesh, uv):
    """The name of a layer that has the very UVs [L, 2], from when the texture was put on before; "" if none."""
    return next((each.name for each in mesh.uv_layers if np.array_equal(corner_uv(mesh, each.name), uv)), "")


def _add_layer(item, name, uv):
    """Add a UV layer and make it the one that is shown and painted on; the one that renders stays the user's choice."""
    layers = item.data.uv_layers
    layer = layers.new(name=name, do_init=False)
    name = layer.name
    layers[name].uv.foreach_set("vector", uv.reshape(-1))
    layers.active = layers[name]
    return name
