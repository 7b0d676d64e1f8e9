# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps of a mesh show the materials, normals and occlusion of the surface it was made from."""

import numpy as np
import pytest
from espalier.engine.errors import Cancelled
from espalier.engine.mesh.bake import bake_surface
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.mesh.bake.bake_surface import bake_texels, texture_maps
from espalier.engine.mesh.bake.texel_lookup import FullSurface, LeanMesh
from espalier.engine.mesh.compilation import by_rows
from espalier.engine.mesh.lookup import nearest
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.repair.repair import repair
from espalier.engine.mesh.surface.normals import corner_normals
from espalier.tests.engine.mesh.shapes import colours_at, cube, sphere, torus, voxel_asset

R = 32


def in_cells(faces, size=256):
    """UVs that give every face the lower left half of a cell of its own, some texels from the next."""
    side = int(np.ceil(np.sqrt(len(faces))))
    row, column = np.divmod(np.arange(len(faces)), side)
    gap = 3 / size
    corner = np.array([[0, 0], [1, 0], [0, 1]]) * (1 / side - 2 * gap) + gap
    return np.float32(np.stack([column, row], axis=1)[:, None] / side + corner)


def lean_mesh(vertices, faces, size=256):
    return LeanMesh(vertices, faces, in_cells(faces, size), corner_normals(vertices, faces))


