# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh object becomes arrays for the engine, with UVs that are fit for a texture, and is itself left alone."""

import bpy
import numpy as np
import pytest
from espalier.addon.scene.extract import Refused, extract
from espalier.addon.scene.uv import find_overlapping, overlap_share, uv_areas


def add(kind="cube", **settings):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**settings)
    return bpy.context.object


def uv_of(item, layer=None):
    layer = item.data.uv_layers[layer or item.data.uv_layers.active.name]
    values = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", values)
    return values.reshape(-1, 2)


def set_uv(item, values):
    item.data.uv_layers.active.uv.foreach_set("vector", np.ascontiguousarray(values, np.float32).ravel())


def state_of(item):
    """Everything of an object that texturing may not change, and what is in the file."""
    mesh = item.data
    co = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", co)
    layers = [(layer.name, uv_of(item, layer.name).tobytes(), layer.active_render) for layer in mesh.uv_layers]
    counts = [
        len(getattr(bpy.data, kind)) for kind in ("scenes", "objects", "meshes", "materials", "images", "shape_keys")
    ]
    view = bpy.context.view_layer
    selected = sorted(other.name for other in view.objects.selected)
    return co.tobytes(), layers, tuple(map(tuple, item.matrix_world)), counts, selected, view.objects.active, item.mode


def is_free_of_overlaps(uv):
    """No triangle lies over another; those without area are never painted."""
    return not find_overlapping(uv, np.arange(len(uv)), len(uv)).any()


def test_own_uvs_go_to_the_engine_bit_for_bit_and_nothing_changes():
    item = add("monkey")
    before = state_of(item)
    subject = extract(item, 1024)
    assert state_of(item) == before
    assert subject.layer == "UVMap" and subject.layer_uv is None and not subject.notes
    item.data.calc_loop_triangles()
    corners = np.array([triangle.loops for triangle in item.data.loop_triangles])
    assert np.array_equal(subject.uv, uv_of(item)[corners])
    assert (subject.vertices.dtype, subject.faces.dtype, subject.uv.dtype) == (np.float32, np.int32, np.float32)


def test_vertices_stand_as_in_the_world_centred():
    item = add("cube", location=(1e5, -3, 7), rotation=(0.3, 0.2, 1.1), scale=(1, 2, 3))
    bpy.context.view_layer.update()
    subject = extract(item, 1024)
    matrix = np.array(item.matrix_world.to_3x3(), dtype=np.float64)
    expected = np.array([vertex.co for vertex in item.data.vertices]) @ matrix.T
    expected -= (expected.min(axis=0) + expected.max(axis=0)) / 2
    assert np.abs(subject.vertices - expected).max() < 1e-5


def outward(subject):
    points = subject.vertices[subject.faces].astype(np.float64)
    normals = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    return ((normals * points.mean(axis=1)).sum(axis=1) > 0).all()


def test_negative_scale_keeps_faces_outwards_and_corners_with_their_uvs():
    item = add("uv_sphere")
    plain = extract(item, 1024)
    item.scale = (-1, 1, 1)
    mirrored = extract(item, 1024)
    assert outward(plain) and outward(mirrored)
    there = plain.vertices[plain.faces] * np.float32([-1, 1, 1])
    assert np.abs(there[:, ::-1] - mirrored.vertices[mirrored.faces]).max() < 1e-6
    assert np.array_equal(plain.uv[:, ::-1], mirrored.uv)


def without_uvs(item):
    item.data.uv_layers.remove(item.data.uv_layers[0])


def two_tiles(item):
    set_uv(item, uv_of(item) * 2)


def mirrored_halves(item):
    values = uv_of(item)
    values[:, 0] = np.abs(values[:, 0] - 0.5)
    set_uv(item, values)


def shifted(item):
    set_uv(item, uv_of(item) + 0.3)


@pytest.mark.parametrize(
    ("change", "layer", "words"),
    [
        (without_uvs, "UVMap", "had no UVs"),
        (two_tiles, "Espalier", "leave the unit square"),
        (mirrored_halves, "Espalier", "overlap"),
        (shifted, "Espalier", "leave the unit square"),
    ],
)
@pytest.mark.parametrize("kind", ["monkey", "torus"])
def test_a_layer_is_made_only_where_needed_and_named(kind, change, layer, words):
    item = add(kind)
    change(item)
    before = state_of(item)
    subject = extract(item, 512)
    assert state_of(item) == before
    assert subject.layer == layer and words in subject.notes[0] and f"“{layer}”" in subject.notes[0]
    assert subject.layer_uv.shape == (len(item.data.loops), 2)
    assert subject.uv.min() >= 0 and subject.uv.max() <= 1 and is_free_of_overlaps(subject.uv)


