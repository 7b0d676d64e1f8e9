# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of finished assets: the object rendered, its wire, its UV layout and its maps, one asset a row.

``python -I tooling/__main__.py contact_sheet OUTPUT.png FOLDER...``, each folder a job folder that holds a result.
Renders with Cycles on the CPU through the bpy wheel.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

CELL = 300
GAP = 10
HEADER = 34
COLUMNS = ("Object", "Wire", "UV layout", "Base colour", "Roughness", "Metallic", "Alpha or normal")
INK = (40, 40, 44)
PAPER = (246, 246, 246)
SAMPLES = 24


def main(arguments: list[str]) -> int:
    """Read the folders, render and write the sheet."""
    parser = argparse.ArgumentParser(prog="contact_sheet")
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    rows = [row(folder) for folder in options.folders]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    compose(rows).save(options.output, optimize=True)
    print(options.output)
    return 0


def row(folder: Path) -> tuple[str, list[Image.Image]]:
    """Return the caption and the cells of one result folder."""
    info = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    with np.load(folder / "result.npz", allow_pickle=False) as arrays:
        uv = arrays["uv"]
    base = Image.open(folder / info["maps"]["base_color"])
    orm = Image.open(folder / info["maps"]["orm"])
    if "normal" in info["maps"]:
        last = Image.open(folder / info["maps"]["normal"]).convert("RGB")
    elif base.mode == "RGBA":
        last = base.getchannel("A").convert("RGB")
    else:
        last = Image.new("RGB", base.size, (255, 255, 255))
    with tempfile.TemporaryDirectory() as scratch:
        shaded, wire = render(folder, Path(scratch))
    _, roughness, metallic = orm.split()
    cells = [shaded, wire, layout(uv), base.convert("RGB"), roughness.convert("RGB"), metallic.convert("RGB"), last]
    report = info.get("report", {})
    caption = (
        f"{info.get('name') or folder.name} · {report.get('faces', len(uv))} faces · {report.get('charts', '?')} charts"
    )
    if "covered_share" in report:
        caption += f" · {100 * report['covered_share']:.0f} % of the texture used"
    return f"{caption} · {info['alpha_mode']} · {report.get('unwrap', '')}", cells


def layout(uv: np.ndarray) -> Image.Image:
    """Draw the triangles ``uv`` [F, 3, 2] (origin lower left), each chart's faces in one tint."""
    scale = 3
    side = CELL * scale
    picture = Image.new("RGB", (side, side), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    points = np.stack([uv[..., 0], 1.0 - uv[..., 1]], axis=-1) * (side - 1)
    charts = chart_labels(uv)
    for corners, chart in zip(points.reshape(-1, 6).tolist(), charts.tolist()):
        tint = (chart * 0.61803398875) % 1.0
        fill = tuple(int(200 + 50 * math.sin(2 * math.pi * (tint + third / 3))) for third in range(3))
        draw.polygon(corners, fill=fill, outline=(110, 110, 120))
    return picture.resize((CELL, CELL), Image.Resampling.LANCZOS)


def chart_labels(uv: np.ndarray) -> np.ndarray:
    """Label faces that hang together in UV (equal corners), int [F]."""
    from ..engine.mesh.surface.topology import vertex_components

    corner = np.unique(uv.reshape(-1, 2), axis=0, return_inverse=True)[1].reshape(-1, 3)
    return vertex_components(corner, int(corner.max()) + 1)


def render(folder: Path, scratch: Path) -> tuple[Image.Image, Image.Image]:
    """Render the object of a result folder with its material, and as a wire on clay."""
    import bpy

    from ..addon.scene import Placement, Provenance, build_object, read_result

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    item = build_object(scene, folder.name, read_result(folder), Placement(), Provenance(), bpy.context.view_layer)
    stage(scene, item)
    shaded = shoot(scene, scratch / "shaded.png")
    clay = bpy.data.materials.new("Clay")
    clay.use_nodes = True
    surface = next(node for node in clay.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Base Color"].default_value = (0.8, 0.8, 0.8, 1.0)
    surface.inputs["Roughness"].default_value = 0.9
    lines = clay.node_tree.nodes.new("ShaderNodeWireframe")
    lines.use_pixel_size = True
    lines.inputs["Size"].default_value = 0.6
    mix = clay.node_tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    colours = [socket for socket in mix.inputs if socket.type == "RGBA"]
    colours[0].default_value, colours[1].default_value = (0.8, 0.8, 0.8, 1.0), (0.05, 0.07, 0.12, 1.0)
    clay.node_tree.links.new(lines.outputs["Fac"], mix.inputs["Factor"])
    result = next(socket for socket in mix.outputs if socket.type == "RGBA")
    clay.node_tree.links.new(result, surface.inputs["Base Color"])
    item.data.materials[0] = clay
    return shaded, shoot(scene, scratch / "wire.png")


def stage(scene, item) -> None:
    """A camera without perspective from the front right and above, soft light, white surroundings."""
    import bpy
    from mathutils import Euler, Vector

    bpy.context.view_layer.update()
    turn = Euler((math.radians(66.0), 0.0, math.radians(32.0))).to_matrix()
    seen = [turn.transposed() @ (item.matrix_world @ Vector(corner)) for corner in item.bound_box]
    low, high = (Vector(edge(point[axis] for point in seen) for axis in range(3)) for edge in (min, max))
    centre = turn @ ((low + high) / 2)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = 1.06 * max(high.x - low.x, high.y - low.y)
    camera.location = centre + turn @ Vector((0.0, 0.0, 5.0))
    camera.rotation_euler = turn.to_euler()
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x = scene.render.resolution_y = 2 * CELL
    key = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "AREA"))
    key.data.energy, key.data.size = 60.0, 2.0
    key.location = centre + Vector((-1.6, -2.0, 2.4))
    key.rotation_euler = (centre - key.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(key)
    world = bpy.data.worlds.new("Surroundings")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.7
    scene.world = world
    scene.render.engine = "CYCLES"
    scene.render.film_transparent = True
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = True
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"


def shoot(scene, target: Path) -> Image.Image:
    """Render the scene to ``target`` and return it on white."""
    import bpy

    scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True)
    with Image.open(target) as picture:
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def compose(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    """Lay the rows out with their captions and the names of the columns."""
    width = GAP + len(COLUMNS) * (CELL + GAP)
    sheet = Image.new("RGB", (width, HEADER + len(rows) * (CELL + HEADER + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=17)
    for column, name in enumerate(COLUMNS):
        draw.text((GAP + column * (CELL + GAP), 8), name, INK, font)
    for line, (caption, cells) in enumerate(rows):
        top = HEADER + line * (CELL + HEADER + GAP)
        draw.text((GAP, top + 8), caption, INK, font)
        for column, cell in enumerate(cells):
            fitted = ImageOps.fit(cell, (CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(fitted, (GAP + column * (CELL + GAP), top + HEADER))
    return sheet