def everywhere(attributes, resolution=R):
    """Voxel materials that fill the whole cube."""
    coords = np.stack(np.meshgrid(*[np.arange(resolution)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return MaterialVoxels(resolution, coords, attributes((coords + 0.5) / resolution - 0.5).astype(np.float32))


def constant(points):
    return np.broadcast_to([0.2, 0.4, 0.6, 0.8, 0.1, 1.0], (len(points), 6))


def test_every_texel_shows_the_closest_point_of_the_full_surface():
    full_vertices, full_faces = sphere(0.4, rows=48, columns=96)
    lean = lean_mesh(*sphere(0.4, rows=8, columns=12))
    raster = rasterise(lean.uv, 256)
    texels = bake_texels(raster, lean, FullSurface(full_vertices, full_faces, full_vertices), everywhere(colours_at))
    points = np.einsum("tc,tci->ti", raster.barycentric, lean.vertices[lean.faces[raster.face]])
    on_sphere = 0.4 * points / np.linalg.norm(points, axis=1, keepdims=True)
    assert np.abs(texels.base_color / 255 - colours_at(on_sphere)[:, :3]).max() < 0.005
    assert np.abs(texels.base_color / 255 - colours_at(points)[:, :3]).max() > 0.015
    assert texels.alpha_mode == "opaque"
    assert texels.base_color.shape[1] == 3
    assert np.abs(texels.orm[:, 2] / 255 - colours_at(on_sphere)[:, 3]).max() < 0.01
    assert np.abs(texels.orm[:, 1] / 255 - colours_at(on_sphere)[:, 4]).max() < 0.01


def test_values_are_rounded_to_the_nearest_byte():
    lean = lean_mesh(*cube())
    raster = rasterise(lean.uv, 64)
    values = lambda points: np.broadcast_to([0.001, 0.003, 0.9981, 0.5, 0.4981, 1.0], (len(points), 6))  # noqa: E731
    texels = bake_texels(raster, lean, None, everywhere(values), occlusion=False)
    assert (texels.base_color == [0, 1, 255]).all()
    assert (texels.orm[:, 1] == 127).all()
    assert set(texels.orm[:, 2]) <= {127, 128}


def test_the_two_sides_of_a_thin_wall_keep_their_colours():
    """A plate of one voxel, red above and blue below; the mesh is a plate that has sunk through the other side."""
    plate, faces = cube(1.0)
    thickness = 2.0 / R
    full = plate * [0.8, 0.8, thickness]
    above = lambda points: np.where(points[:, 2:] > 0, [[1.0, 0, 0, 0, 0, 1]], [[0, 0, 1.0, 0, 0, 1]])  # noqa: E731
    big = np.abs(corner_normals(full, faces)[:, 0, 2]) > 0.5
    # Narrower, for at its rim the plate's narrow sides are closer than the far side.
    sunk = full * [0.8, 0.8, -0.1]
    lean = LeanMesh(sunk, faces[big], in_cells(faces[big]), corner_normals(full, faces[big]))
    raster = rasterise(lean.uv, 256)
    texels = bake_texels(raster, lean, FullSurface(full, faces, full), everywhere(above))
    up = lean.normals[raster.face][:, 0, 2] > 0
    assert (texels.base_color[up, 0] > texels.base_color[up, 2]).mean() > 0.99
    assert (texels.base_color[~up, 0] < texels.base_color[~up, 2]).mean() > 0.99


def test_materials_are_read_where_the_surface_was_before_smoothing():
    vertices, faces = cube(0.6)
    lean = lean_mesh(vertices, faces)
    raster = rasterise(lean.uv, 256)
    shifted = vertices + np.array([0.1, 0, 0])
    texels = bake_texels(raster, lean, FullSurface(vertices, faces, shifted), everywhere(colours_at), occlusion=False)
    points = np.einsum("tc,tci->ti", raster.barycentric, shifted[faces[raster.face]])
    assert np.abs(texels.base_color / 255 - colours_at(points)[:, :3]).max() < 0.01


def test_a_coarse_sphere_gets_the_normals_of_the_fine_one():
    vertices, faces = sphere(0.4, rows=48, columns=96)
    lean = lean_mesh(*sphere(0.4, rows=8, columns=12))
    raster = rasterise(lean.uv, 256)
    texels = bake_texels(raster, lean, FullSurface(vertices, faces, vertices), everywhere(constant), occlusion=False)
    local = texels.normal / 255 * 2 - 1
    # Decoded as a renderer does, the normals are those of the sphere: better than the mesh's own.
    from espalier.engine.mesh.bake.normal_map import corner_tangents

    tangents, sign = corner_tangents(lean.vertices, lean.faces, lean.uv, lean.normals)
    n = np.einsum("tc,tci->ti", raster.barycentric, lean.normals[raster.face].astype(float))
    t = np.einsum("tc,tci->ti", raster.barycentric, tangents[raster.face])
    b = sign[raster.face][:, None] * np.cross(n, t)
    shown = local[:, :1] * t + local[:, 1:2] * b + local[:, 2:] * n
    points = np.einsum("tc,tci->ti", raster.barycentric, lean.vertices[lean.faces[raster.face]])
    truth = points / np.linalg.norm(points, axis=1, keepdims=True)
    degrees = lambda a: np.degrees(  # noqa: E731
        np.arccos(np.clip((a * truth).sum(1) / np.linalg.norm(a, axis=1), -1, 1))
    )
    assert degrees(shown).max() < 4
    assert np.median(degrees(shown)) < 1 < np.median(degrees(n))


def test_a_sheet_seen_from_behind_is_not_shaded_inside_out():
    """A closed skin around a single sheet: its back looks up the sheet's back, whose normals point the other way."""
    sheet = (
        np.array([[-0.4, -0.4, 0], [0.4, -0.4, 0], [0.4, 0.4, 0], [-0.4, 0.4, 0.0]]),
        np.array([[0, 1, 2], [0, 2, 3]]),
    )
    skin, faces = cube(1.0)
    lean = lean_mesh(skin * [0.8, 0.8, 0.5 / R], faces)
    raster = rasterise(lean.uv, 256)
    texels = bake_texels(raster, lean, FullSurface(*sheet, sheet[0]), everywhere(constant), occlusion=False)
    flat = np.abs(lean.normals[raster.face][:, 0, 2]) > 0.5
    assert (texels.normal[flat][:, 2] == 255).all()


def test_maps_hold_the_texels_and_leave_no_gap_around_them():
    lean = lean_mesh(*cube(), 128)
    raster = rasterise(lean.uv, 128)
    texels = bake_texels(raster, lean, None, everywhere(colours_at), occlusion=False)
    maps = texture_maps(raster, texels)
    assert set(maps) == {"base_color", "orm"}
    assert (maps["base_color"].reshape(-1, 3)[raster.texel] == texels.base_color).all()
    assert (maps["orm"][..., 0] == 255).all()
    assert maps["base_color"].reshape(-1, 3).max(axis=1).min() > 0


@pytest.mark.parametrize(("alpha", "mode", "channels"), [(1.0, "opaque", 3), (0.0, "mask", 4), (0.5, "blend", 4)])
def test_alpha_is_there_where_the_asset_is_transparent(alpha, mode, channels):
    half = lambda points: np.where(points[:, :1] > 0, [[1, 1, 1, 0, 1, alpha]], [[1, 1, 1, 0, 1, 1.0]])  # noqa: E731
    lean = lean_mesh(*cube(), 128)
    raster = rasterise(lean.uv, 128)
    texels = bake_texels(raster, lean, None, everywhere(half), occlusion=False)
    assert texels.alpha_mode == mode
    assert texture_maps(raster, texels)["base_color"].shape == (128, 128, channels)


def test_blocks_of_texels_give_the_same_maps(monkeypatch):
    raw_vertices, raw_faces, material = voxel_asset(*torus(24, 12), R)
    vertices, faces, _ = repair(raw_vertices, raw_faces, material.coords, R)
    lean = lean_mesh(*torus(12, 8))
    raster = rasterise(lean.uv, 128)
    whole = bake_texels(raster, lean, FullSurface(vertices, faces, vertices), material)
    monkeypatch.setattr(bake_surface, "TEXELS_AT_ONCE", 1000)
    parts = bake_texels(raster, lean, FullSurface(vertices, faces, vertices), material)
    for name in ("base_color", "orm", "normal"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_a_bake_can_be_cancelled_at_any_report():
    lean = lean_mesh(*cube(), 64)
    raster = rasterise(lean.uv, 64)
    seen = []
    bake_texels(raster, lean, None, everywhere(constant), report=lambda step, of: seen.append((step, of)))
    assert seen == [(step + 1, len(seen)) for step in range(len(seen))]

    def stop(step, of):
        if step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        bake_texels(raster, lean, None, everywhere(constant), report=stop)


def test_without_numba_the_same_materials_are_found_and_the_missing_map_is_named(monkeypatch):
    vertices, faces = sphere(0.4, rows=24, columns=48)
    lean = lean_mesh(*sphere(0.4, rows=8, columns=12))
    raster = rasterise(lean.uv, 128)
    full, material = FullSurface(vertices, faces, vertices), everywhere(colours_at)
    with_numba = bake_texels(raster, lean, full, material, occlusion=False)
    monkeypatch.setattr(nearest, "load_loops", lambda module: None)
    without = bake_texels(raster, lean, full, material)
    assert np.abs(with_numba.base_color.astype(int) - without.base_color).max() <= 1
    assert (without.orm[:, 0] == 255).all()
    assert len(without.events) == 1
    assert without.events[0].endswith(".")


def test_the_maps_give_back_the_voxels_colours_at_random_points():
    """The figure of the benchmark on a small object: at least 38 dB."""
    raw_vertices, raw_faces, material = voxel_asset(*torus(64, 32), 64, waves)
    vertices, faces, _ = repair(raw_vertices, raw_faces, material.coords, 64)
    rows, columns = 64, 32
    lean_vertices, lean_faces = torus(rows, columns)
    u, v = np.meshgrid(np.arange(rows + 1) / rows, np.arange(columns + 1) / columns, indexing="ij")
    place = 0.02 + 0.96 * np.stack([u, v], axis=-1)
    i, j = np.divmod(np.arange(rows * columns), columns)
    a, b, c, d = place[i, j], place[i + 1, j], place[i + 1, j + 1], place[i, j + 1]
    uv = np.float32(np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    lean = LeanMesh(lean_vertices, lean_faces, uv, corner_normals(lean_vertices, lean_faces))
    raster = rasterise(uv, 512)
    image = texture_maps(raster, bake_texels(raster, lean, FullSurface(vertices, faces, vertices), material))
    rng = np.random.default_rng(0)
    face, weights = rng.integers(0, len(lean_faces), 20_000), rng.dirichlet(np.ones(3), 20_000)
    points = np.einsum("nc,nci->ni", weights, lean_vertices[lean_faces[face]])
    shown = bilinear(image["base_color"] / 255, np.einsum("nc,nci->ni", weights, uv[face].astype(float)))
    normals = np.einsum("nc,nci->ni", weights, lean.normals[face])
    truth = material.sample(nearest.SurfaceIndex(vertices, faces).closest(points, normals).position)[:, :3]
    assert -10 * np.log10(((shown - truth) ** 2).mean()) > 38


def waves(points):
    values = colours_at(points)
    values[:, :3] = 0.5 + 0.4 * np.sin(40 * points + [0, 1, 2])
    return values


def bilinear(image, uv):
    size = len(image)
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - column)[:, None], (y - row)[:, None]
    top = image[row, column] * (1 - fx) + image[row, column + 1] * fx
    return top * (1 - fy) + (image[row + 1, column] * (1 - fx) + image[row + 1, column + 1] * fx) * fy


@pytest.mark.parametrize("count", [0, 1, 7, 20])
def test_rows_are_computed_some_at_a_time_with_the_same_result(count):
    rows, seen = np.arange(2.0 * count).reshape(-1, 2), []

    def compute(part, more):
        seen.append(len(part))
        return part**2, part.sum(axis=1) + more

    squares, sums = by_rows(compute, rows, rows[:, 0], portion=7)
    assert np.array_equal(squares, rows**2) and np.array_equal(sums, rows.sum(axis=1) + rows[:, 0])
    assert sum(seen) == count and max(seen) <= 7 and len(seen) == max(-(-count // 7), 1)
