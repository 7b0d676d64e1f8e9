# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished result becomes an ordinary, well-made Blender object."""

import json
import time

import bpy
import numpy as np
import pytest
from espalier.addon import ids
from espalier.addon.scene import Asset, Placement, Provenance, build_object, read_result
from espalier.addon.scene.asset import BadResult
from espalier.addon.scene.mesh import build_mesh, is_sound
from espalier.tooling import bench_blender

PROVENANCE = Provenance("mug.png", 42, "starter", {"quality": "starter"}, "20260101-mug-abc")


def build(folder, placement=None, name="mug"):
    context = bpy.context
    return build_object(
        context.scene, name, read_result(folder), placement or Placement(), PROVENANCE, context.view_layer
    )


def world_box(item):
    bpy.context.view_layer.update()
    co = np.empty(len(item.data.vertices) * 3, dtype=np.float32)
    item.data.vertices.foreach_get("co", co)
    points = co.reshape(-1, 3) @ np.array(item.matrix_world.to_3x3()).T + np.array(item.matrix_world.translation)
    return points.min(axis=0), points.max(axis=0)


def source(socket):
    """The socket that feeds this one."""
    (link,) = socket.links
    return link.from_socket


def shader(item):
    nodes = item.active_material.node_tree.nodes
    return next(node for node in nodes if node.type == "BSDF_PRINCIPLED")


def test_object_stands_on_its_base_at_the_given_place_one_metre_long(result_folder):
    item = build(result_folder(), Placement((3.0, -2.0, 0.5)))
    low, high = world_box(item)
    assert (high - low).max() == pytest.approx(1.0, abs=1e-5)
    assert low[2] == pytest.approx(0.5, abs=1e-5)
    assert (low + high)[:2] / 2 == pytest.approx((3.0, -2.0), abs=1e-5)
    assert tuple(item.scale) == (1, 1, 1) and tuple(item.location) == (3.0, -2.0, 0.5)


def test_size_is_metres_whatever_the_units_of_the_scene(result_folder):
    bpy.context.scene.unit_settings.scale_length = 0.01
    low, high = world_box(build(result_folder(), Placement(size=2.0)))
    assert (high - low).max() == pytest.approx(200.0, rel=1e-5)


def test_object_is_named_collected_selected_and_active(result_folder):
    other = bpy.data.objects.new("other", None)
    bpy.context.scene.collection.objects.link(other)
    other.select_set(True)
    item = build(result_folder())
    assert (item.name, item.data.name, item.active_material.name) == ("mug", "mug", "mug")
    assert [c.name for c in item.users_collection] == [ids.COLLECTION]
    assert bpy.context.view_layer.objects.active == item
    assert list(bpy.context.view_layer.objects.selected) == [item]


def test_second_result_shares_the_collection_and_leaves_the_first_alone(result_folder):
    folder = result_folder()
    first, second = build(folder), build(folder)
    assert first.name == "mug" and second.name == "mug.001"
    assert len(bpy.data.collections) == 1 and first.data != second.data


def test_object_goes_beside_a_collection_that_the_user_has_excluded(result_folder):
    folder = result_folder()
    build(folder)
    bpy.context.view_layer.layer_collection.children[ids.COLLECTION].exclude = True
    item = build(folder)
    assert item.users_collection == (bpy.context.scene.collection,)
    assert bpy.context.view_layer.objects.active == item


def test_every_scene_has_its_own_collection(result_folder):
    build(result_folder())
    scene = bpy.data.scenes.new("second")
    item = build_object(scene, "mug", read_result(result_folder()), Placement(), PROVENANCE, scene.view_layers[0])
    assert item.name in scene.objects and item.name not in bpy.data.scenes[0].objects


def test_custom_properties_tell_where_the_object_comes_from(result_folder):
    item = build(result_folder())
    assert (item[ids.PROP_IMAGE], item[ids.PROP_SEED], item[ids.PROP_MODEL]) == ("mug.png", 42, "starter")
    assert json.loads(item[ids.PROP_SETTINGS]) == {"quality": "starter"}
    assert item[ids.PROP_JOB] == "20260101-mug-abc"


