# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw voxel surface becomes a finished asset whose textures show the voxels' materials."""

import io
from dataclasses import replace

import numpy as np
import pytest
from espalier.engine.errors import Cancelled, EspalierError
from espalier.engine.mesh import finish as finishing
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.mesh.bake.png import encode_png
from espalier.engine.mesh.finish import SHARES, STEP_ENDS, STEPS, finish
from espalier.engine.mesh.finish_settings import FinishSettings
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.surface.normals import corner_normals
from espalier.tests.engine.mesh.shapes import colours_at, cube, merge, sphere, torus, voxel_asset
from PIL import Image

R = 32
SETTINGS = FinishSettings(texture_size=256)


@pytest.fixture(scope="module")
def ring():
    raw = voxel_asset(*torus(), R)
    return raw, finish(*raw, SETTINGS)


def shown_colours(asset):
    """Texture values and surface positions at the centres of texels that lie inside a face."""
    size = asset.maps["base_color"].shape[0]
    raster = rasterise(asset.uv, size)
    corners = asset.vertices[asset.faces[raster.face]]
    position = np.einsum("tc,tci->ti", raster.barycentric, corners)
    base = asset.maps["base_color"].reshape(size * size, -1)[raster.texel] / 255
    orm = asset.maps["orm"].reshape(size * size, 3)[raster.texel] / 255
    return position, base, orm


def test_texels_show_the_materials_of_their_place(ring):
    _, asset = ring
    position, base, orm = shown_colours(asset)
    expected = colours_at(position)
    assert np.abs(base - expected[:, :3]).max() < 0.04
    assert np.abs(orm[:, 2] - expected[:, 3]).max() < 0.04
    assert np.abs(orm[:, 1] - expected[:, 4]).max() < 0.04


def test_the_asset_is_complete_and_in_its_frame(ring):
    raw, asset = ring
    assert asset.vertices.dtype == np.float32
    assert asset.faces.dtype == np.int32
    assert asset.uv.shape == (len(asset.faces), 3, 2)
    assert asset.normals.shape == (len(asset.faces), 3, 3)
    assert np.allclose(np.linalg.norm(asset.normals, axis=2), 1, atol=1e-5)
    assert np.abs(asset.vertices - raw[0][:, None][0]).min() < 0.5
    assert asset.alpha_mode == "opaque"
    assert asset.maps["base_color"].shape == (256, 256, 3)
    assert set(asset.report["seconds"]) == set(STEPS)
    assert asset.report["faces"] == len(asset.faces)
    assert asset.report["boundary_edges"] == 0
    corners = asset.vertices[asset.faces].astype(float)
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.einsum("fi,fi->f", flat, corners.mean(axis=1)).sum() > 0
    assert (np.einsum("fi,fci->fc", flat, asset.normals) > 0).all()


def test_no_background_within_four_texels_of_a_chart(ring):
    _, asset = ring
    covered = rasterise(asset.uv, 256).mask()
    image = asset.maps["base_color"].astype(int)
    background = image[np.unravel_index(np.argmax(np.where(covered, 0, 1)), covered.shape)]
    near = covered.copy()
    for _ in range(4):
        padded = np.pad(near, 1)
        near = padded[1:-1, 1:-1] | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    palette = {tuple(colour) for colour in image[covered].tolist()}
    rim = image[near & ~covered].tolist()
    assert all(tuple(colour) in palette for colour in rim)
    assert background.sum() > 0