def test_islands_keep_their_distance_at_the_size_of_the_texture():
    item = add("cube")
    without_uvs(item)
    for size in (256, 1024):
        subject = extract(item, size)
        low = subject.layer_uv.reshape(6, 4, 2).min(axis=1) * size
        high = subject.layer_uv.reshape(6, 4, 2).max(axis=1) * size
        gaps = [
            max(low[a][axis] - high[b][axis] for axis in (0, 1) for a, b in ((i, j), (j, i)))
            for i in range(6)
            for j in range(i)
        ]
        # Islands may touch neither the border nor each other: bilinear filtering reaches one texel far.
        assert min(gaps) > 2 and low.min() > 1 and high.max() < size - 1


def test_spiral_that_lies_over_itself_is_taken_apart():
    turn = np.linspace(0, 6 * np.pi, 91)
    outer = np.stack([np.cos(turn), np.sin(turn), turn * 0.05], axis=-1)
    inner = outer * [0.5, 0.5, 1.0]
    mesh = bpy.data.meshes.new("spiral")
    count = len(turn)
    faces = [(i, i + 1, count + i + 1, count + i) for i in range(count - 1)]
    mesh.from_pydata(np.concatenate([outer, inner]).tolist(), [], faces)
    item = bpy.data.objects.new("spiral", mesh)
    bpy.context.scene.collection.objects.link(item)
    assert is_free_of_overlaps(extract(item, 1024).uv)


def test_uneven_scale_gives_even_texels():
    item = add("cube", scale=(1, 1, 4))
    without_uvs(item)
    subject = extract(item, 1024)
    points, uv = subject.vertices[subject.faces].astype(np.float64), subject.uv.astype(np.float64)
    space = np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)
    first, second = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    density = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / space
    assert density.max() / density.min() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("first", [without_uvs, lambda item: None], ids=["no uvs", "own uvs"])
def test_subdivision_is_applied_and_carries_the_layer(first):
    item = add("monkey")
    first(item)
    item.modifiers.new("Subdivision", "SUBSURF").levels = 2
    subject = extract(item, 1024)
    assert len(subject.faces) == 15744 and overlap_share(subject.uv) < 0.001
    assert subject.layer == "UVMap" and len(item.data.uv_layers) == (0 if subject.layer_uv is not None else 1)


@pytest.mark.parametrize("subdivided", [False, True])
@pytest.mark.parametrize("first", [without_uvs, lambda item: None], ids=["no uvs", "own uvs"])
def test_mirror_is_painted_once_and_says_so(first, subdivided):
    item = add("ico_sphere", location=(3, 0, 0))
    bpy.ops.object.transform_apply()
    first(item)
    item.modifiers.new("Mirror", "MIRROR")
    if subdivided:
        item.modifiers.new("Subdivision", "SUBSURF").levels = 2
    subject = extract(item, 1024)
    assert subject.layer == "UVMap" and any("copy" in note for note in subject.notes)
    area = uv_areas(subject.uv)
    side = subject.vertices[subject.faces].mean(axis=1)[:, 0] > 0
    assert side.sum() == len(side) / 2 and (area[side] > 0).all() and not area[~side].any()


def test_array_that_moves_its_copies_by_tiles_is_painted_once():
    item = add("monkey")
    array = item.modifiers.new("Array", "ARRAY")
    array.count, array.offset_u = 3, 1.0
    subject = extract(item, 1024)
    assert len(subject.faces) == 3 * 968 and subject.layer_uv is None
    assert subject.uv.max() <= 1.0 and is_free_of_overlaps(subject.uv)
    array.offset_u = 0.3
    with pytest.raises(Refused, match="UV offsets"):
        extract(item, 1024)


def test_layer_made_earlier_is_used_again():
    item = add("monkey")
    two_tiles(item)
    subject = extract(item, 1024)
    item.data.uv_layers.new(name=subject.layer, do_init=False).uv.foreach_set("vector", subject.layer_uv.ravel())
    again = extract(item, 1024)
    assert again.layer == "Espalier" and again.layer_uv is None and not again.notes


def test_hidden_objects_and_other_scenes_work():
    item = add("monkey")
    item.hide_viewport = True
    assert len(extract(item, 512).faces) == 968
    item.hide_viewport = False
    bpy.context.window.scene = bpy.data.scenes.new("other")
    without_uvs(item)
    assert extract(item, 512).layer_uv is not None


def test_hidden_and_unselected_faces_are_unwrapped_too():
    item = add("monkey")
    without_uvs(item)
    item.data.polygons.foreach_set("hide", np.arange(500) % 3 == 0)
    item.data.polygons.foreach_set("select", np.zeros(500, bool))
    assert is_free_of_overlaps(extract(item, 512).uv)
    hidden = np.empty(500, bool)
    item.data.polygons.foreach_get("hide", hidden)
    assert hidden.sum() == 167


