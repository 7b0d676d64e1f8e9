# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what ``picture_task`` wrote, in Blender: surfaces with their back faces in red, finished objects, a wire."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ...addon.scene import Asset, Placement, Provenance, build_object
from ...addon.scene.asset import Texture
from ..contact_sheet import shoot, stage
from .blender_task import load
from .watch import answer, request_of

FRONT, BACK, LINE = (0.42, 0.5, 0.6, 1.0), (0.8, 0.12, 0.06, 1.0), (0.03, 0.04, 0.07, 1.0)
CLAY = (0.75, 0.75, 0.75, 1.0)


def main(arguments: list[str]) -> int:
    """Argument: a folder within the one with the meshes; writes a picture for each."""
    folder, request = request_of(arguments)
    source = folder.parent
    for name in ("raw", "clean", "watertight"):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        item = load(source / f"{name}.npz")
        item.data.materials.append(_two_tone("ShaderNodeNewGeometry", "Backfacing", FRONT, BACK))
        stage(scene, item)
        shoot(scene, folder / f"{name}.png")
    for name in ("full", "low"):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        item = build_object(
            scene, name, _asset(source / name, request[f"{name}_alpha_mode"]), Placement(), Provenance()
        )
        stage(scene, item)
        shoot(scene, folder / f"{name}.png")
    item.data.materials[0] = _two_tone("ShaderNodeWireframe", "Fac", CLAY, LINE)
    shoot(scene, folder / "wire.png")
    answer(folder, {})
    return 0


def _asset(folder: Path, alpha_mode: str) -> Asset:
    with np.load(folder / "finished.npz") as arrays:
        mesh = [arrays[name] for name in ("vertices", "faces", "uv", "normals")]
    maps = {path.stem: path.read_bytes() for path in folder.glob("*.png")}
    return Asset(*mesh, Texture(maps, alpha_mode, occlusion=True))


def _two_tone(node: str, output: str, plain: tuple, marked: tuple):
    """A dull material whose colour is ``plain`` where the output of ``node`` is 0 and ``marked`` where it is 1."""
    material = bpy.data.materials.new("Two tones")
    material.use_nodes = True
    tree = material.node_tree
    surface = next(found for found in tree.nodes if found.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.8
    source, mix = tree.nodes.new(node), tree.nodes.new("ShaderNodeMix")
    if node == "ShaderNodeWireframe":
        source.use_pixel_size = True
        source.inputs["Size"].default_value = 1.1
    mix.data_type = "RGBA"
    colours = [socket for socket in mix.inputs if socket.type == "RGBA"]
    colours[0].default_value, colours[1].default_value = plain, marked
    tree.links.new(source.outputs[output], mix.inputs["Factor"])
    tree.links.new(next(socket for socket in mix.outputs if socket.type == "RGBA"), surface.inputs["Base Color"])
    return material
