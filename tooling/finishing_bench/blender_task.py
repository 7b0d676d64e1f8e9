# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own tools: Decimate (collapse) on the cleaned surface, Smart UV Project on the engine's simplified mesh."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from .watch import Steps, answer, request_of

ANGLE_LIMIT = 66.0


def main(arguments: list[str]) -> int:
    """Argument: a folder beside ``engine``; request: ``target``, ``texture_size``, ``padding``. Writes ``lean.npz``
    (Smart UV Project) and ``decimated.npz``."""
    folder, request = request_of(arguments)
    steps, engine = Steps(folder), folder.parent / "engine"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    item = load(engine / "lean.npz")
    with steps.step("unwrap"):
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="SELECT")
        margin = float(request["padding"]) / float(request["texture_size"])
        bpy.ops.uv.smart_project(angle_limit=np.radians(ANGLE_LIMIT), island_margin=margin, margin_method="FRACTION")
        bpy.ops.object.mode_set(mode="OBJECT")
    uv = np.empty((len(item.data.loops), 2), np.float32)
    item.data.uv_layers.active.uv.foreach_get("vector", uv.reshape(-1))
    vertices, faces = read(item.data)
    np.savez(folder / "lean.npz", vertices=vertices, faces=faces, uv=uv.reshape(-1, 3, 2))
    bpy.data.objects.remove(item)
    item = load(engine / "clean.npz")
    modifier = item.modifiers.new("Decimate", "DECIMATE")
    modifier.decimate_type, modifier.ratio = "COLLAPSE", int(request["target"]) / len(item.data.polygons)
    with steps.step("simplify"):
        evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = evaluated.to_mesh()
    vertices, faces = read(mesh)
    np.savez(folder / "decimated.npz", vertices=vertices, faces=faces)
    answer(folder, {"faces": len(faces), "version": bpy.app.version_string})
    return 0


def load(path: Path):
    """A mesh object, selected and active, of the arrays in ``path``."""
    with np.load(path) as arrays:
        vertices, faces = arrays["vertices"], arrays["faces"]
    mesh = bpy.data.meshes.new(path.stem)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, dtype=np.float32).reshape(-1))
    mesh.loops.add(3 * len(faces))
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, dtype=np.int32).reshape(-1))
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * len(faces), 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    item = bpy.data.objects.new(path.stem, mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    return item


def read(mesh) -> tuple[np.ndarray, np.ndarray]:
    """Vertices float32 [V, 3] and triangles int32 [F, 3] of a mesh of triangles."""
    vertices = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", vertices.reshape(-1))
    faces = np.empty((len(mesh.polygons), 3), np.int32)
    mesh.loops.foreach_get("vertex_index", faces.reshape(-1))
    return vertices, faces
