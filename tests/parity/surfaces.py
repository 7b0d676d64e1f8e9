# SPDX-License-Identifier: GPL-3.0-or-later
"""Normalisation of a mesh that is to be textured (case 13)."""

import torch
from espalier.engine.ovoxel import normalise_mesh

from .case import Case
from .runners import compares


def as_recorded(vertices: torch.Tensor) -> torch.Tensor:
    """Normalised, then turned from Y up to Z up as the case has it: Blender's meshes have Z up and are not turned."""
    x, y, z = normalise_mesh(vertices.double())[0].unbind(1)
    return torch.stack([x, -z, y], 1)


@compares("texturing pipeline, preprocess_mesh", "preprocess_mesh(in)")
def surfaces(case: Case) -> None:
    for entry in case.about["entries"]:
        key = entry["key"]
        case.close(f"{key}.out.vertices", as_recorded(case.input(f"{key}.in.vertices")))
        case.equal(f"{key}.out.faces", case.input(f"{key}.in.faces"))