def test_mesh_keeps_geometry_uvs_and_passes_validation(result_folder):
    folder = result_folder()
    mesh = build(folder).data
    asset = read_result(folder)
    uv = np.empty(asset.uv.size, dtype=np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uv)
    corners = np.empty(asset.faces.size, dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    assert np.array_equal(uv, asset.uv.ravel()) and np.array_equal(corners, asset.faces.ravel())
    assert not mesh.validate(verbose=True)
    assert len(mesh.edges) == 18


@pytest.mark.parametrize("per_corner", [False, True])
def test_custom_normals_arrive(result_folder, per_corner):
    rng = np.random.default_rng(0)
    vertices = read_result(result_folder()).vertices
    normals = vertices - vertices.mean(axis=0) + rng.normal(scale=0.01, size=vertices.shape)
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    faces = read_result(result_folder()).faces
    expected = normals[faces].reshape(-1, 3)
    mesh = build(result_folder(normals=normals[faces] if per_corner else normals)).data
    got = np.empty(expected.size, dtype=np.float32)
    mesh.corner_normals.foreach_get("vector", got)
    assert mesh.has_custom_normals
    assert np.abs(got.reshape(-1, 3) - expected).max() < 2e-3


def test_corners_of_hard_edges_get_the_normals_that_blender_makes_of_all_of_them(result_folder):
    asset = read_result(result_folder())
    rng = np.random.default_rng(1)
    normals = (asset.vertices - asset.vertices.mean(axis=0))[asset.faces]
    normals[::3] = rng.normal(size=(4, 1, 3))
    normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
    mesh = build_mesh("mug", asset.vertices, asset.faces, asset.uv, normals)
    whole = build_mesh("whole", asset.vertices, asset.faces, asset.uv)
    whole.attributes.remove(whole.attributes["sharp_edge"])
    whole.normals_split_custom_set(normals.reshape(-1, 3).tolist())
    got, expected = np.empty((2, normals.size), dtype=np.float32)
    mesh.corner_normals.foreach_get("vector", got)
    whole.corner_normals.foreach_get("vector", expected)
    assert np.array_equal(got, expected)


def test_faces_are_taken_unchecked_only_where_blender_finds_no_fault_in_them():
    rng = np.random.default_rng(2)
    vertices = rng.normal(size=(6, 3)).astype(np.float32)
    verdicts = []
    for _ in range(200):
        faces = rng.integers(0, 6, (rng.integers(1, 5), 3)).astype(np.int32)
        mesh = bpy.data.meshes.new("plain")
        mesh.from_pydata(vertices.tolist(), [], faces.tolist())
        verdicts.append((is_sound(vertices, faces), not mesh.validate()))
        assert not build_mesh("mug", vertices, faces).validate()
    assert all(ours == blender for ours, blender in verdicts) and len(set(verdicts)) == 2


def test_coordinates_that_are_no_numbers_are_seen():
    vertices, faces = np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], dtype=np.int32)
    uv = np.zeros((1, 3, 2), dtype=np.float32)
    assert is_sound(vertices, faces, uv)
    assert not is_sound(vertices + np.inf, faces, uv) and not is_sound(vertices, faces, uv * np.nan)


def test_principled_gets_colour_roughness_and_metallic_from_the_right_channels(result_folder):
    bsdf = shader(build(result_folder()))
    colour = source(bsdf.inputs["Base Color"])
    roughness, metallic = source(bsdf.inputs["Roughness"]), source(bsdf.inputs["Metallic"])
    assert colour.node.type == "TEX_IMAGE" and colour.name == "Color"
    assert (roughness.name, metallic.name) == ("Green", "Blue") and roughness.node == metallic.node
    orm = source(roughness.node.inputs[0]).node.image
    assert not colour.node.image.colorspace_settings.is_data and orm.colorspace_settings.is_data
    assert colour.node.image.colorspace_settings.name == "sRGB"
    assert not bsdf.inputs["Alpha"].links and bsdf.inputs["Alpha"].default_value == 1.0


def test_maps_are_packed_as_the_very_files_that_the_engine_wrote(result_folder):
    folder = result_folder()
    image = source(shader(build(folder)).inputs["Base Color"]).node.image
    assert bytes(image.packed_file.data) == (folder / "base_color.png").read_bytes()
    assert tuple(image.size) == (16, 16) and image[ids.PROP_MAP]
    assert [round(v * 255) for v in image.pixels[:3]] == [200, 60, 30]


@pytest.mark.parametrize("colour, expected", [([0.5, 1.0, 0.0], (0.214, 1.0, 0.0)), (None, (0.8, 0.8, 0.8))])
def test_solid_view_shows_the_mean_colour_where_the_result_tells_it(result_folder, colour, expected):
    folder = result_folder()
    info = json.loads((folder / "result.json").read_text())
    info["report"]["mean_colour"] = colour
    (folder / "result.json").write_text(json.dumps(info))
    material = build(folder).active_material
    assert tuple(material.diffuse_color) == pytest.approx((*expected, 1.0), abs=1e-3)


