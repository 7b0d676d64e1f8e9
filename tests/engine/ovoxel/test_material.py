# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel materials, textures and normalisation beyond what the fixtures hold."""

import torch
from espalier.engine.ovoxel import Material, Texture, mesh_to_dual_grid, normalise_mesh, voxelize_material
from espalier.engine.ovoxel.texture import sample_texture
from espalier.tests.engine.ovoxel.shapes import box, uv_sphere


def test_materials_cover_exactly_the_voxels_of_the_geometry():
    vertices, faces = uv_sphere()
    ids = torch.arange(len(faces)) % 2
    materials = [Material((1.0, 0.0, 0.0), metallic=1.0), Material((0.0, 0.0, 1.0), metallic=1.0)]
    result = voxelize_material(vertices, faces, None, ids, materials, 32)
    assert torch.equal(result.coords, mesh_to_dual_grid(vertices, faces, 32).coords)
    torch.testing.assert_close(result.base_color.sum(1), torch.ones(len(result.coords)))
    assert (result.metallic == 1).all() and (result.alpha == 1).all()


def test_faces_without_a_material_get_the_default_one():
    vertices, faces = box((-0.3,) * 3, (0.3,) * 3)
    result = voxelize_material(vertices, faces, None, torch.full((12,), -1), [], 16)
    torch.testing.assert_close(
        result.channels(), torch.tensor([[0.8, 0.8, 0.8, 0.0, 0.5, 1.0]]).expand(len(result.coords), 6)
    )


def test_texture_addresses_wrap_as_asked():
    pixels = torch.tensor([[0, 255]], dtype=torch.uint8)
    uv = torch.tensor([[0.25, 0.5], [0.75, 0.5], [1.25, 0.5], [1.75, 0.5], [-0.25, 0.5]])
    read = {
        wrap: sample_texture(Texture(pixels, smooth=False, wrap=wrap), uv, torch.zeros(5)).squeeze(1).tolist()
        for wrap in ("repeat", "clamp", "mirror")
    }
    assert read == {"repeat": [0, 1, 0, 1, 1], "clamp": [0, 1, 1, 1, 0], "mirror": [0, 1, 1, 0, 0]}


def test_rows_run_from_the_top_and_a_large_footprint_reads_one_average():
    pixels = torch.zeros((6, 10), dtype=torch.uint8)
    pixels[:3] = 200
    texture = Texture(pixels)
    uv = torch.tensor([[0.5, 0.9], [0.5, 0.1]])
    sharp = sample_texture(texture, uv, torch.zeros(2)).squeeze(1)
    torch.testing.assert_close(sharp, torch.tensor([200 / 255, 0.0]))
    coarse = sample_texture(texture, uv, torch.full((2,), 50.0)).squeeze(1)
    assert coarse[0] == coarse[1] and 0.0 < coarse[0] < 200 / 255


def test_normalised_mesh_fills_the_box_and_can_be_put_back():
    vertices = torch.rand((50, 3), generator=torch.Generator().manual_seed(1)) * torch.tensor([7.0, 2.0, 3.0]) + 100
    inside, centre, scale = normalise_mesh(vertices)
    assert inside.abs().max() <= 0.5
    assert abs(float((inside.amax(0) - inside.amin(0)).max()) - 0.99999) < 1e-5
    torch.testing.assert_close(inside / scale + centre, vertices, atol=1e-4, rtol=0)
