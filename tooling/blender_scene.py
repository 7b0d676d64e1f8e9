# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside the bpy wheel: a finished job becomes a .blend, a .glb and a picture of the object from three sides."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
from mathutils import Vector

from ..addon.scene import Placement, Provenance, build_object, read_result

# Turned by these angles about the vertical, the object shows its front, its other side and its back.
YAWS = (-28.0, 62.0, 172.0)
ELEVATION = math.radians(16.0)
WIDTH, HEIGHT = 1200, 520
SAMPLES = 10
BACKDROP = (0.55, 0.55, 0.56, 1.0)


def _turntable(scene, item):
    """Stand three copies of the object in a row, turned; returns them. The original is hidden from the render."""
    corners = [Vector(corner) for corner in item.bound_box]
    reach = max(math.hypot(corner.x, corner.y) for corner in corners)
    copies = []
    for place, yaw in enumerate(YAWS):
        copy = bpy.data.objects.new(f"View {place + 1}", item.data)
        copy.location = ((place - 1) * 2.2 * reach, 0.0, 0.0)
        copy.rotation_euler.z = math.radians(yaw)
        scene.collection.objects.link(copy)
        copies.append(copy)
    item.hide_render = True
    return copies


def _camera(scene, copies):
    """A long lens from slightly above that frames all copies."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 130.0
    camera.rotation_euler = (math.pi / 2 - ELEVATION, 0.0, 0.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    bpy.context.view_layer.update()
    points = [copy.matrix_world @ Vector(corner) for copy in copies for corner in copy.bound_box]
    centre = sum(points, Vector()) / len(points)
    # Some air around what is to be seen.
    spread = [centre + (point - centre) * 1.10 for point in points]
    flat = [value for point in spread for value in point]
    camera.location, _ = camera.camera_fit_coords(bpy.context.evaluated_depsgraph_get(), flat)
    return centre


def _light(scene, name, location, target, power, size):
    light = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
    light.data.energy, light.data.size = power, size
    light.location = location
    light.rotation_euler = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(light)


def _studio(scene, centre, scale):
    """A wide grey ground, soft light from the upper left, a weaker one from the right, and an even surrounding."""
    ground = bpy.data.meshes.new("Ground")
    far = 60.0 * scale
    ground.from_pydata([(-far, -far, 0), (far, -far, 0), (far, far, 0), (-far, far, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("Ground")
    material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = BACKDROP
    shader.inputs["Roughness"].default_value = 1.0
    shader.inputs["Specular IOR Level"].default_value = 0.0
    ground.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("Ground", ground))
    x, y, z = centre
    power = 62.0 * scale * scale
    _light(scene, "Key", (x - 2.6 * scale, y - 3.0 * scale, z + 3.6 * scale), centre, 4.2 * power, 2.6 * scale)
    _light(scene, "Fill", (x + 3.4 * scale, y - 3.2 * scale, z + 1.6 * scale), centre, 1.2 * power, 3.2 * scale)
    world = bpy.data.worlds.new("Studio")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.55
    scene.world = world


def render_views(item, target: Path) -> None:
    """Render ``item`` from three sides into one picture with Cycles on the CPU. The scene is changed for it."""
    scene = bpy.context.scene
    copies = _turntable(scene, item)
    centre = _camera(scene, copies)
    _studio(scene, centre, max(item.dimensions))
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_prefilter = "FAST"
    scene.cycles.denoising_quality = "BALANCED"
    scene.cycles.max_bounces = 4
    # The colours of the maps as they are, not through a film's response.
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True)


def main(arguments: list[str]) -> int:
    """Arguments: job folder, object name, image name, seed, then the .blend, .glb and picture to write."""
    folder, name, image, seed, blend, glb, views = arguments
    bpy.ops.wm.read_factory_settings(use_empty=True)
    context = bpy.context
    item = build_object(
        context.scene,
        name,
        read_result(Path(folder)),
        Placement(),
        Provenance(image=image, seed=int(seed), model="starter", job=Path(folder).name),
        context.view_layer,
    )
    bpy.ops.wm.save_as_mainfile(filepath=blend, compress=True, copy=True)
    bpy.ops.export_scene.gltf(filepath=glb, export_format="GLB", use_selection=True)
    render_views(item, Path(views))
    return 0
