# SPDX-License-Identifier: GPL-3.0-or-later
"""Textured meshes to voxel materials (case 10_volumetric_attr)."""

from pathlib import Path

import numpy as np
import torch
from espalier.engine.ovoxel import Material, Texture, voxelize_material
from PIL import Image

from .case import Case
from .runners import compares

STORED = ("base_color", "metallic", "roughness", "alpha")
"""The attributes that a voxel keeps, in the order of ``quantised``; the reference also computes two others."""


def recorded_material(entry: dict, folder: Path) -> Material:
    pixels = {
        name: torch.from_numpy(np.array(Image.open(folder / name)))
        for name in entry["textures"]
        if "normal" not in name
    }
    colour, surface = pixels.get("base_color.png"), pixels.get("metallic_roughness.png")
    factor = [value / 255 for value in entry["baseColorFactor_u8"]]
    textures = {}
    if colour is not None:
        textures |= {"base_color_texture": Texture(colour[..., :3]), "alpha_texture": Texture(colour[..., 3])}
    if surface is not None:
        textures |= {"metallic_texture": Texture(surface[..., 2]), "roughness_texture": Texture(surface[..., 1])}
    return Material(
        tuple(factor[:3]),
        entry["metallicFactor"],
        entry["roughnessFactor"],
        factor[3],
        entry["alphaMode"].lower(),
        0.5 if entry["alphaCutoff"] is None else entry["alphaCutoff"],
        **textures,
    )


def compare_entry(case: Case, entry: dict) -> None:
    key, tolerance, box = entry["key"], case.about["tolerance"], torch.tensor(case.about["aabb"])
    corners = case.input(f"{key}.triangles_minus_aabb_min")
    result = voxelize_material(
        corners.reshape(-1, 3),
        torch.arange(3 * len(corners)).view(-1, 3),
        case.input(f"{key}.corner_uvs"),
        case.input(f"{key}.material_ids"),
        [recorded_material(material, case.folder) for material in entry["materials"]],
        entry["grid_size"],
        aabb=torch.stack([torch.zeros(3), box[1] - box[0]]),
        mip_offset=entry["mip_level_offset"],
    )
    case.equal(f"{key}.coords", result.coords)
    channel = 0
    for name in STORED:
        case.close(f"{key}.float.{name}", getattr(result, name), atol=tolerance["float_atol"])
        expected = case.recorded(f"{key}.u8.{name}")
        stored = result.quantised()[:, channel : channel + expected.shape[1]]
        case.close(f"{key}.u8.{name}", stored.int(), expected.int(), atol=tolerance["u8"])
        channel += expected.shape[1]
    for name in case.names:
        part, _, attribute = name.removeprefix(f"{key}.").partition(".")
        if not name.startswith(f"{key}.") or name not in case:
            continue
        if part in ("float", "u8") and attribute in ("emissive", "normal"):
            case.skip(name, "not among the six attributes of an O-Voxel")
        elif part.startswith("geom") or part == "corner_normals":
            case.input(name)  # the mesh that the triangles above were made from


@compares("o_voxel.convert.textured_mesh_to_volumetric_attr", "coords, attr = f(")
def materials(case: Case) -> None:
    entries = [entry for entry in case.about["entries"] if f"{entry['key']}.coords" in case]
    case.agree("some entry has its tensors here", bool(entries), True)
    for entry in entries:
        compare_entry(case, entry)