def test_shape_keys_and_parents_are_followed():
    parent = bpy.data.objects.new("parent", None)
    bpy.context.scene.collection.objects.link(parent)
    item = add("cube")
    item.parent, parent.scale = parent, (1, 1, 5)
    item.shape_key_add(name="Basis")
    key = item.shape_key_add(name="Long", from_mix=False)
    for point in key.data:
        point.co.x *= 3
    key.value = 1.0
    without_uvs(item)
    size = np.ptp(extract(item, 512).vertices, axis=0)
    assert size == pytest.approx((6, 2, 10), abs=1e-4)
    assert len(bpy.data.shape_keys) == 1


def linked(_tmp_path):
    item = add("cube")
    path = str(_tmp_path / "library.blend")
    bpy.data.libraries.write(path, {item})
    bpy.data.objects.remove(item)
    with bpy.data.libraries.load(path, link=True) as (found, into):
        into.objects = found.objects
    bpy.context.scene.collection.objects.link(into.objects[0])
    return into.objects[0]


def bare(name, vertices, edges):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, edges, [])
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def in_edit_mode(_tmp_path):
    item = add("cube")
    bpy.ops.object.mode_set(mode="EDIT")
    return item


def made_by_modifiers(_tmp_path):
    item = bare("line", [(0, 0, 0), (1, 0, 0)], [(0, 1)])
    item.modifiers.new("Screw", "SCREW")
    return item


def with_nan(_tmp_path):
    item = add("cube")
    item.data.vertices[0].co.x = float("nan")
    return item


def full_of_layers(_tmp_path):
    item = add("cube")
    two_tiles(item)
    for _ in range(7):
        item.data.uv_layers.new()
    return item


def flattened(_tmp_path):
    item = add("cube")
    item.scale = (0, 0, 0)
    return item


def a_curve(_tmp_path):
    bpy.ops.curve.primitive_bezier_circle_add()
    return bpy.context.object


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (linked, "linked from another file"),
        (in_edit_mode, "Object Mode"),
        (lambda _: bare("empty", [], []), "empty mesh"),
        (lambda _: bare("line", [(0, 0, 0), (1, 0, 0)], [(0, 1)]), "no faces"),
        (made_by_modifiers, "apply these first"),
        (with_nan, "no numbers"),
        (full_of_layers, "8 UV layers"),
        (flattened, "no size"),
        (a_curve, "no mesh"),
    ],
    ids=["linked", "edit mode", "empty", "no faces", "modifiers", "nan", "layers", "flat", "curve"],
)
def test_what_cannot_be_textured_is_told_in_a_sentence(make, words, tmp_path):
    item = make(tmp_path)
    counts = [len(getattr(bpy.data, kind)) for kind in ("scenes", "objects", "meshes")]
    with pytest.raises(Refused, match=words) as refused:
        extract(item, 512)
    assert str(refused.value).endswith(".") and item.name in str(refused.value)
    assert [len(getattr(bpy.data, kind)) for kind in ("scenes", "objects", "meshes")] == counts


def set_material(item, share=1.0):
    """Give the first ``share`` of the faces a material of its own by Geometry Nodes; return that material."""
    tree = bpy.data.node_groups.new("Paint", "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    nodes, links = tree.nodes, tree.links
    given, made, node = (nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeSetMaterial"))
    index, compare = nodes.new("GeometryNodeInputIndex"), nodes.new("FunctionNodeCompare")
    compare.data_type, compare.operation = "INT", "LESS_THAN"
    first, limit = (socket for socket in compare.inputs if socket.type == "INT")
    limit.default_value = int(share * len(item.data.polygons))
    node.inputs["Material"].default_value = material = bpy.data.materials.new("Gold")
    links.new(index.outputs[0], first)
    links.new(compare.outputs[0], node.inputs["Selection"])
    links.new(given.outputs[0], node.inputs["Geometry"])
    links.new(node.outputs[0], made.inputs[0])
    item.modifiers.new("Paint", "NODES").node_group = tree
    return material


def told(item):
    before = state_of(item)
    notes = [note for note in extract(item, 512).notes if "Set Material" in note]
    assert state_of(item) == before
    return notes


def test_a_material_that_modifiers_set_over_the_texture_is_told():
    item = add("cube")
    gold = set_material(item, 0.5)
    (note,) = told(item)
    assert "some of its faces" in note and note.endswith(".")
    item.modifiers.clear()
    assert not told(item)
    item.data.materials.append(set_material(item))
    (note,) = told(item)
    assert "some" not in note
    item.modifiers.clear()
    item.data.materials[0] = gold
    item.data.polygons.foreach_set("material_index", [0, 1, 2, 3, 0, 0])
    item.modifiers.new("Bevel", "BEVEL")
    assert not told(item)
