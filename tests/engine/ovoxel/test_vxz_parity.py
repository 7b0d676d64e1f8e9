# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel files of the reference are read as it reads them, and written as it writes them."""

import numpy as np
import pytest
from espalier.engine.ovoxel.vxz import encode_vxz, read_vxz


def files_at_hand(case):
    """The selection in tests/data holds some of the files only."""
    entries = [entry for entry in case.case["entries"] if (case.folder / entry["file"]).exists()]
    assert entries
    return entries


def by_place(coords, attributes):
    order = np.lexsort(coords.T[::-1])
    return coords[order], {name: values[order] for name, values in attributes.items()}


def written(case):
    prefix = "in.attr."
    attributes = {key[len(prefix) :]: value.numpy() for key, value in case.io.items() if key.startswith(prefix)}
    return case.io["in.coord"].numpy(), attributes


def test_vxz_holds_the_voxels_that_the_reference_wrote_in_the_order_it_reads_them(golden):
    case = golden("11_vxz")
    coords, attributes = written(case)
    for entry in files_at_hand(case):
        path = case.folder / entry["file"]
        voxels = read_vxz(path)
        assert list(voxels.attributes) == [name for name, _ in entry["header"]["attr"]]
        read_coords, read_attributes = by_place(voxels.coords, voxels.attributes)
        assert np.array_equal(read_coords, coords), path.name
        recorded = {"coord": voxels.coords, **{f"attr.{name}": v for name, v in voxels.attributes.items()}}
        for name in voxels.attributes:
            assert np.array_equal(read_attributes[name], attributes[name]), f"{path.name}: {name}"
        for name, values in recorded.items():
            expected = case.io.get(f"{path.stem}.{name}")
            assert expected is None or np.array_equal(values, expected.numpy()), f"{path.name}: {name}"


def test_the_same_voxels_are_written_as_the_same_file(golden):
    case = golden("11_vxz")
    coords, attributes = written(case)
    for entry in files_at_hand(case):
        header = entry["header"]
        data = encode_vxz(
            coords,
            {name: attributes[name] for name, _ in header["attr"]},
            chunk_size=entry["chunk_size"],
            filter=entry["filter"],
            compression=entry["compression"],
            level=header["compression_level"],
            interleave=entry["attr_interleave"],
        )
        # Another build of a compression library may pack otherwise; what must agree is what it unpacks to.
        assert len(data) == pytest.approx(entry["bytes"], rel=0.02)
        again, original = read_vxz(data), read_vxz(case.folder / entry["file"])
        assert np.array_equal(again.coords, original.coords)
        assert all(np.array_equal(again.attributes[name], original.attributes[name]) for name in again.attributes)
        if entry["compression"] == "none":
            assert data == (case.folder / entry["file"]).read_bytes()