def test_the_same_input_gives_the_same_bytes(ring):
    raw, first = ring
    second = finish(*raw, SETTINGS)
    for name in ("vertices", "faces", "uv", "normals"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert {name: encode_png(image) for name, image in first.maps.items()} == {
        name: encode_png(image) for name, image in second.maps.items()
    }


def test_a_simplified_surface_keeps_its_colours_and_gets_a_normal_map():
    raw = voxel_asset(*torus(), R)
    asset = finish(*raw, FinishSettings(target_faces=900, texture_size=256))
    assert 500 < len(asset.faces) <= 990
    assert asset.maps["normal"].shape == (256, 256, 3)
    position, base, _ = shown_colours(asset)
    assert np.abs(base - colours_at(position)[:, :3]).mean() < 0.02
    normal = asset.maps["normal"].reshape(-1, 3)[rasterise(asset.uv, 256).texel] / 127.5 - 1
    assert np.abs(np.linalg.norm(normal, axis=1) - 1).max() < 0.03
    assert normal[:, 2].mean() > 0.9


@pytest.mark.parametrize(("alpha", "mode", "channels"), [(1.0, "opaque", 3), (0.0, "mask", 4), (0.5, "blend", 4)])
def test_transparency_follows_the_voxels(alpha, mode, channels):
    def attributes(points):
        values = colours_at(points)
        values[:, 5] = np.where(points[:, 0] > 0, alpha, 1.0)
        return values

    asset = finish(*voxel_asset(*cube(), R, attributes), FinishSettings(texture_size=128))
    assert asset.alpha_mode == mode
    assert asset.maps["base_color"].shape[2] == channels


def test_damage_is_repaired_and_reported():
    vertices, faces, material = voxel_asset(*merge(sphere(0.35), sphere(0.3)), 48)
    rng = np.random.default_rng(0)
    kept = faces[rng.random(len(faces)) > 0.004]
    broken = np.concatenate([kept, kept[:5], kept[:3, [0, 0, 1]]])
    asset = finish(vertices, broken, material, FinishSettings(texture_size=128))
    report = asset.report
    assert report["duplicate_faces"] == 5
    assert report["degenerate_faces"] >= 3
    assert report["holes_filled"] > 10
    assert report["boundary_edges"] == 0
    assert report["non_manifold_edges"] == 0
    assert report["components"] == 2


def with_nan(vertices, faces):
    vertices = vertices.copy()
    vertices[::7] = np.nan
    return vertices, faces


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vertices, faces: (vertices, faces[:1]),
        with_nan,
        lambda vertices, faces: (vertices, np.concatenate([faces] * 3)),
        lambda vertices, faces: (vertices * [1, 1, 0], faces),
    ],
    ids=["one triangle", "NaN", "tripled", "flattened"],
)
def test_bad_surfaces_give_a_result(spoil):
    vertices, faces, material = voxel_asset(*cube(), 16)
    asset = finish(*spoil(vertices, faces), material, FinishSettings(texture_size=64))
    assert len(asset.faces) >= 1
    assert np.isfinite(asset.vertices).all()
    assert np.isfinite(asset.uv).all()
    assert np.isfinite(asset.normals).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vertices, faces: (vertices[:0], faces[:0]),
        lambda vertices, faces: (vertices, faces[:, [0, 0, 1]]),
        lambda vertices, faces: (vertices * np.nan, faces),
        lambda vertices, faces: (vertices * 0, faces),
    ],
    ids=["empty", "degenerate", "all NaN", "one point"],
)
def test_surfaces_without_substance_end_in_a_sentence(spoil):
    vertices, faces, material = voxel_asset(*cube(), 16)
    with pytest.raises(EspalierError) as caught:
        finish(*spoil(vertices, faces), material, FinishSettings(texture_size=64))
    assert caught.value.code == "bad_surface"
    assert caught.value.sentence.endswith(".")


IMPOSSIBLE = [float("nan"), float("inf"), -1, 1e300, 10**400, "1", True, [1], {}]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("texture_size", [1, 100_000, 64.0, *IMPOSSIBLE]),
        ("target_faces", [0, 3, 4.0, *(value for value in IMPOSSIBLE if value != 10**400)]),
        ("ratio", [0, 1.001, *(value for value in IMPOSSIBLE if value is not True), False]),
        ("smoothing", [201, 1.0, *IMPOSSIBLE]),
        ("hole_length", [1.5, *(value for value in IMPOSSIBLE)]),
        ("floater_size", [-0.1, *(value for value in IMPOSSIBLE)]),
        ("thickness", [0.3, *(value for value in IMPOSSIBLE)]),
        ("lods", [(0,), (1.0,), (0.5, 0.5), (0.25, 0.5), (0.1,) * 9, [0.5], None, *((value,) for value in IMPOSSIBLE)]),
        ("occlusion", [0, 1, None, *(value for value in IMPOSSIBLE if value is not True)]),
        ("repair", ["magic", "", None, *IMPOSSIBLE]),
        ("normal_map", [0, 1, None, *(value for value in IMPOSSIBLE if value is not True)]),
    ],
)
def test_impossible_settings_end_in_a_sentence(name, values):
    for value in values:
        with pytest.raises(EspalierError) as caught:
            FinishSettings(**{name: value})
        assert caught.value.code == "bad_settings"
        assert caught.value.sentence.endswith(".") and len(caught.value.sentence) < 200


def test_the_number_of_faces_is_a_number_or_a_share_and_never_below_a_solid():
    assert FinishSettings().faces_of(10**7) == 60_000
    assert FinishSettings(target_faces=10**400).faces_of(100) == 10**400
    assert FinishSettings(ratio=0.25).faces_of(1000) == 250
    assert FinishSettings(ratio=1e-9).faces_of(1000) == 4
    with pytest.raises(EspalierError, match="give only one of them"):
        FinishSettings(target_faces=100, ratio=0.5)


def test_materials_that_do_not_fit_end_in_a_sentence():
    with pytest.raises(EspalierError):
        MaterialVoxels(16, np.zeros((3, 3), np.int32), np.zeros((2, 6), np.float32))
    with pytest.raises(EspalierError):
        MaterialVoxels(16, np.zeros((0, 3), np.int32), np.zeros((0, 6), np.float32))


