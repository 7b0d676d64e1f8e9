# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's command convert: what Blender hands over becomes a voxel file, and a voxel file a finished result."""

import json

import numpy as np
import pytest
from espalier.engine.convert import main
from espalier.engine.errors import EspalierError
from espalier.engine.ovoxel.npz import read_npz, write_npz
from espalier.engine.ovoxel.ovoxel_file import decode_ovoxels
from espalier.engine.ovoxel.textured_mesh import read_textured_mesh
from espalier.engine.ovoxel.voxels import Voxels
from espalier.engine.ovoxel.vxz import read_vxz, write_vxz
from espalier.tests.engine.ovoxel.shapes import uv_sphere
from PIL import Image

PLAIN = {"base_color": [0.2, 0.4, 0.6], "metallic": 1.0, "roughness": 0.25, "alpha": 1.0, "alpha_mode": "opaque"}


def hand_over(folder, materials=(PLAIN,), vertices=None, faces=None, **arrays):
    """Write a folder as Blender does: a sphere of radius 3 around (5, 6, 7), unless told otherwise."""
    sphere, triangles = (part.numpy() for part in uv_sphere(3.0, 24, 32, (5.0, 6.0, 7.0)))
    vertices, faces = sphere if vertices is None else vertices, triangles if faces is None else faces
    data = {
        "vertices": vertices.astype(np.float32),
        "faces": faces.astype(np.int32),
        "uv": np.zeros((len(faces), 3, 2), np.float32),
        "material": np.zeros(len(faces), np.int32),
    }
    folder.mkdir(exist_ok=True)
    np.savez(folder / "mesh.npz", **{**data, **arrays})
    (folder / "materials.json").write_text(json.dumps(list(materials)))
    return folder


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_mesh_goes_to_voxels_and_comes_back_in_shape_and_colour(tmp_path, capsys):
    folder, file = hand_over(tmp_path / "in"), tmp_path / "ball.vxz"
    code, events = run(capsys, "mesh-to-voxels", folder, file, "--resolution", 32)
    assert code == 0 and events[-1]["event"] == "finished" and events[-1]["voxels"] == len(read_vxz(file).coords)
    back = tmp_path / "out"
    back.mkdir()
    code, events = run(capsys, "voxels-to-mesh", file, back, "--texture-size", 128, "--faces", 4000)
    assert code == 0, events
    info = json.loads((back / "result.json").read_text())
    result = np.load(back / "result.npz")
    assert abs(np.linalg.norm(result["vertices"], axis=1) - 0.5).max() < 3**0.5 / 32
    assert info["alpha_mode"] == "opaque"
    colour = np.asarray(Image.open(back / info["maps"]["base_color"])).reshape(-1, 3)
    orm = np.asarray(Image.open(back / info["maps"]["orm"])).reshape(-1, 3)
    assert abs(colour.mean(0) - [51, 102, 153]).max() < 2 and abs(orm.mean(0) - [255, 64, 255]).max() < 2


def test_textures_reach_the_voxels_under_them(tmp_path):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:32] = (250, 10, 20, 200)
    pixels[32:] = (30, 240, 40, 90)
    sphere, faces = (part.numpy() for part in uv_sphere(0.5, 32, 48))
    uv = np.stack([sphere[faces][..., 0] + 0.5, sphere[faces][..., 2] + 0.5], -1).astype(np.float32)
    material = {
        **PLAIN,
        "base_color": [1.0, 1.0, 0.5],
        "alpha_mode": "blend",
        "base_color_texture": {"file": "a.png", "channels": [0, 1, 2], "wrap": "clamp", "smooth": True},
        "metallic_texture": {"file": "a.png", "channels": 1, "wrap": "clamp", "smooth": True},
        "alpha_texture": {"file": "a.png", "channels": 3, "wrap": "clamp", "smooth": True},
    }
    folder = hand_over(tmp_path / "in", [material], sphere, faces, uv=uv)
    Image.fromarray(pixels).save(folder / "a.png")
    voxels = read_textured_mesh(folder).voxelise(32)
    height = (voxels.coords[:, 2] + 0.5) / 32 - 0.5
    for rows, expected in ((height > 0.1, [250, 10, 10, 10, 200]), (height < -0.1, [30, 240, 20, 240, 90])):
        parts = [voxels.attributes[name][rows].mean(0) for name in ("base_color", "metallic", "alpha")]
        assert abs(np.concatenate(parts) - expected).max() < 2


def test_vertices_doubled_along_seams_are_one_surface(tmp_path):
    sphere, faces = (part.numpy() for part in uv_sphere(0.5, 16, 24))
    whole = read_textured_mesh(hand_over(tmp_path / "a", vertices=sphere, faces=faces)).voxelise(32)
    torn = hand_over(tmp_path / "b", vertices=sphere[faces].reshape(-1, 3), faces=np.arange(faces.size).reshape(-1, 3))
    torn = read_textured_mesh(torn).voxelise(32)
    assert np.array_equal(whole.coords, torn.coords)
    assert all(np.array_equal(whole.attributes[name], torn.attributes[name]) for name in whole.attributes)


