# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier convert`` in the installed extension: a mesh to voxels and back."""

import json

import numpy as np

SCENE = """
import bpy, numpy as np
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_uv_sphere_add(radius=2, location=(5, 6, 7))
image = bpy.data.images.new("halves", 16, 16)
pixels = np.ones((16, 16, 4), np.float32)
pixels[:8] = (0.9, 0.1, 0.1, 1)
pixels[8:] = (0.1, 0.2, 0.9, 1)
image.pixels.foreach_set(pixels.ravel())
image.pack()
material = bpy.data.materials.new("Halves")
material.use_nodes = True
tree = material.node_tree
node = tree.nodes.new("ShaderNodeTexImage")
node.image = image
tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
bpy.context.object.data.materials.append(material)
bpy.ops.export_scene.gltf(filepath={path!r}, export_format="GLB")
"""


def test_textured_mesh_becomes_voxels_and_a_mesh_again(blender, engine_python, tmp_path):
    ball = tmp_path / "ball.glb"
    script = tmp_path / "scene.py"
    script.write_text(SCENE.format(path=str(ball)))
    blender.run("--factory-startup", "--python", script)

    def convert(*arguments):
        command = ["--command", "espalier", "convert", *arguments, "--json", "--engine-python", engine_python]
        done = blender.run(*command, timeout=1500, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    code, events = convert(ball, "--to", "npz", "--resolution", "32")
    assert code == 0 and events[-1]["event"] == "finished", events
    voxels = np.load(tmp_path / "ball.npz")
    upper = voxels["coord"][:, 2] > 18
    lower = voxels["coord"][:, 2] < 13
    assert abs(voxels["base_color"][upper].mean(0) - [26, 51, 230]).max() < 4
    assert abs(voxels["base_color"][lower].mean(0) - [230, 26, 26]).max() < 4

    code, events = convert(tmp_path / "ball.npz", "--to", "glb", "--texture-size", "512")
    assert code == 0 and events[-1]["file"] == str(tmp_path / "ball-2.glb"), events
    assert (tmp_path / "ball-2.glb").read_bytes()[:4] == b"glTF"

    code, events = convert(tmp_path / "nothing.glb", "--to", "vxz")
    assert code == 4 and events[-1]["event"] == "bad_input"
