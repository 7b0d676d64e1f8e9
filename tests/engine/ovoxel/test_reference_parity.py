# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec gives the reference's voxel sets, flags, dual vertices, triangles and materials."""

import numpy as np
import pytest
import torch
from espalier.engine.ovoxel import (
    Material,
    Texture,
    dual_grid_to_mesh,
    mesh_to_dual_grid,
    sample_sparse,
    voxelize_material,
)
from espalier.tests.engine.ovoxel.shapes import canonical_faces
from PIL import Image


def grid_arguments(grid):
    return {"resolution": grid.get("grid_size"), "voxel_size": grid.get("voxel_size"), "aabb": grid["aabb"]}


def entries_at_hand(case):
    """The selection in tests/data holds the tensors of some entries only."""
    entries = [entry for entry in case.case["entries"] if f"{entry['key']}.coords" in case.io]
    assert entries
    return entries


def rows_that_builds_disagree_on(entry):
    """Voxels that the reference itself gains or loses when compiled differently."""
    builds = [entry[name] for name in entry if name.startswith("alt_build")]
    return {tuple(c) for b in builds for c in b.get("only_ref", []) + b.get("only_alt", []) + b.get("flag_rows", [])}


def test_mesh_to_dual_grid_agrees_with_the_reference(golden):
    case = golden("10_dual_grid")
    for entry in entries_at_hand(case):
        key, mesh = entry["key"], entry["mesh"]
        grid = mesh_to_dual_grid(
            case.io[f"{mesh}.vertices"],
            case.io[f"{mesh}.faces"],
            **grid_arguments(entry["grid"]),
            **entry["params"],
            clip=True,
        )
        doubtful = rows_that_builds_disagree_on(entry)
        ours = {tuple(c): row for row, c in enumerate(grid.coords.tolist())}
        theirs = {tuple(c): row for row, c in enumerate(case.io[f"{key}.coords"].tolist())}
        assert ours.keys() - doubtful == theirs.keys() - doubtful, key
        common = [c for c in theirs if c in ours and c not in doubtful]
        mine, reference = [ours[c] for c in common], [theirs[c] for c in common]
        assert torch.equal(grid.intersected[mine], case.io[f"{key}.intersected"][reference]), key

        extent = torch.tensor(entry["grid"]["aabb"][1]) - torch.tensor(entry["grid"]["aabb"][0])
        size = entry["grid"].get("voxel_size") or extent / torch.tensor(entry["grid"]["grid_size"])
        error = ((grid.vertices[mine] - case.io[f"{key}.dual"][reference]) / size).abs().amax(1)
        allowed = 1e-3 + 5 * case.io[f"{key}.row_noise"][reference]
        assert (error <= allowed).all(), f"{key}: dual vertex off by {error[error > allowed].tolist()} voxels"


def test_rows_are_in_lexicographic_order_and_positions_agree_with_each_other(golden):
    case = golden("10_dual_grid")
    grid = mesh_to_dual_grid(case.io["cube.vertices"], case.io["cube.faces"], 16)
    assert grid.coords.tolist() == sorted(grid.coords.tolist())
    torch.testing.assert_close(grid.vertices * 16 - grid.coords, grid.local, atol=2e-6, rtol=0)


def test_dual_grid_to_mesh_agrees_with_the_reference(golden):
    case = golden("10_dual_grid")
    compared = 0
    for entry in entries_at_hand(case):
        key = entry["key"]
        for kind, weight in (("nosplit", None), ("split", case.io.get(f"{key}.split_weight"))):
            expected = case.io.get(f"{key}.{kind}.faces_canonical")
            if expected is None:
                continue
            vertices, faces = dual_grid_to_mesh(
                case.io[f"{key}.coords"],
                case.io[f"{key}.dual_local"],
                case.io[f"{key}.intersected"],
                weight,
                **grid_arguments(entry["grid"]),
            )
            assert torch.equal(canonical_faces(faces), expected.long()), f"{key} {kind}"
            if f"{key}.mesh_vertices" in case.io:
                torch.testing.assert_close(vertices, case.io[f"{key}.mesh_vertices"], atol=1e-7, rtol=0)
            compared += 1
    assert compared


def golden_material(entry, folder):
    pixels = {
        name: torch.from_numpy(np.array(Image.open(folder / name)))
        for name in entry["textures"]
        if "normal" not in name
    }
    colour, surface = pixels.get("base_color.png"), pixels.get("metallic_roughness.png")
    factor = [value / 255 for value in entry["baseColorFactor_u8"]]
    textures = {}
    if colour is not None:
        textures = {
            "base_color_texture": Texture(colour[..., :3]),
            "alpha_texture": Texture(colour[..., 3]),
            "metallic_texture": Texture(surface[..., 2]),
            "roughness_texture": Texture(surface[..., 1]),
        }
    return Material(
        tuple(factor[:3]),
        entry["metallicFactor"],
        entry["roughnessFactor"],
        factor[3],
        entry["alphaMode"].lower(),
        0.5 if entry["alphaCutoff"] is None else entry["alphaCutoff"],
        **textures,
    )


def test_voxel_materials_agree_with_the_reference(golden):
    case = golden("10_volumetric_attr")
    tolerance = case.case["tolerance"]
    for entry in entries_at_hand(case):
        key = entry["key"]
        corners = case.io[f"{key}.triangles_minus_aabb_min"]
        result = voxelize_material(
            corners.reshape(-1, 3),
            torch.arange(3 * len(corners)).view(-1, 3),
            case.io[f"{key}.corner_uvs"],
            case.io[f"{key}.material_ids"],
            [golden_material(material, case.folder) for material in entry["materials"]],
            entry["grid_size"],
            aabb=((0, 0, 0), (1, 1, 1)),
            mip_offset=entry["mip_level_offset"],
        )
        assert torch.equal(result.coords, case.io[f"{key}.coords"]), key
        for name in ("base_color", "metallic", "roughness", "alpha"):
            expected = case.io[f"{key}.float.{name}"]
            torch.testing.assert_close(getattr(result, name), expected, atol=tolerance["float_atol"], rtol=0)
        names = ("base_color", "metallic", "roughness", "alpha")
        stored = torch.cat([case.io[f"{key}.u8.{name}"] for name in names], 1)
        assert (result.quantised().int() - stored.int()).abs().max() <= tolerance["u8"], key


@pytest.mark.parametrize("mode", ["trilinear", "nearest"])
def test_sparse_sampling_agrees_with_the_reference(golden, mode):
    case = golden("06_sparse_units")
    shape = case.case["spatial_shape"]
    for batch in range(2):
        rows = case.io["coords"][:, 0] == batch
        sampled = sample_sparse(
            case.io["coords"][rows, 1:],
            case.io["feats"][rows],
            case.io["grid_query"][batch],
            shape,
            mode,
            aabb=((0, 0, 0), shape),
        )
        case.assert_close(f"grid_{mode}", sampled, case.io[f"grid_{mode}.out"][batch])
