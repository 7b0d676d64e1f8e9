# SPDX-License-Identifier: GPL-3.0-or-later
"""Voxel files give back what was written, in every form, and refuse what is damaged with a sentence."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.ovoxel.compression import COMPRESSIONS, compress
from espalier.engine.ovoxel.filters import FILTERS
from espalier.engine.ovoxel.npz import read_npz, write_npz
from espalier.engine.ovoxel.octree import from_morton, morton
from espalier.engine.ovoxel.vxz import CHUNK_SIZES, INTERLEAVES, encode_vxz, read_vxz, write_vxz
from hypothesis import given, settings
from hypothesis import strategies as st

DTYPES = ("u1", "i1", "u2", "i4", "i8", "f2", "f4", "f8", "b1")


@st.composite
def voxels(draw, largest=400):
    """Unique voxels somewhere in the grid, dense or scattered, and a generator for their attributes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    side = draw(st.sampled_from([1, 2, 7, 33, 300]))
    corner = draw(st.sampled_from([0, 1, 250, 1020, 65535 - 300]))
    count = draw(st.integers(0, largest))
    coords = np.unique(rng.integers(0, side, (count, 3)), axis=0).reshape(-1, 3) + corner
    return rng.permutation(coords).astype(np.int32), rng


def sorted_rows(coords, attributes):
    order = np.lexsort(coords.T[::-1])
    return [coords[order], *(values[order] for values in attributes.values())]


@settings(max_examples=150, deadline=None)
@given(
    voxels(),
    st.sampled_from(FILTERS),
    st.sampled_from(COMPRESSIONS),
    st.sampled_from(INTERLEAVES),
    st.sampled_from(CHUNK_SIZES),
    st.integers(0, 5),
)
def test_vxz_gives_back_what_was_written(given_voxels, chosen_filter, compression, interleave, chunk_size, channels):
    coords, rng = given_voxels
    attributes = {f"a{i}": rng.integers(0, 256, (len(coords), i + 1)).astype(np.uint8) for i in range(channels)}
    data = encode_vxz(
        coords,
        attributes,
        filter=chosen_filter,
        compression=compression,
        interleave=interleave,
        chunk_size=chunk_size,
        level={"none": 0, "zstd": 3}.get(compression, 1),
    )
    read = read_vxz(data)
    assert list(read.attributes) == list(attributes)
    for expected, actual in zip(sorted_rows(coords, attributes), sorted_rows(read.coords, read.attributes)):
        assert np.array_equal(expected, actual)
    # Chunks in lexicographic order, Morton codes ascending in each: the order of the format.
    chunk, local = read.coords // chunk_size, read.coords % chunk_size
    keys = [(*c, code) for c, code in zip(chunk.tolist(), morton(local).tolist())]
    assert keys == sorted(keys)


@settings(max_examples=60, deadline=None)
@given(voxels(), st.lists(st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (1,), (3,), (2, 3)])), max_size=4))
def test_npz_gives_back_what_was_written(tmp_path_factory, given_voxels, kinds):
    coords, rng = given_voxels
    attributes = {
        f"a{i}": (rng.random((len(coords), *shape)) * 100).astype(dtype) for i, (dtype, shape) in enumerate(kinds)
    }
    path = tmp_path_factory.mktemp("npz") / "voxels.npz"
    write_npz(path, coords, attributes)
    read = read_npz(path)
    assert np.array_equal(read.coords, coords) and read.coords.dtype == np.int32
    assert list(read.attributes) == list(attributes)
    for name, values in attributes.items():
        assert np.array_equal(read.attributes[name], values) and read.attributes[name].dtype == values.dtype
    assert np.load(path)["coord"].dtype == np.uint16, "other programs read it with numpy"


def test_npz_that_numpy_wrote_is_read():
    stream = io.BytesIO()
    coords = np.array([[1, 2, 3], [4, 5, 6]], dtype=">u2")
    np.savez(stream, coord=coords, colour=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    read = read_npz(stream.getvalue())
    assert read.coords.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read.attributes["colour"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_same_npz_is_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, np.array([[1, 2, 3]]), {"x": np.array([1.5])})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_morton_codes_count_x_y_z_from_the_top():
    assert morton(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 0], [1023, 1023, 1023]])).tolist() == [
        4,
        2,
        1,
        32,
        2**30 - 1,
    ]
    coords = np.random.default_rng(0).integers(0, 1024, (500, 3))
    assert np.array_equal(from_morton(morton(coords)), coords)


CUBE = np.argwhere(np.ones((6, 6, 6), dtype=bool))
COLOURS = {"c": (CUBE * 40).astype(np.uint8), "flag": np.ones((len(CUBE), 1), dtype=np.uint8)}


def refused(read, source):
    with pytest.raises(EspalierError) as error:
        read(source)
    assert error.value.code == "bad_input"
    assert error.value.sentence.endswith(".") and len(error.value.sentence) < 250
    return error.value.sentence


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_file_cut_anywhere_is_refused(compression):
    data = encode_vxz(CUBE, COLOURS, chunk_size=4, compression=compression)
    assert len(read_vxz(data).coords) == len(CUBE)
    for length in (*range(40), *range(40, len(data), 37), len(data) - 1):
        refused(read_vxz, data[:length])


