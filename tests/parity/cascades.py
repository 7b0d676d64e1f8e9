# SPDX-License-Identifier: GPL-3.0-or-later
"""The glue of the image pipeline (case 12): cells of a cascade, token budget, occupied cells, texture conditioning."""

import re

import torch
from espalier.engine.pipelines.structure import cascade_cells, occupied_cells
from espalier.engine.weights.configuration import Normalisation

from .case import Case
from .runners import compares

PATCH = 16
"""Voxels along the side of a latent cell in every released model."""


def numbers(text: str) -> torch.Tensor:
    return torch.tensor([float(number) for number in text.split(",")])


def recorded_normalisations(case: Case) -> tuple[Normalisation, Normalisation]:
    """Of shape and of texture, from the notes."""
    notes = " ".join(case.about["notes"])
    std, mean = re.search(r"std \[(.*?)\], mean \[(.*?)\]", notes).groups()
    tex_std, tex_mean = re.search(r"out = noise\*\[(.*?)\] \+ \[(.*?)\]", notes).groups()
    return Normalisation(numbers(mean), numbers(std)), Normalisation(numbers(tex_mean), numbers(tex_std))


def compare_cascade(case: Case, entry: dict, shape: Normalisation) -> None:
    key = entry["key"]
    cells, resolution = cascade_cells(
        case.input(f"{key}.hr_coords"), entry["lr_resolution"], entry["resolution"], PATCH, entry["max_num_tokens"]
    )
    case.agree(f"{key}: resolution", resolution, entry["result_resolution"])
    case.agree(f"{key}: tokens", len(cells), entry["tokens"])
    case.equal(f"{key}.coords", cells)
    channels = len(shape.mean)
    generator = torch.Generator().manual_seed(case.about["seed"])
    torch.randn(1, channels, generator=generator)  # the low-resolution pass, one token
    noise = torch.randn(len(cells), channels, generator=generator)
    case.equal(f"{key}.noise", noise)
    case.equal(f"{key}.out_feats", shape.undo(noise))


@compares("image-to-3D pipeline glue", "sample_shape_slat_cascade")
def cascade(case: Case) -> None:
    shape, texture = recorded_normalisations(case)
    for entry in case.about["entries"]:
        compare_cascade(case, entry, shape)
    logits = case.input("ss.logits")
    for name in case.names:
        if name.startswith("ss.coords_at_"):
            case.equal(name, occupied_cells(logits, int(name.rpartition("_")[2])))
    case.equal("tex.concat_cond", shape.apply(case.input("tex.shape_slat.feats")))
    generator = torch.Generator().manual_seed(case.about["seed_tex"])
    noise = torch.randn(len(case.input("tex.coords")), len(texture.mean), generator=generator)
    case.equal("tex.noise", noise)
    case.equal("tex.out", texture.undo(noise))
