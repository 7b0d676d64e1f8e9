# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh object as arrays for the engine, and the UV layer that its texture is going to use.

The object itself is only read: what has to be evaluated or unwrapped is a copy in a scene of its own. So a job that is
cancelled or fails leaves nothing behind, and objects that are hidden or in another scene work like any other.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass

import bpy
import numpy as np

from .arrays import (
    corner_uv,
    corner_vertices,
    polygon_starts,
    triangle_areas,
    triangle_corners,
    triangle_polygons,
    vertices_of,
)
from .unwrap import CannotUnwrap, discard, unwrap
from .uv import TOLERANCE, find_copies, find_fault, lost_share, polygon_centres, uv_areas

# The layer that is added to a mesh whose own UVs stay as they are, and the first layer of a mesh without any.
OWN_LAYER, FIRST_LAYER = "Espalier", "UVMap"
MAX_LAYERS = 8
# A little surface without UVs (the rim of a Solidify modifier) is told; where most has none there is no texture.
NOTED_LOSS, MOST = 0.02, 0.5


class Refused(Exception):  # noqa: N818 - its text is shown to people as it is
    """An object that cannot be textured; the text says why and what to do."""


@dataclass(frozen=True)
class Subject:
    """What goes to the engine, and what applying the result has to know.

    ``vertices`` float32 [V, 3] in world orientation and scale, the centre of their box at 0; ``faces`` int32 [T, 3];
    ``uv`` float32 [T, 3, 2] inside the unit square. ``layer`` is the UV layer that the texture uses; ``layer_uv``
    float32 [L, 2] are the values for the corners of the object's own mesh when that layer has to be made.
    ``fingerprint`` tells whether the mesh is still the same later. ``notes`` are sentences for the user. ``on_copy``
    says that the texture goes on a copy of the object.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    layer: str
    layer_uv: np.ndarray | None
    fingerprint: str
    notes: tuple[str, ...]
    on_copy: bool = False

    def target(self):
        """What applying the result has to know, as JSON values."""
        known = {"layer": self.layer, "new_layer": self.layer_uv is not None, "fingerprint": self.fingerprint}
        return {**known, "on_copy": True} if self.on_copy else known

    def files(self):
        """The files of the job folder: ``mesh.npz`` for the engine and, for a layer to be made, ``layer.npz``."""
        files = {"mesh.npz": _npz(vertices=self.vertices, faces=self.faces, uv=self.uv)}
        if self.layer_uv is not None:
            files["layer.npz"] = _npz(uv=self.layer_uv)
        return files


def find_obstacle(item, on_copy=False):
    """Return why an object, or a copy of it, cannot be textured, as a sentence; "" when nothing speaks against it so
    far.
    """
    if item.type != "MESH":
        return f"“{item.name}” is no mesh: convert it with Object > Convert > Mesh first."
    if not on_copy and (item.library is not None or item.data.library is not None):
        return (
            f"“{item.name}” is linked from another file and cannot be changed here: "
            "make it local with Object > Relations > Make Local, or texture a copy."
        )
    if not on_copy and item.data.override_library is not None:
        return (
            f"The mesh of “{item.name}” is a library override, which keeps no new texture: "
            "make it local with Object > Relations > Make Local, or texture a copy."
        )
    if item.mode != "OBJECT":
        return f"“{item.name}” is being edited: return to Object Mode first."
    if not item.data.vertices and not item.modifiers:
        return f"“{item.name}” is an empty mesh: there is nothing to texture."
    return ""


def extract(item, texture_size, on_copy=False):
    """Return the Subject of a mesh object for a texture of ``texture_size`` texels a side; with ``on_copy`` for a copy
    of the object, which may be linked from another file then. Raises Refused.
    """
    obstacle = find_obstacle(item, on_copy)
    if obstacle:
        raise Refused(obstacle)
    with _workshop(item) as (scene, copy, material):
        evaluated = _evaluate(scene, copy, material)
        if not len(evaluated.corners):
            raise Refused(f"“{item.name}” has no faces: there is nothing to texture.")
        if not np.isfinite(evaluated.points).all():
            raise Refused(f"“{item.name}” has vertices that are no numbers: repair the mesh or its modifiers first.")
        layer, faults = _usable_layer(copy.data, evaluated)
        layer_uv, notes = None, []
        if not layer:
            layer, layer_uv = _make_layer(item.name, copy, texture_size)
            evaluated = _evaluate(scene, copy, material)
            notes.append(_tell_layer(layer, faults))
        uv = evaluated.uv.get(layer)
        if uv is None or lost_share(uv[evaluated.corners], evaluated.surface) > MOST:
            raise Refused(f"The modifiers of “{item.name}” make faces without UVs: apply these first (Object > Apply).")
        triangles = _paint_once(item.name, evaluated, uv, notes) if len(item.modifiers) else uv[evaluated.corners]
        if not evaluated.shows.all():
            notes.append(_tell_hidden(evaluated.shows.any()))
        return Subject(
            *_in_world(item.name, evaluated, copy.matrix_world, np.clip(triangles, 0.0, 1.0)),
            layer=layer,
            layer_uv=layer_uv,
            fingerprint=fingerprint(item.data, "" if layer_uv is not None else layer),
            notes=tuple(notes),
            on_copy=on_copy,
        )


def fingerprint(mesh, layer=""):
    """Return a text that changes with the mesh's faces and the UVs of ``layer``, but not where vertices move."""
    digest = hashlib.sha256()
    digest.update(polygon_starts(mesh).tobytes())
    digest.update(corner_vertices(mesh).tobytes())
    if layer in mesh.uv_layers:
        digest.update(corner_uv(mesh, layer).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Evaluated:
    """The mesh with its modifiers: ``points`` float64 [V, 3], ``corners`` [T, 3] into ``vertex`` [L] and ``uv``.

    ``shows`` bool [T] tells which triangles have the material of the object's slots and not one that modifiers set.
    """

    points: np.ndarray
    vertex: np.ndarray
    starts: np.ndarray
    corners: np.ndarray
    polygons: np.ndarray
    uv: dict[str, np.ndarray]
    shows: np.ndarray

    @property
    def surface(self):
        return triangle_areas(self.points[self.vertex[self.corners]])


@contextlib.contextmanager
def _workshop(item):
    """A scene of its own with a copy of ``item`` and of its mesh, and the material in all slots of the copy, as the
    texture's is going to be; all are gone afterwards.
    """
    scene = bpy.data.scenes.new(item.name)
    scene.frame_current = bpy.context.scene.frame_current
    copy = item.copy()
    copy.data = item.data.copy()
    material = bpy.data.materials.new(item.name)
    try:
        fill_slots(copy, material)
        copy.hide_viewport = False
        scene.collection.objects.link(copy)
        yield scene, copy, material
    finally:
        discard(copy)
        bpy.data.materials.remove(material)
        bpy.data.scenes.remove(scene)


def fill_slots(item, material):
    """Put a material into every slot of an object, and into a new one where it has none."""
    if not len(item.material_slots):
        item.data.materials.append(material)
    for slot in item.material_slots:
        slot.material = material


def _evaluate(scene, copy, material):
    view_layer = scene.view_layers[0]
    view_layer.update()
    evaluated = copy.evaluated_get(view_layer.depsgraph)
    mesh = evaluated.to_mesh()
    try:
        return _Evaluated(
            points=vertices_of(mesh),
            vertex=corner_vertices(mesh),
            starts=polygon_starts(mesh),
            corners=triangle_corners(mesh),
            polygons=triangle_polygons(mesh),
            uv={layer.name: corner_uv(mesh, layer.name) for layer in mesh.uv_layers},
            shows=_shows(evaluated, mesh, material),
        )
    finally:
        evaluated.to_mesh_clear()


def _shows(evaluated, mesh, material):
    """Return which triangles [T] of an evaluated mesh have ``material``, bool."""
    has = [slot.material is not None and slot.material.original == material for slot in evaluated.material_slots]
    numbers = np.empty(len(mesh.loop_triangles), dtype=np.int32)
    mesh.loop_triangles.foreach_get("material_index", numbers)
    # Faces that name a slot beyond the last one show the last one.
    return np.array(has or [False])[np.clip(numbers, 0, max(len(has) - 1, 0))]


def _tell_hidden(partly):
    where = "some of its faces" if partly else "its faces"
    return (
        f"Its modifiers give {where} another material (as the Set Material node does), which hides the texture there: "
        "remove that node or modifier, or choose the new material in it."
    )


def _usable_layer(mesh, evaluated):
    """Return the name of the layer to use, "" for none, and what is wrong with the layer that renders.

    That one comes first, then one that we made earlier. Where only the modifiers bring faces onto each other the layer
    is good: what a Mirror or Array modifier copies is meant to look the same.
    """
    rendered = next((layer.name for layer in mesh.uv_layers if layer.active_render), "")
    ours = [layer.name for layer in mesh.uv_layers if layer.name.partition(".")[0] == OWN_LAYER]
    # Modifiers may make UVs as well, on a mesh that has none itself.
    names = [rendered] if rendered else list(evaluated.uv)[:1]
    found = ""
    for name in [*names, *reversed(ours)]:
        fault = (
            find_fault(evaluated.uv[name][evaluated.corners], evaluated.surface) if name in evaluated.uv else "vanish"
        )
        if fault and name in mesh.uv_layers and len(mesh.polygons):
            corners = triangle_corners(mesh)
            surface = triangle_areas(vertices_of(mesh)[corner_vertices(mesh)[corners]])
            fault = find_fault(corner_uv(mesh, name)[corners], surface)
        if not fault:
            return name, ""
        found = found or fault
    return "", found


def _make_layer(name, copy, texture_size):
    """Give the copy a layer of new UVs; return the layer's name and the UVs [L, 2]. Raises Refused."""
    mesh = copy.data
    if not len(mesh.polygons):
        raise Refused(f"The faces of “{name}” are made by its modifiers: apply these first (Object > Apply).")
    if len(mesh.uv_layers) >= MAX_LAYERS:
        raise Refused(f"“{name}” has {MAX_LAYERS} UV layers, and no more are possible: remove one that is not needed.")
    try:
        uv = unwrap(mesh, copy.matrix_world, texture_size)
    except CannotUnwrap as error:
        raise Refused(f"“{name}” {error}.") from error
    layer = mesh.uv_layers.new(name=OWN_LAYER if len(mesh.uv_layers) else FIRST_LAYER, do_init=False)
    layer.uv.foreach_set("vector", uv.reshape(-1))
    return layer.name, uv


def _tell_layer(layer, fault):
    if not fault:
        return f"It had no UVs: they are in the new UV layer “{layer}”."
    return f"Its UVs {fault}, so the texture uses the new UV layer “{layer}”."


def _paint_once(name, evaluated, uv, notes):
    """Return the UVs of the triangles [T, 3, 2] that modifiers made, each texel used by one of them. Raises Refused.

    What they copy onto the same texels is painted once: the copies get triangles without area, for which nothing is
    painted, and show what the first one got.
    """
    centres = polygon_centres(uv, evaluated.starts)
    counts = np.diff(np.append(evaluated.starts, len(uv)))
    # A Mirror or Array modifier may move its copies by whole tiles, where the texture repeats.
    tiles = np.where(np.abs(centres - 0.5) > 0.5 + TOLERANCE, np.floor(centres), 0.0)
    uv = uv - np.repeat(tiles, counts, axis=0).astype(np.float32)
    triangles = uv[evaluated.corners]
    areas = np.bincount(evaluated.polygons, uv_areas(triangles), len(centres))
    copies = find_copies(centres - tiles, areas) & (areas > 0)
    if copies.any():
        notes.append("What its modifiers copy is painted once and looks the same on every copy.")
        repeated = copies[evaluated.polygons]
        triangles[repeated] = triangles[repeated][:, :1]
    if triangles.min() < -TOLERANCE or triangles.max() > 1.0 + TOLERANCE:
        raise Refused(f"The modifiers of “{name}” move its UVs by a part of a tile: set their UV offsets to 0.")
    if lost_share(uv[evaluated.corners], evaluated.surface) > NOTED_LOSS:
        notes.append("Some faces that its modifiers make have no UVs of their own, and show one colour.")
    return triangles


def _in_world(name, evaluated, matrix, uv):
    """Return vertices, faces and UVs in world orientation and scale, wound outwards after a mirroring scale too."""
    matrix = np.array(matrix, dtype=np.float64)
    points = evaluated.points @ matrix[:3, :3].T
    low, high = points.min(axis=0), points.max(axis=0)
    if not np.isfinite(high - low).all() or not (high - low).max() > 0.0:
        raise Refused(f"“{name}” has no size: check its scale in Object > Transform.")
    faces = evaluated.vertex[evaluated.corners]
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces, uv = faces[:, ::-1], uv[:, ::-1]
    centred = (points - (low + high) / 2).astype(np.float32)
    return centred, np.ascontiguousarray(faces, dtype=np.int32), np.ascontiguousarray(uv, dtype=np.float32)


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