def test_vxz_and_npz_hold_the_same(tmp_path, capsys):
    run(capsys, "mesh-to-voxels", hand_over(tmp_path / "in"), tmp_path / "a.vxz", "--resolution", 16)
    assert run(capsys, "voxels-to-voxels", tmp_path / "a.vxz", tmp_path / "b.npz")[0] == 0
    assert run(capsys, "voxels-to-voxels", tmp_path / "b.npz", tmp_path / "c.vxz")[0] == 0
    assert (tmp_path / "a.vxz").read_bytes() == (tmp_path / "c.vxz").read_bytes()
    assert np.array_equal(read_npz(tmp_path / "b.npz").coords, read_vxz(tmp_path / "a.vxz").coords)


COORDS = np.array([[0, 0, 0], [3, 100, 2]], dtype=np.int32)
GEOMETRY = {"vertices": np.array([[0, 128, 255]] * 2, np.uint8), "intersected": np.array([[5], [2]], np.uint8)}


def test_files_of_data_sets_are_understood():
    ovoxels = decode_ovoxels(Voxels(COORDS, GEOMETRY), "a.vxz")
    assert ovoxels.resolution == 128, "the next grid that people use"
    assert np.allclose(ovoxels.dual_vertices[0], [0, 128 / 255, 1])
    assert ovoxels.intersected.tolist() == [[True, False, True], [False, True, False]]
    assert np.allclose(ovoxels.attrs[0], [0.8, 0.8, 0.8, 0, 0.5, 1]), "no materials: the default"
    floats = {
        "dual_vertices": np.array([[0.5, -0.25, 1.5]] * 2, np.float32),
        "intersected": np.ones((2, 3), bool),
        "alpha": np.array([0.25, 2.0]),
    }
    ovoxels = decode_ovoxels(Voxels(COORDS, floats), "a.npz", resolution=200)
    assert ovoxels.resolution == 200 and ovoxels.dual_vertices[0].tolist() == [0.5, -0.25, 1.5]
    assert ovoxels.attrs[:, 5].tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("coords", "attributes", "resolution", "words"),
    [
        pytest.param(COORDS, {}, None, "no surface", id="materials only"),
        pytest.param(COORDS[:0], {name: v[:0] for name, v in GEOMETRY.items()}, None, "empty", id="empty"),
        pytest.param(COORDS, GEOMETRY, 100, "resolution", id="resolution too small"),
        pytest.param(COORDS * 100, GEOMETRY, None, "at most", id="grid too large"),
        pytest.param(COORDS * 0, GEOMETRY, None, "same place", id="one place twice"),
        pytest.param(COORDS, {**GEOMETRY, "intersected": np.array([9, 1], np.uint8)}, None, "intersected", id="flags"),
        pytest.param(COORDS, {**GEOMETRY, "alpha": np.ones((2, 2))}, None, "alpha", id="channels"),
        pytest.param(COORDS, {**GEOMETRY, "vertices": np.full((2, 3), np.nan)}, None, "undefined", id="not a number"),
    ],
)
def test_voxels_without_a_usable_surface_are_refused(coords, attributes, resolution, words):
    with pytest.raises(EspalierError, match=words) as error:
        decode_ovoxels(Voxels(coords, attributes), "a.vxz", resolution)
    assert error.value.code == "bad_input"


def test_bad_input_is_told_in_a_sentence(tmp_path, capsys):
    (tmp_path / "text.vxz").write_text("no voxels at all")
    write_vxz(tmp_path / "colours.vxz", COORDS, {"base_color": np.zeros((2, 3), np.uint8)})
    write_npz(tmp_path / "empty.npz", COORDS[:0], {name: values[:0] for name, values in GEOMETRY.items()})
    folder = hand_over(tmp_path / "in")
    bare = hand_over(tmp_path / "bare", faces=np.zeros((0, 3)))
    for arguments in (
        ("voxels-to-mesh", tmp_path / "text.vxz", tmp_path),
        ("voxels-to-mesh", tmp_path / "missing.vxz", tmp_path),
        ("voxels-to-mesh", tmp_path / "colours.vxz", tmp_path),
        ("voxels-to-mesh", tmp_path / "empty.npz", tmp_path),
        ("voxels-to-mesh", tmp_path / "colours.vxz", tmp_path, "--texture-size", 1),
        ("mesh-to-voxels", bare, tmp_path / "x.vxz"),
        ("mesh-to-voxels", folder, tmp_path / "x.vxz", "--resolution", 1),
        ("mesh-to-voxels", folder, tmp_path / "x.vxz", "--resolution", 10_000),
        ("voxels-to-voxels", tmp_path / "text.vxz", tmp_path / "x.npz"),
    ):
        code, events = run(capsys, *arguments)
        assert code == 4 and events[-1]["event"] == "bad_input", arguments
        assert events[-1]["sentence"].endswith(".")
    assert not (tmp_path / "x.vxz").exists() and not (tmp_path / "x.npz").exists()