def test_positions_far_from_every_voxel_take_the_nearest_one():
    material = MaterialVoxels(16, np.array([[8, 8, 8]]), np.array([[0.25, 0.5, 0.75, 1, 0, 1]], np.float32))
    assert np.allclose(material.sample(np.array([[0.4, -0.4, 0.1]])), material.attrs)


def test_progress_only_rises_and_tells_the_end_of_every_step():
    seen = []
    finish(*voxel_asset(*cube(), 16), FinishSettings(texture_size=64), report=lambda *done: seen.append(done))
    assert {total for _, total in seen} == {100}
    done = [step for step, _ in seen]
    assert done == sorted(set(done)) and set(STEP_ENDS) <= set(done) and done[-1] == 100
    assert list(STEP_ENDS.values()) == list(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_cancelling_stops_before_every_step_and_within_the_long_ones(step):
    raw = voxel_asset(*cube(), 16)
    begin = [0, *STEP_ENDS][STEPS.index(step)]
    done = [0]
    with pytest.raises(Cancelled):
        finish(
            *raw,
            FinishSettings(texture_size=64),
            report=lambda now, total: done.append(now),
            cancelled=lambda: done[-1] >= begin + (1 if step == "bake" else 0),
        )
    end = begin + SHARES[step]
    assert done[-1] == begin or (step == "bake" and begin < done[-1] < end)


def test_occlusion_darkens_what_lies_deep_and_can_be_left_out():
    raw = voxel_asset(*merge(cube(0.45, (0.0, 0.0, -0.22)), sphere(0.2, (0.0, 0.0, 0.18))), R)
    asset = finish(*raw, SETTINGS)
    position, _, orm = shown_colours(asset)
    under_the_ball, on_top = orm[np.abs(position[:, 2] - 0.02) < 0.02, 0], orm[position[:, 2] > 0.3, 0]
    assert asset.has_occlusion and np.percentile(under_the_ball, 10) < 0.7 and on_top.min() > 0.9
    plain = finish(*raw, replace(SETTINGS, occlusion=False))
    assert not plain.has_occlusion and (plain.maps["orm"][..., 0] == 255).all()
    assert (plain.maps["base_color"] == asset.maps["base_color"]).all()


def test_png_files_hold_the_image():
    image = np.random.default_rng(0).integers(0, 256, (8, 5, 4), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(encode_png(image)))) == image).all()


def test_a_watertight_asset_is_one_closed_skin_with_the_colours_of_its_place():
    asset = finish(*voxel_asset(*merge(sphere(0.4), sphere(0.36)), R), replace(SETTINGS, repair="watertight"))
    assert asset.report["boundary_edges"] == asset.report["non_manifold_edges"] == 0
    assert asset.report["components"] == 1
    position, base, _ = shown_colours(asset)
    assert np.abs(base - colours_at(position)[:, :3]).max() < 0.08


def test_a_watertight_asset_needs_the_voxels_of_its_surface():
    vertices, faces, material = voxel_asset(*cube(), R)
    with pytest.raises(EspalierError, match="watertight"):
        finish(
            vertices[faces].reshape(-1, 3),
            np.arange(faces.size).reshape(-1, 3),
            material,
            replace(SETTINGS, repair="watertight"),
        )


def test_coarser_versions_share_the_maps_of_the_object(ring):
    raw, full = ring
    asset = finish(*raw, replace(SETTINGS, lods=(0.5, 0.2)))
    assert full.lods == () and {name: image.tobytes() for name, image in full.maps.items()} == {
        name: image.tobytes() for name, image in asset.maps.items()
    }
    assert [round(len(lod.faces) / len(asset.faces), 2) for lod in asset.lods] == [0.5, 0.2]
    for lod in asset.lods:
        assert (lod.vertices.dtype, lod.faces.dtype) == (np.float32, np.int32)
        assert len(lod.faces) == len(lod.uv) == len(lod.normals) and lod.faces.max() < len(lod.vertices)
        position, base, _ = shown_colours(replace(asset, vertices=lod.vertices, faces=lod.faces, uv=lod.uv))
        assert np.abs(base - colours_at(position)[:, :3]).mean() < 0.03


def test_a_version_that_could_not_be_made_as_coarse_is_named(ring):
    asset = finish(*ring[0], replace(SETTINGS, lods=(0.5, 0.0001)))
    (told,) = (sentence for sentence in asset.report["events"] if "LOD" in sentence)
    assert told.startswith(f"LOD2, asked for with 0.01 % of the faces, keeps {len(asset.lods[1].faces):,}:")