def test_files_that_are_something_else_are_told_so(tmp_path):
    assert "not a voxel file" in refused(read_vxz, b"glTF" + bytes(100))
    assert "version 7" in refused(read_vxz, b"VXZ\7" + bytes(100))
    assert "cannot be read" in refused(read_vxz, tmp_path / "missing.vxz")
    assert "cannot be read" in refused(read_vxz, tmp_path)
    (tmp_path / "empty.vxz").touch()
    assert "empty.vxz" in refused(read_vxz, tmp_path / "empty.vxz")
    assert "empty.vxz" in refused(read_npz, tmp_path / "empty.vxz")


def changed(change, **options):
    """A good file whose header ``change`` has edited."""
    data = encode_vxz(CUBE, COLOURS, **options)
    (start,) = struct.unpack(">I", data[4:8])
    header = json.loads(data[8:start])
    change(header)
    text = json.dumps(header).encode()
    return data[:4] + struct.pack(">I", 8 + len(text)) + text + data[start:]


def first_chunk(**fields):
    return lambda header: header["chunks"][0].update(fields)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda h: h.update(num_voxel=2**31), id="too many voxels"),
        pytest.param(lambda h: h.update(num_voxel=-1), id="negative count"),
        pytest.param(lambda h: h.update(num_voxel=216.0), id="count is no whole number"),
        pytest.param(lambda h: h.update(num_voxel=215, raw_size=215 * 16), id="fewer voxels than the tree"),
        pytest.param(lambda h: h.update(num_voxel=217, raw_size=217 * 16), id="more voxels than the tree"),
        pytest.param(lambda h: h.update(raw_size=1), id="sizes contradict"),
        pytest.param(lambda h: h.update(chunk_size=5), id="chunk size"),
        pytest.param(lambda h: h.update(chunk_size=2048), id="chunk size too large"),
        pytest.param(lambda h: h.update(chunk_size=512), id="another depth"),
        pytest.param(lambda h: h.update(filter="median"), id="filter"),
        pytest.param(lambda h: h.update(filter=[]), id="filter is a list"),
        pytest.param(lambda h: h.update(compression="brotli"), id="compression"),
        pytest.param(lambda h: h.update(compression="zstd"), id="another compression"),
        pytest.param(lambda h: h.update(compression_level=99), id="level"),
        pytest.param(lambda h: h.update(attr=[["c", 3]] * 2), id="attribute twice"),
        pytest.param(lambda h: h.update(attr=[["svo", 3], ["flag", 1]]), id="reserved name"),
        pytest.param(lambda h: h.update(attr=[["c", 0], ["flag", 4]]), id="no channels"),
        pytest.param(lambda h: h.update(attr=[["c", 10**9], ["flag", 1]]), id="too many channels"),
        pytest.param(lambda h: h.update(attr=[["c", 4]]), id="other channels"),
        pytest.param(lambda h: h.update(attr={"c": 3}), id="attributes are no list"),
        pytest.param(lambda h: h.update(chunks=None), id="no chunks"),
        pytest.param(lambda h: h.update(chunks=h["chunks"] * 2, num_voxel=432, raw_size=432 * 16), id="chunk twice"),
        pytest.param(lambda h: h.update(chunks=h["chunks"] * 500), id="more chunks than voxels"),
        pytest.param(lambda h: h.update(chunks=[7]), id="chunk is a number"),
        pytest.param(first_chunk(idx=[-1, 0, 0]), id="negative chunk"),
        pytest.param(first_chunk(idx=[0, 0, 10**12]), id="chunk far away"),
        pytest.param(first_chunk(idx=[0, 0]), id="flat chunk"),
        pytest.param(first_chunk(ptr=[0, 10**9]), id="chunk beyond the end"),
        pytest.param(first_chunk(ptr=[-5, 10]), id="chunk before the beginning"),
        pytest.param(first_chunk(svo=[0, 10**9]), id="tree beyond its chunk"),
        pytest.param(first_chunk(c=[10**18, 1]), id="attribute beyond its chunk"),
        pytest.param(first_chunk(c="here"), id="attribute somewhere"),
        pytest.param(lambda h: h["chunks"][0].pop("flag"), id="attribute missing"),
        pytest.param(lambda h: h["chunks"].pop(), id="no chunk left"),
    ],
)
def test_every_field_of_the_header_is_checked(change):
    refused(read_vxz, changed(change))


