# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel files, .vxz and .npz, damaged anywhere or announcing anything, are read or refused with a sentence."""

import io
import json
import struct

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.ovoxel.npz import read_npz, write_npz
from espalier.engine.ovoxel.ovoxel_file import decode_ovoxels
from espalier.engine.ovoxel.vxz import encode_vxz, read_vxz
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import altered, damaged, fuzzed, written
from hypothesis import strategies as st


def voxels(count=60, side=20):
    random = np.random.default_rng(5)
    coords = np.unique(random.integers(0, side, (count, 3)), axis=0).astype(np.int32)
    channels = {"dual_vertices": 3, "intersected": 1, "base_color": 3, "metallic": 1, "roughness": 1, "alpha": 1}
    top = {"intersected": 8}
    return coords, {
        name: random.integers(0, top.get(name, 256), (len(coords), width)).astype(np.uint8)
        for name, width in channels.items()
    }


KINDS = [("none", "none"), ("parent", "zstd"), ("neighbor", "deflate"), ("parent", "lzma")]
VXZ = [encode_vxz(*voxels(), chunk_size=16, filter=f, compression=c, level=None) for f, c in KINDS]
PLAIN = VXZ[0]
BINARY = struct.unpack(">I", PLAIN[4:8])[0]
HEADER = json.loads(PLAIN[8:BINARY])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("voxels")


def read(folder, reader, data):
    path = folder / "file"
    path.write_bytes(data)
    with watched(folder, EspalierError):
        found = reader(path)
        assert len(found.coords) <= 1 << 20
        decode_ovoxels(found, "file")


@fuzzed(500, data=damaged(*VXZ, structured=900))
def test_damaged_vxz_files_are_read_or_refused(folder, data):
    read(folder, read_vxz, data)


@fuzzed(400, header=altered(HEADER), start=st.sampled_from([None, 0, 8, 1 << 31, (1 << 32) - 1]))
def test_vxz_files_with_any_header_are_read_or_refused(folder, header, start):
    """The header decides every size and offset of the rest."""
    text = written(header)
    begin = 8 + len(text) if start is None else start
    read(folder, read_vxz, PLAIN[:4] + struct.pack(">I", begin) + text + PLAIN[BINARY:])


@fuzzed(150, data=damaged(PLAIN[BINARY:], structured=64))
def test_vxz_files_with_damaged_trees_are_read_or_refused(folder, data):
    read(folder, read_vxz, PLAIN[:BINARY] + data)


@pytest.fixture(scope="module")
def archives(folder):
    coords, attributes = voxels()
    write_npz(folder / "ours.npz", coords, attributes)
    stream = io.BytesIO()
    np.savez(stream, coord=coords.astype(np.uint16), **attributes)
    return [(folder / "ours.npz").read_bytes(), stream.getvalue()]


def test_damaged_npz_files_are_read_or_refused(folder, archives):
    @fuzzed(400, data=damaged(*archives, structured=2000))
    def damage(data):
        read(folder, read_npz, data)

    damage()


@fuzzed(
    150,
    descr=st.sampled_from(["<u2", "|O", "<f4", "<i8", "<U9", "|V0", "<c16", "<f16", "<M8[ns]"]),
    shape=st.lists(st.sampled_from([0, 1, 3, 1 << 20, 1 << 31, 1 << 62, 10**30]), max_size=5),
    size=st.sampled_from([0, 6, 18, 4096]),
)
def test_npz_files_that_announce_any_array_take_little_memory(folder, archives, descr, shape, size):
    import zipfile

    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(size)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coord.npy", array)
    read(folder, read_npz, stream.getvalue())
