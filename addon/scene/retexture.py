# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished texture on the object that it was made for. Geometry, UVs, name, transform and slots stay as they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import bpy
import numpy as np

from .asset import BadResult, Provenance, Texture
from .extract import MAX_LAYERS, Refused, fill_slots, find_obstacle, fingerprint
from .material import build_material
from .record import record


def find_object(name, uid=None):
    """Return the object with the session identifier ``uid`` (it survives renaming), else the one called ``name``."""
    if uid is not None:
        return next((item for item in bpy.data.objects if item.session_uid == uid), None)
    return bpy.data.objects.get(name)


def apply_texture(item, texture: Texture, target, folder, provenance: Provenance):
    """Put ``texture`` into every material slot of ``item`` as a new material and return the name of its UV layer.

    ``target`` is what ``Subject.target`` gave; a new layer's UVs are in ``layer.npz`` of ``folder``. The materials that
    were in the slots stay in the file. Raises Refused when the object is no longer what the texture was made for,
    BadResult for damaged files; the object is unchanged then.
    """
    obstacle = find_obstacle(item)
    if obstacle:
        raise Refused(obstacle)
    mesh, layer = item.data, str(target.get("layer", ""))
    is_new = bool(target.get("new_layer"))
    if fingerprint(mesh, "" if is_new else layer) != target.get("fingerprint"):
        raise Refused(
            f"The faces or UVs of “{item.name}” were changed while its texture was made, so it no longer fits. "
            "Texture it again."
        )
    if is_new:
        layer = _add_layer(item, layer, _read_layer(folder, len(mesh.loops)))
    material = build_material(item.name, texture, layer)
    fill_slots(item, material)
    record(item, provenance)
    return layer


def _read_layer(folder, corners):
    try:
        with np.load(Path(folder) / "layer.npz", allow_pickle=False) as arrays:
            uv = np.ascontiguousarray(arrays["uv"], dtype=np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadResult(f"The UVs that were made for the texture cannot be read in {folder}: {error}.") from error
    if uv.shape != (corners, 2):
        raise BadResult(f"The UVs in {folder} do not fit the mesh: the job's files are damaged.")
    return uv


def _add_layer(item, name, uv):
    """Add a UV layer and make it the one that is shown and painted on; the one that renders stays the user's choice."""
    layers = item.data.uv_layers
    if len(layers) >= MAX_LAYERS:
        raise Refused(
            f"“{item.name}” has {MAX_LAYERS} UV layers, and no more are possible: remove one, then try again."
        )
    layer = layers.new(name=name, do_init=False)
    name = layer.name
    layers[name].uv.foreach_set("vector", uv.reshape(-1))
    layers.active = layers[name]
    return name
