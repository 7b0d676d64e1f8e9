# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel files of every filter and compression (case 11): what the reference wrote, and the same voxels written here."""

from pathlib import Path

import numpy as np
import torch
from espalier.engine.ovoxel.vxz import encode_vxz, read_vxz

from .case import Case
from .runners import compares


def compare_voxels(case: Case, key: str, data: bytes, suffix: str = "") -> None:
    """Bit for bit: in the order that the format defines where that was recorded, and sorted as they were written."""
    voxels = read_vxz(data)
    attributes = {name: torch.from_numpy(values) for name, values in voxels.attributes.items()}
    for name, values in (
        ("coord", torch.from_numpy(voxels.coords)),
        *((f"attr.{n}", v) for n, v in attributes.items()),
    ):
        if f"{key}.{name}" in case:
            case.equal(f"{key}.{name}{suffix}", values, case.recorded(f"{key}.{name}"))
    order = torch.from_numpy(np.lexsort(voxels.coords.T[::-1]))
    case.equal(f"{key}: voxels{suffix}", torch.from_numpy(voxels.coords)[order], case.input("in.coord"))
    for name in written_attributes(case):
        case.equal(f"{key}: {name}{suffix}", attributes[name][order], case.input(f"in.attr.{name}"))


def written_attributes(case: Case) -> list[str]:
    """In the order of the file."""
    return [name for name, _ in case.about["entries"][0]["header"]["attr"]]


@compares("o_voxel.io vxz", "read_vxz(file)")
def voxel_files(case: Case) -> None:
    coords = case.input("in.coord").numpy()
    attributes = {name: case.input(f"in.attr.{name}").numpy() for name in written_attributes(case)}
    entries = [entry for entry in case.about["entries"] if (case.folder / entry["file"]).exists()]
    case.agree("some entry has its file here", bool(entries), True)
    for entry in entries:
        key = Path(entry["file"]).stem
        compare_voxels(case, key, (case.folder / entry["file"]).read_bytes())
        written = encode_vxz(
            coords,
            attributes,
            chunk_size=entry["chunk_size"],
            filter=entry["filter"],
            compression=entry["compression"],
            level=entry["header"]["compression_level"],
            interleave=entry["attr_interleave"],
        )
        compare_voxels(case, key, written, ", written here")
