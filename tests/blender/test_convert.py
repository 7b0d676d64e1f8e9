# SPDX-License-Identifier: GPL-3.0-or-later
"""``convert``: mesh files of every kind become voxels with their colours in place, and voxels become mesh files."""

import json
import sys

import bpy
import numpy as np
import pytest
from espalier.addon import cli, preferences
from espalier.addon.scene import handover
from espalier.addon.scene.open_mesh import BadMesh
from espalier.engine.ovoxel.ovoxel_file import decode_ovoxels, read_voxels
from espalier.engine.ovoxel.vxz import write_vxz
from espalier.tests.blender.painted import (
    assert_painted_ball,
    ball,
    export_as,
    places,
    read_back,
    textured,
)


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command and gives its exit code and events."""
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")

    def run(*arguments):
        capsys.readouterr()
        code = cli.main(["convert", *map(str, arguments), "--json", "--engine-python", sys.executable])
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return code, [json.loads(line) for line in lines]

    return run


def voxels_of(path):
    return decode_ovoxels(read_voxels(path), path.name)


@pytest.mark.slow
def test_textured_ball_goes_to_voxels_and_back_with_its_colours_in_place(convert, tmp_path):
    ball(textured())
    export_as(tmp_path / "ball.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    code, events = convert(tmp_path / "ball.glb", "--to", "vxz", "--resolution", 64)
    assert code == 0 and events[-1]["event"] == "finished", events
    assert not [event for event in events if event["event"] == "note"]
    assert_painted_ball(voxels_of(tmp_path / "ball.vxz"))
    assert not bpy.data.objects and len(bpy.data.scenes) == 1, "reading leaves nothing behind"

    code, events = convert(tmp_path / "ball.vxz", "--to", "glb", "--size", 2, "--texture-size", 512)
    assert code == 0 and events[-1]["file"] == str(tmp_path / "ball-2.glb"), "nothing is overwritten"
    code, events = convert(
        tmp_path / "ball-2.glb", "--to", "vxz", "--resolution", 64, "--output", tmp_path / "again.vxz"
    )
    assert code == 0
    assert_painted_ball(voxels_of(tmp_path / "again.vxz"))


@pytest.mark.slow
def test_voxels_become_a_blend_file_and_an_npz(convert, tmp_path):
    ball(textured())
    export_as(tmp_path / "ball.blend")
    assert convert(tmp_path / "ball.blend", "--to", "npz", "--resolution", 32)[0] == 0
    assert_painted_ball(voxels_of(tmp_path / "ball.npz"))
    out = tmp_path / "made" / "thing.blend"
    code, _ = convert(tmp_path / "ball.npz", "--to", "blend", "--output", out, "--texture-size", 512, "--size", 3)
    assert code == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (item,) = bpy.data.objects
    assert max(item.dimensions) == pytest.approx(3.0, abs=1e-3) and item.name == "ball"
    assert all(image.packed_file for image in bpy.data.images if image.type == "IMAGE")


@pytest.mark.parametrize("suffix", [".gltf", ".obj", ".fbx", ".ply", ".stl"])
def test_every_kind_of_mesh_file_stands_upright_with_what_it_keeps_of_the_material(tmp_path, suffix):
    ball(textured(), location=(0, 0, 0), radius=1.0)
    for image in bpy.data.images:
        if suffix == ".obj":
            # It names image files and cannot carry packed ones.
            image.unpack(method="REMOVE")
            image.filepath_raw, image.file_format = str(tmp_path / f"{image.name}.png"), "PNG"
            image.save()
    bpy.ops.mesh.primitive_cube_add(size=0.4, location=(0.0, -1.2, 1.3))
    export_as(tmp_path / f"ball{suffix}")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ovoxels, _ = read_back(tmp_path, tmp_path / f"ball{suffix}", 48)
    at = places(ovoxels)
    # The cube in front of and above the ball: Z is up and the front faces -Y whatever the file's axes are.
    front = at[at[:, 1] < -0.35]
    assert len(front) and front[:, 2].mean() > 0.25 and at[at[:, 2] < -0.35][:, 1].mean() > 0
    if suffix in {".gltf", ".obj", ".fbx"}:
        body = at[:, 1] > -0.1
        reddest = at[body & (ovoxels.attrs[:, 0] > 0.85) & (ovoxels.attrs[:, 1] < 0.15)]
        assert len(reddest) > 50 and (reddest[:, 0] < 0.05).all()


def test_blend_gives_what_is_seen_with_modifiers_instances_and_transforms(tmp_path):
    bpy.ops.mesh.primitive_cube_add(size=1)
    cube = bpy.context.object
    cube.scale = (1, 1, -2)
    array = cube.modifiers.new("Array", "ARRAY")
    array.count, array.use_relative_offset, array.use_constant_offset = 2, False, True
    array.constant_offset_displace = (3, 0, 0)
    bpy.ops.mesh.primitive_cube_add(size=50, location=(100, 0, 0))
    bpy.context.object.hide_set(True)
    bpy.ops.mesh.primitive_cube_add(size=50, location=(100, 0, 0))
    bpy.context.object.hide_render = True
    group = bpy.data.collections.new("Group")
    bpy.ops.mesh.primitive_ico_sphere_add(radius=0.5)
    group.objects.link(bpy.context.object)
    bpy.context.scene.collection.objects.unlink(bpy.context.object)
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", group, (1.5, 0, 3)
    bpy.context.scene.collection.objects.link(empty)
    bpy.ops.object.text_add()
    bpy.context.object.scale = (0.3, 0.3, 0.3)
    folder = tmp_path / "out"
    folder.mkdir()
    handover.hand_over(bpy.context.scene, bpy.context.view_layer, folder)
    data = np.load(folder / "mesh.npz")
    size = np.ptp(data["vertices"], axis=0)
    assert size == pytest.approx([4, 1, 4.5], abs=0.05)
    assert len(data["faces"]) > 24 + 80, "text is a surface too"


def test_bad_input_is_told_in_a_sentence(convert, tmp_path):
    (tmp_path / "broken.glb").write_bytes(b"glTF" + bytes(30))
    (tmp_path / "broken.gltf").write_text("{}")
    (tmp_path / "broken.ply").write_text("ply")
    (tmp_path / "broken.blend").write_text("no blend file")
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "broken.vxz").write_text("text")
    ball(None)
    export_as(tmp_path / "ball.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name in ("missing.glb", "broken.glb", "broken.gltf", "broken.ply", "broken.blend", "text.txt"):
        code, events = convert(tmp_path / name, "--to", "vxz")
        assert code == 4 and events[-1]["event"] == "bad_input", (name, events)
        assert events[-1]["sentence"].endswith("."), name
    for arguments in (
        (tmp_path / "broken.vxz", "--to", "glb"),
        (tmp_path / "ball.glb", "--to", "blend"),
        (tmp_path / "ball.glb", "--to", "vxz", "--resolution", 0),
        (tmp_path / "ball.glb", "--to", "vxz", "--resolution", "many"),
        (tmp_path / "ball.glb",),
    ):
        code, events = convert(*arguments)
        assert code == 4, arguments
    names = {path.suffix for path in tmp_path.iterdir() if path.stem not in {"broken", "data"}}
    assert names == {".glb", ".txt"}, "nothing was written"


def test_a_file_without_faces_is_refused(tmp_path):
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.data.clear_geometry()
    export_as(tmp_path / "a.blend")
    with pytest.raises(BadMesh, match="no faces"):
        read_back(tmp_path, tmp_path / "a.blend")


def test_geometry_without_materials_comes_back_plain(convert, tmp_path):
    coords = np.argwhere(np.ones((6, 6, 6), bool))
    # A box of crossed edges: the surface between the layers 1 and 4.
    inside = ((coords >= 1) & (coords <= 4)).all(1)
    grid = np.zeros((8, 8, 8), bool)
    grid[tuple(coords[inside].T)] = True
    flags = np.zeros((len(coords), 3), np.uint8)
    for axis in range(3):
        low = coords + 1
        low[:, axis] -= 1
        high = low.copy()
        high[:, axis] += 1
        flags[:, axis] = grid[tuple(low.T)] != grid[tuple(high.T)]
    bits = (flags @ np.array([1, 2, 4])).astype(np.uint8)
    middle = np.full((len(coords), 3), 127, np.uint8)
    write_vxz(tmp_path / "box.vxz", coords, {"vertices": middle, "intersected": bits})
    code, events = convert(tmp_path / "box.vxz", "--to", "glb", "--resolution", 8)
    assert code == 0, events
    assert (tmp_path / "box.glb").read_bytes()[:4] == b"glTF"
