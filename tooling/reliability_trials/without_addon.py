# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender without the extension: builds the results of a store by plain bpy and takes each away again.

What memory does here is Blender's own doing. The argument behind ``--`` is a JSON file: ``notes`` (a folder) and
``results`` (the folder of the jobs).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy
import numpy as np

TASK = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text(encoding="utf-8"))


def build(folder: Path) -> bpy.types.Object:
    """An object with the mesh and the packed maps of a result; one step to undo."""
    with np.load(folder / "result.npz") as arrays:
        vertices, faces, uv = (arrays[name] for name in ("vertices", "faces", "uv"))
    mesh = bpy.data.meshes.new("result")
    mesh.vertices.add(len(vertices))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.attributes["position"].data.foreach_set("vector", vertices.reshape(-1))
    mesh.attributes[".corner_vert"].data.foreach_set("value", faces.reshape(-1))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.uv_layers.new(do_init=False).uv.foreach_set("vector", uv.reshape(-1))
    mesh.update(calc_edges=True)
    material = bpy.data.materials.new("result")
    material.use_nodes = True
    for file in (folder / "base_color.png", folder / "orm.png"):
        image, png = bpy.data.images.new(file.stem, 1, 1), file.read_bytes()
        image.pack(data=png, data_len=len(png))
        image.source = "FILE"
        material.node_tree.nodes.new("ShaderNodeTexImage").image = image
    mesh.materials.append(material)
    item = bpy.data.objects.new("result", mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="Build")
    return item


def memory() -> int:
    """The bytes that this process works with, in memory or swapped out, as ``memory_of`` of rig.py counts them."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines[1:]}
    return sizes["Anonymous"] + sizes["Swap"]


def main() -> None:
    """Build all of them in their order, and note the memory after each."""
    used = []
    bpy.ops.ed.undo_push(message="Begin")
    for file in sorted(Path(TASK["results"]).glob("*/result.npz")):
        bpy.data.batch_remove([build(file.parent)])
        bpy.ops.outliner.orphans_purge("EXEC_DEFAULT", True, do_recursive=True)
        used.append(memory())
    Path(TASK["notes"], "done").write_text(json.dumps(used), encoding="utf-8")


main()