@pytest.mark.parametrize("header", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"num_voxel": ' + b"9" * 9999 + b"}"])
def test_a_header_that_is_none_is_refused(header):
    refused(read_vxz, b"VXZ\0" + struct.pack(">I", 8 + len(header)) + header)


@pytest.mark.parametrize("compression", ["deflate", "lzma", "zstd"])
def test_bombs_do_not_unfold(compression):
    bomb = compress(compression, bytes(256 << 20), 1)
    data = encode_vxz(CUBE, COLOURS, compression=compression)
    (start,) = struct.unpack(">I", data[4:8])
    for field in ("svo", "c"):
        header = json.loads(data[8:start])
        header["chunks"][0].update({field: [0, len(bomb)], "ptr": [len(data) - start, len(bomb)]})
        text = json.dumps(header).encode()
        evil = data[:4] + struct.pack(">I", 8 + len(text)) + text + data[start:] + bomb
        tracemalloc.start()
        try:
            refused(read_vxz, evil)
            # LZMA's dictionary takes 64 MiB whatever it unpacks.
            assert tracemalloc.get_traced_memory()[1] < len(evil) + (80 << 20)
        finally:
            tracemalloc.stop()


def tree_file(stream, count):
    header = {
        "num_voxel": count,
        "chunk_size": 4,
        "filter": "none",
        "compression": "none",
        "attr": [],
        "chunks": [{"idx": [0, 0, 0], "svo": [0, len(stream)], "ptr": [0, len(stream)]}],
    }
    text = json.dumps(header).encode()
    return b"VXZ\0" + struct.pack(">I", 8 + len(text)) + text + bytes(stream)


def test_damaged_trees_are_refused():
    assert read_vxz(tree_file([0b11, 1, 0b10], 2)).coords.tolist() == [[0, 0, 0], [0, 0, 3]]
    for stream, count in (([], 0), ([], 1), ([1], 1), ([3, 1], 1), ([1, 0], 0), ([3, 0, 3], 2), ([1, 1, 1], 1)):
        refused(read_vxz, tree_file(stream, count))


def npz_of(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def npy(description, data=b""):
    text = description.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(npz_of(), id="nothing"),
        pytest.param(npz_of(coord=b"text"), id="no array"),
        pytest.param(npz_of(coord=npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }")), id="no data"),
        pytest.param(
            npz_of(coord=npy("{'descr': '<u2', 'fortran_order': False, 'shape': (9999999999, 3), }")), id="huge"
        ),
        pytest.param(npz_of(coord=npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"x")), id="object"),
        pytest.param(npz_of(coord=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }")), id="fractions"),
        pytest.param(npz_of(coord=npy("__import__('os').getcwd()")), id="code"),
        pytest.param(
            npz_of(coord=npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3), }", b"\xff" * 24)),
            id="negative",
        ),
        pytest.param(
            npz_of(
                coord=npy(
                    "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3), }", struct.pack("<q", 1 - 2**32) * 3
                )
            ),
            id="negative beyond 32 bits",
        ),
        pytest.param(
            npz_of(
                coord=npy("{'descr': '<u2', 'fortran_order': False, 'shape': (0, 3), }"),
                a=npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", b"1"),
            ),
            id="other count",
        ),
    ],
)
def test_damaged_npz_files_are_refused(content):
    refused(read_npz, content)


def test_npz_cut_or_scratched_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz", CUBE, COLOURS)
    data = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(data), 41):
        refused(read_npz, data[:length])


@pytest.mark.parametrize(
    ("coords", "attributes", "options"),
    [
        pytest.param([[0, 0, 0], [0, 0, 0]], {}, {}, id="one place twice"),
        pytest.param([[-1, 0, 0]], {}, {}, id="negative"),
        pytest.param([[0, 0, 70000]], {}, {}, id="far away"),
        pytest.param([[0.5, 0, 0]], {}, {}, id="fraction"),
        pytest.param([[0, 0]], {}, {}, id="flat"),
        pytest.param([[0, 0, 0]], {"a": np.zeros((1, 1))}, {}, id="no bytes"),
        pytest.param([[0, 0, 0]], {"a": np.zeros((2, 1), np.uint8)}, {}, id="other count"),
        pytest.param([[0, 0, 0]], {"ptr": np.zeros((1, 1), np.uint8)}, {}, id="reserved"),
        pytest.param([[0, 0, 0]], {"a": np.zeros((1, 0), np.uint8)}, {}, id="no channels"),
        pytest.param([[0, 0, 0]], {"a": np.zeros((1, 65), np.uint8)}, {}, id="too many channels"),
        pytest.param([[0, 0, 0]], {}, {"chunk_size": 100}, id="chunk size"),
        pytest.param([[0, 0, 0]], {}, {"filter": "sharpen"}, id="filter"),
        pytest.param([[0, 0, 0]], {}, {"compression": "rar"}, id="compression"),
        pytest.param([[0, 0, 0]], {}, {"level": 10}, id="level"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(tmp_path, coords, attributes, options):
    with pytest.raises(EspalierError) as error:
        write_vxz(tmp_path / "a.vxz", np.array(coords), attributes, **options)
    assert error.value.sentence.endswith(".") and not list(tmp_path.iterdir())


def test_files_are_whole_or_absent(tmp_path):
    write_vxz(tmp_path / "a.vxz", CUBE, COLOURS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.vxz"]
    assert np.array_equal(read_vxz(tmp_path / "a.vxz").coords, read_vxz((tmp_path / "a.vxz").read_bytes()).coords)