def test_more_pieces_than_the_texture_has_room_for_end_in_a_sentence():
    corner = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3) / 6 - 0.5
    vertices = (corner[:, None] + np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0.05]])).reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    material = MaterialVoxels(8, np.array([[4, 4, 4]]), np.full((1, 6), 0.5, np.float32))
    with pytest.raises(EspalierError, match="in 216 separate pieces, and a texture of 64 texels has room for 100"):
        finish(vertices, faces, material, FinishSettings(texture_size=64))
    assert finish(vertices, faces, material, FinishSettings(texture_size=128)).report["components"] == 216


@pytest.mark.parametrize("repair", ["as_generated", "clean"])
def test_a_million_pieces_end_in_that_sentence_before_they_are_simplified(repair, monkeypatch):
    monkeypatch.setattr(finishing, "reduce_faces", pytest.fail)
    place = np.random.default_rng(0).random((1_000_000, 1, 3), dtype=np.float32) * 0.98 - 0.49
    vertices = (place + np.array([[0, 0, 0], [5e-4, 0, 0], [0, 5e-4, 0]], np.float32)).reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    material = MaterialVoxels(64, np.array([[4, 4, 4]]), np.full((1, 6), 0.5, np.float32))
    with pytest.raises(EspalierError, match=r"in 999,\d{3} separate pieces, and a texture of 1024 texels has room for"):
        finish(vertices, faces, material, FinishSettings(repair=repair))


def test_crumbs_that_simplifying_takes_away_need_no_room():
    crumbs = [cube(0.004, (x, y, 0.4)) for x in np.linspace(-0.4, 0.4, 11) for y in np.linspace(-0.4, 0.4, 11)]
    material = voxel_asset(*torus(), R)[2]
    settings = FinishSettings(400, texture_size=64, repair="as_generated")
    asset = finish(*merge(torus(), *crumbs), material, settings)
    assert asset.report["components"] < 20
    gone = 1 + len(crumbs) - asset.report["components"]
    assert asset.notes[0] == f"Small pieces were taken away to get to 400 faces: {gone}. More faces keep them."


def test_crumbs_that_mending_takes_away_are_told_and_a_whole_object_needs_no_words(ring):
    crumbs = [cube(0.004, (x, 0, 0.4)) for x in (-0.2, 0.0, 0.2)]
    surface, material = merge(torus(), *crumbs), ring[0][2]
    told = "Loose crumbs were taken away: 3. The repair “as generated” keeps them."
    assert finish(*surface, material, replace(SETTINGS, repair="clean")).notes == (told,)
    assert finish(*surface, material, replace(SETTINGS, repair="as_generated")).notes == ring[1].notes == ()


def test_only_watertight_objects_are_thickened():
    assert FinishSettings(repair="watertight", thickness=0.01).repair_options().thickness == 0.01
    with pytest.raises(EspalierError, match="Only the repair “watertight” thickens"):
        FinishSettings(repair="clean", thickness=0.01)


def with_window_and_crumb():
    """A ball with a window of a quarter of its width, and another of a seventh of its size beside it."""
    points, faces = sphere(0.4)
    window = points[faces][:, :, 2].mean(axis=1) > 0.385
    return merge((points, faces[~window]), sphere(0.06, (0.4, 0.4, 0.4)))


@pytest.mark.parametrize(
    ("options", "open_edges", "pieces"),
    [
        ({}, True, 2),
        ({"hole_length": 0.9}, False, 2),
        ({"floater_size": 0.3}, True, 1),
        ({"hole_length": 0.1}, True, 2),
    ],
)
def test_how_much_is_closed_and_cleared_away_can_be_chosen(options, open_edges, pieces):
    asset = finish(*voxel_asset(*with_window_and_crumb(), R), replace(SETTINGS, texture_size=64, **options))
    assert (asset.report["boundary_edges"] > 0) == open_edges
    assert asset.report["components"] == pieces


def test_a_sheet_becomes_as_thick_as_asked():
    sheet = np.array([[-0.4, -0.4, 0.01], [0.4, -0.4, 0.01], [0.4, 0.4, 0.01], [-0.4, 0.4, 0.01]])
    raw = voxel_asset(sheet, np.array([[0, 1, 2], [0, 2, 3]]), R)
    asset = finish(*raw, FinishSettings(texture_size=64, repair="watertight", thickness=0.15))
    side = np.ptp(asset.vertices[:, 0])
    assert abs(np.ptp(asset.vertices[:, 2]) - 0.15 * side) < 1.5 / R
    assert asset.report["boundary_edges"] == 0


def test_a_face_without_area_has_a_normal_all_the_same():
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0, 0.1, 0]], float)
    lengths = np.linalg.norm(corner_normals(points, np.array([[0, 1, 2], [0, 1, 3]]))[0], axis=1)
    assert np.abs(lengths - 1).max() < 1e-6


def test_unknown_repairs_are_refused():
    with pytest.raises(EspalierError, match="clean or watertight"):
        FinishSettings(repair="magic")
