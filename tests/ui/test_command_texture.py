# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier texture`` in the installed extension: results, sentences, exit codes."""

import json

import numpy as np
import pytest

MAKE = """
import bpy, numpy as np
bpy.ops.wm.read_homefile(use_empty=True)
arrays = np.load({mesh!r})
mesh = bpy.data.meshes.new("Vase")
mesh.from_pydata(arrays["vertices"].tolist(), [], arrays["faces"].tolist())
item = bpy.data.objects.new("Vase", mesh)
item.location = (4, 5, 6)
bpy.context.scene.collection.objects.link(item)
bpy.ops.wm.obj_export(filepath={folder!r} + "/vase.obj", export_materials=False)
bpy.ops.export_scene.gltf(filepath={folder!r} + "/vase.glb")
item.modifiers.new("Weld", "WELD")
curve = bpy.data.objects.new("Curve", bpy.data.curves.new("Curve", "CURVE"))
empty = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
for other in (curve, empty):
    bpy.context.scene.collection.objects.link(other)
bpy.ops.wm.save_as_mainfile(filepath={folder!r} + "/vase.blend")
"""

LOOK = """
import bpy, json
bpy.ops.wm.open_mainfile(filepath={file!r})
item = bpy.data.objects["Vase"]
print("FOUND", json.dumps({{
    "location": list(item.location),
    "uv": [layer.name for layer in item.data.uv_layers],
    "slots": [slot.material.name for slot in item.material_slots],
    "modifiers": [modifier.type for modifier in item.modifiers],
    "image": item["espalier_image"],
    "preview": item.preview is not None and list(item.preview.image_size),
    "packed": all(image.packed_file for image in bpy.data.images if image.type == "IMAGE"),
    "objects": sorted(other.name for other in bpy.data.objects),
}}))
"""


@pytest.fixture(scope="session")
def meshes(newest, twins, tmp_path_factory):
    """A folder with the grey vase as .blend, .glb and .obj; in the .blend a curve and an empty mesh stand beside it."""
    folder = tmp_path_factory.mktemp("meshes")
    script = folder / "make.py"
    script.write_text(MAKE.format(mesh=str(twins[1]), folder=str(folder)))
    newest.run("--factory-startup", "--python", script)
    return folder


@pytest.fixture
def texture(newest, engine_python, tmp_path):
    """Return a function that runs the command on some files and returns exit code, JSON events and output folder."""

    def run(*arguments):
        out = tmp_path / "out"
        command = ["--command", "espalier", "texture", *arguments, "--output", out, "--json"]
        done = newest.run(*command, "--engine-python", engine_python, timeout=1500, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, [json.loads(line) for line in lines], out

    return run


def header_of(glb):
    data = glb.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def test_files_of_each_kind_become_textured_glbs(texture, meshes, twins):
    code, events, out = texture(meshes / "vase.glb", meshes / "vase.obj", "--image", twins[0], "--texture-size", "512")
    assert code == 0, events
    stages = {event["stage"] for event in events if event["event"] == "progress"}
    assert {"encode", "material", "finish"} <= stages
    assert [event["uv_layer"] for event in events if event["event"] == "textured"] == ["UVMap", "UVMap"]
    files = [event["file"] for event in events if event["event"] == "finished"]
    assert files == [str(out / "vase.glb"), str(out / "vase-2.glb")]
    for file in ("vase.glb", "vase-2.glb"):
        header = header_of(out / file)
        (material,) = header["materials"]
        assert "baseColorTexture" in material["pbrMetallicRoughness"]
        assert len(header["images"]) == 2
    assert sorted(path.name for path in out.iterdir() if path.suffix) == ["vase-2.glb", "vase.glb"]


def test_blend_keeps_everything_and_what_has_no_faces_is_told(newest, texture, meshes, twins):
    code, events, out = texture(meshes / "vase.blend", "--image", twins[0], "--format", "blend", "--seed", "3")
    assert code == 2, events
    (bad,) = [event for event in events if event["event"] == "bad_input"]
    assert bad["object"] == "Nothing" and "empty mesh" in bad["sentence"]
    (done,) = [event for event in events if event["event"] == "textured"]
    assert done["object"] == "Vase" and done["seed"] == 3
    script = out / "look.py"
    script.write_text(LOOK.format(file=str(out / "vase.blend")))
    output = newest.run("--factory-startup", "--python", script).stdout
    found = json.loads(next(line for line in output.splitlines() if line.startswith("FOUND"))[6:])
    assert found["location"] == pytest.approx((4, 5, 6)) and found["modifiers"] == ["WELD"]
    assert found["uv"] == ["UVMap"] and found["slots"] == ["Vase"] and found["packed"]
    assert found["image"] == "painted vase.png" and found["objects"] == ["Curve", "Nothing", "Vase"]
    assert found["preview"] == [256, 256]


def test_bad_files_and_images_are_told_in_a_sentence_each(texture, meshes, twins, tmp_path):
    (tmp_path / "broken.glb").write_bytes(b"glTF and nothing else")
    (tmp_path / "text.txt").write_text("no mesh")
    (tmp_path / "points.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
    files = [tmp_path / name for name in ("missing.obj", "broken.glb", "text.txt", "points.ply")]
    code, events, _ = texture(*files, "--image", twins[0])
    bad = [event for event in events if event["event"] == "bad_input"]
    assert code == 4 and len(bad) == len(files), events
    assert all(event["sentence"].endswith(".") or ":" in event["sentence"] for event in bad)
    code, events, _ = texture(meshes / "vase.obj", "--image", tmp_path / "missing.png")
    assert code == 4 and "does not exist" in events[-1]["sentence"]


def test_colours_arrive_in_the_file(texture, meshes, twins):
    code, events, out = texture(meshes / "vase.glb", "--image", twins[0], "--texture-size", "512")
    assert code == 0, events
    from PIL import Image

    (job,) = (out / ".espalier" / "jobs").iterdir()
    with np.load(job / "mesh.npz") as mesh:
        points, uv = mesh["vertices"][mesh["faces"]].mean(axis=1), mesh["uv"].mean(axis=1)
    picture = np.asarray(Image.open(job / "base_color.png").convert("RGB")).astype(float)
    colours = picture[511 - (uv[:, 1] * 511).astype(int), (uv[:, 0] * 511).astype(int)]
    # A violet body over a brown base, both towards the viewer.
    front = points[:, 1] < 0
    low, high = points[:, 2].min(), points[:, 2].max()
    share = (points[:, 2] - low) / (high - low)
    body, base = (np.median(colours[front & part], axis=0) for part in ((share > 0.5) & (share < 0.9), share < 0.3))
    print("body", body, "base", base)
    assert body[2] > body[1] + 30 and body[2] > base[2] + 60
    assert base[0] > base[1] + 40 and base[0] > base[2] + 40