def test_masks_are_cut_and_blends_are_not(result_folder):
    mask = source(shader(build(result_folder("mask"))).inputs["Alpha"])
    assert mask.node.type == "MATH" and source(mask.node.inputs[0]).name == "Alpha"
    item = build(result_folder("blend"))
    alpha = source(shader(item).inputs["Alpha"])
    assert alpha.name == "Alpha" and alpha.node.image.alpha_mode == "CHANNEL_PACKED"
    assert item.active_material.surface_render_method == "DITHERED"


def test_normal_map_is_connected_when_there_is_one(result_folder):
    bsdf = shader(build(result_folder(maps=("base_color", "orm", "normal"))))
    node = source(bsdf.inputs["Normal"]).node
    assert node.type == "NORMAL_MAP" and source(node.inputs["Color"]).node.image.colorspace_settings.is_data


@pytest.mark.parametrize(("alpha_mode", "expected"), [("opaque", None), ("mask", "MASK"), ("blend", "BLEND")])
def test_gltf_round_trip_keeps_material_size_and_alpha_mode(result_folder, tmp_path, alpha_mode, expected):
    build(result_folder(alpha_mode))
    path = tmp_path / "mug.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB", use_selection=True)
    header = json.loads(path.read_bytes()[20 : 20 + int.from_bytes(path.read_bytes()[12:16], "little")])
    (material,) = header["materials"]
    assert material.get("alphaMode") == expected
    pbr = material["pbrMetallicRoughness"]
    assert "baseColorTexture" in pbr and "metallicRoughnessTexture" in pbr
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    low, high = world_box(next(item for item in bpy.data.objects if item.type == "MESH"))
    assert (high - low).max() == pytest.approx(1.0, abs=1e-4) and low[2] == pytest.approx(0.0, abs=1e-4)


def test_a_hundred_thousand_faces_are_built_in_half_a_second():
    n = 224
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, n, endpoint=False), np.linspace(0.05, 3.09, n), indexing="ij")
    points = (
        np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)], axis=-1).reshape(-1, 3).astype(np.float32)
    )
    i, j = np.arange(n)[:, None], np.arange(n - 1)[None]
    a, b = (i * n + j).ravel(), (((i + 1) % n) * n + j).ravel()
    faces = np.concatenate([np.stack([a, b, b + 1], -1), np.stack([a, b + 1, a + 1], -1)]).astype(np.int32)
    uv = np.random.default_rng(0).random((len(faces), 3, 2)).astype(np.float32)
    asset = Asset(points * np.float32(0.5), faces, uv, points)
    started = time.thread_time()
    build_object(bpy.context.scene, "ball", asset, Placement(), Provenance(), bpy.context.view_layer)
    seconds = time.thread_time() - started
    print(f"{len(faces)} faces built in {seconds:.3f} s")
    # The figure is 0.5 s (build.py bench); here it is processor time, which other programs lengthen little.
    assert seconds < 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"faces": np.zeros((0, 3), np.int32), "uv": np.zeros((0, 3, 2), np.float32)}, "no faces"),
        ({"faces": np.full((12, 3), 99, np.int32)}, "do not exist"),
        ({"vertices": np.full((8, 3), np.nan, np.float32)}, "no numbers"),
        ({"uv": np.zeros((5, 3, 2), np.float32)}, "texture coordinates"),
    ],
)
def test_damaged_results_are_refused_with_a_sentence(result_folder, change, words):
    with pytest.raises(BadResult, match=words):
        read_result(result_folder(**change))


def test_missing_and_foreign_files_are_refused_with_a_sentence(result_folder, tmp_path):
    folder = result_folder()
    (folder / "orm.png").unlink()
    with pytest.raises(BadResult, match=r"orm\.png is missing"):
        read_result(folder)
    (folder / "result.json").write_text('{"maps": {"orm": "../secret.png"}}')
    with pytest.raises(BadResult, match="outside its folder"):
        read_result(folder)
    (folder / "result.json").write_text("{")
    with pytest.raises(BadResult, match="cannot be read"):
        read_result(folder)


def test_the_benchmarks_object_can_be_built():
    item = build_object(bpy.context.scene, "Sphere", bench_blender.sphere(20, 10), Placement(), Provenance())
    assert len(item.data.polygons) == 400
    assert len(item.data.materials) == 1
