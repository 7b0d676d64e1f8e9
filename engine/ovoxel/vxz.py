# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes ``.vxz``: sparse voxels with 8-bit attributes in compressed chunks. spec/ovoxel.md 4.1."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EspalierError
from ..protocol import write_bytes
from .compression import COMPRESSIONS, HIGHEST_LEVEL, BadStream, compress, decompress
from .filters import FILTERS, apply_filter, undo_filter
from .octree import MAX_DEPTH, Octree, child_count, from_morton, morton
from .voxels import MAX_BYTES, MAX_CHANNELS, MAX_COORDINATE, MAX_VOXELS, Voxels, damaged, read_source

INTERLEAVES = ("as_is", "none", "all")
CHUNK_SIZES = tuple(2**depth for depth in range(2, MAX_DEPTH + 1))

_MAGIC = b"VXZ\0"
_MAX_HEADER = 64 << 20
_MAX_NAME = 200
# Bytes of all trees together: 200 million voxels of a surface. Reading takes up to 80 bytes of memory for each.
_MAX_TREES = 1 << 26
# Fields of a chunk beside its attribute streams.
_RESERVED = {"idx", "svo", "ptr"}


@dataclass(frozen=True)
class _Layout:
    """What the header says of the whole file."""

    chunk_size: int
    filter: str
    compression: str
    level: int
    interleave: str
    attributes: list[tuple[str, int]]

    @property
    def depth(self) -> int:
        return self.chunk_size.bit_length() - 1

    def streams(self) -> dict[str, slice]:
        """The attribute streams of a chunk and the channels that each holds."""
        total = sum(channels for _, channels in self.attributes)
        if self.interleave == "all":
            return {"attr": slice(0, total)} if total else {}
        streams, begin = {}, 0
        for name, channels in self.attributes:
            if self.interleave == "as_is":
                streams[name] = slice(begin, begin + channels)
            else:
                streams.update({f"{name}_{i}": slice(begin + i, begin + i + 1) for i in range(channels)})
            begin += channels
        return streams

    def problem(self) -> str | None:
        """What is wrong with the names of the attributes, as the end of a sentence."""
        names = [name for name, _ in self.attributes]
        if self.interleave == "as_is":
            streams = names
        elif self.interleave == "none":
            streams = [f"{name}_{i}" for name, channels in self.attributes for i in range(channels)]
        else:
            streams = []
        if len(set(names)) < len(names) or len(set(streams)) < len(streams) or _RESERVED & set(streams):
            return "two of its attributes cannot be told apart"
        if any(not 0 < len(name) <= _MAX_NAME for name in names):
            return "an attribute has no usable name"
        if sum(channels for _, channels in self.attributes) > MAX_CHANNELS:
            return f"it has more than {MAX_CHANNELS} attribute channels"
        return None


@dataclass(frozen=True)
class _Chunk:
    """Where a chunk stands in the grid, and where each of its streams lies in the file: (begin, end)."""

    index: tuple[int, int, int]
    tree: tuple[int, int]
    streams: list[tuple[int, int]]


def read_vxz(source: Path | str | bytes) -> Voxels:
    """Read a ``.vxz`` file, from its path or from its bytes.

    The voxels come in the file's order: chunk after chunk, ascending Morton code in each; attributes are uint8 [N, C].
    Every size and offset is checked before it is used, and nothing larger than the file declares is unpacked.
    Raises EspalierError("bad_input") with a sentence for a file that is missing, damaged or something else.
    """
    data, name = read_source(source)
    layout, count, chunks = _read_header(data, name)
    try:
        tree = _read_trees(data, layout, count, chunks)
        if tree is None:
            raise BadStream("the tree of its voxels is damaged")
        if int(tree.counts.sum()) != count:
            raise BadStream("it has another number of voxels than it says")
        values = _read_values(data, layout, tree, chunks)
    except BadStream as error:
        raise damaged(name, str(error)) from error
    values = undo_filter(layout.filter, tree, values)
    origins = np.array([chunk.index for chunk in chunks], dtype=np.int32).reshape(-1, 3) * layout.chunk_size
    coords = np.repeat(origins, tree.counts, axis=0) + from_morton(tree.codes)
    attributes, begin = {}, 0
    for attribute, channels in layout.attributes:
        attributes[attribute] = np.ascontiguousarray(values[:, begin : begin + channels])
        begin += channels
    return Voxels(coords, attributes)


def write_vxz(
    path: Path | str,
    coords: np.ndarray,
    attributes: Mapping[str, np.ndarray],
    *,
    chunk_size: int = 256,
    filter: str = "none",
    compression: str = "lzma",
    level: int | None = None,
    interleave: str = "as_is",
) -> None:
    """Write a ``.vxz`` file, complete or not at all; arguments as ``encode_vxz``. Raises OSError too."""
    data = encode_vxz(
        coords,
        attributes,
        chunk_size=chunk_size,
        filter=filter,
        compression=compression,
        level=level,
        interleave=interleave,
    )
    write_bytes(Path(path), data)


def encode_vxz(
    coords: np.ndarray,
    attributes: Mapping[str, np.ndarray],
    *,
    chunk_size: int = 256,
    filter: str = "none",
    compression: str = "lzma",
    level: int | None = None,
    interleave: str = "as_is",
) -> bytes:
    """Return the bytes of a ``.vxz`` file.

    ``coords`` int [N, 3], 0 to 65535, unique, in any order; ``attributes`` uint8 [N] or [N, C] by name. The voxels are
    stored sorted by chunk and Morton code. ``chunk_size``: a power of two from 4 to 1024; ``level``: of the
    compression, the strongest unless given. Raises EspalierError("bad_input") for anything that the format cannot hold.
    """
    coords, matrix, layout = _check_input(
        coords, attributes, chunk_size, filter, compression, _level(compression, level), interleave
    )
    index, chunk = np.unique(_chunk_key(coords // chunk_size), return_inverse=True)
    chunk = chunk.reshape(-1)
    codes = morton(coords % chunk_size)
    order = np.argsort(chunk.astype(np.int64) << 3 * layout.depth | codes)
    chunk, codes = chunk[order], codes[order]
    if bool(((np.diff(chunk) == 0) & (np.diff(codes) == 0)).any()):
        raise EspalierError("bad_input", "Two of the voxels are at the same place, so they cannot be written.")
    tree = Octree.of_voxels(chunk, codes, layout.depth)
    values = apply_filter(layout.filter, tree, matrix[order])
    entries, packed = _pack(layout, tree, values, index)
    binary = b"".join(packed)
    raw_size = len(coords) * (12 + matrix.shape[1])
    header = {
        "num_voxel": len(coords),
        "chunk_size": chunk_size,
        "filter": filter,
        "compression": compression,
        "compression_level": layout.level,
        "raw_size": raw_size,
        "compressed_size": len(binary),
        "compress_ratio": raw_size / max(len(binary), 1),
        "attr_interleave": interleave,
        "attr": [list(attribute) for attribute in layout.attributes],
        "chunks": entries,
    }
    text = json.dumps(header).encode("utf-8")
    if len(text) > _MAX_HEADER - 8 or len(tree.stream()) > _MAX_TREES:
        raise EspalierError(
            "bad_input", "There are too many chunks or scattered voxels for one file. Choose a larger chunk size."
        )
    return _MAGIC + struct.pack(">I", 8 + len(text)) + text + binary


# ------------------------------------------------------------------------------------------------------------ writing


def _level(compression: str, level: int | None) -> int:
    return HIGHEST_LEVEL.get(compression, 0) if level is None else level


def _check_input(
    coords: np.ndarray,
    attributes: Mapping[str, np.ndarray],
    chunk_size: int,
    filter_name: str,
    compression: str,
    level: int,
    interleave: str,
) -> tuple[np.ndarray, np.ndarray, _Layout]:
    """Return coordinates int64 [N, 3], all channels uint8 [N, C] and the layout. Raises EspalierError("bad_input")."""
    checked = Voxels(np.asarray(coords), {name: np.asarray(values) for name, values in attributes.items()})
    columns, names = [], []
    for name, values in checked.attributes.items():
        if values.dtype != np.uint8 or values.ndim > 2:
            raise EspalierError(
                "bad_input",
                f"The voxel attribute “{name}” does not consist of bytes, and a .vxz file holds nothing else.",
            )
        columns.append(values if values.ndim == 2 else values[:, None])
        names.append((name, columns[-1].shape[1]))
    layout = _Layout(chunk_size, filter_name, compression, level, interleave, names)
    allowed = (
        chunk_size in CHUNK_SIZES
        and filter_name in FILTERS
        and compression in COMPRESSIONS
        and interleave in INTERLEAVES
        and 0 <= level <= HIGHEST_LEVEL[compression]
    )
    problem = layout.problem() if allowed else "there is no such filter, compression, level or chunk size"
    if problem or any(channels == 0 for _, channels in names):
        raise EspalierError("bad_input", f"The voxels cannot be written like this: {problem or 'no channels'}.")
    matrix = np.concatenate([np.zeros((len(checked.coords), 0), dtype=np.uint8), *columns], axis=1)
    return checked.coords.astype(np.int64), matrix, layout


def _chunk_key(index: np.ndarray) -> np.ndarray:
    """One number int64 [N] for each chunk index [N, 3], in lexicographic order."""
    return (index[:, 0] << 32) | (index[:, 1] << 16) | index[:, 2]


def _pack(
    layout: _Layout, tree: Octree, values: np.ndarray, index: np.ndarray
) -> tuple[list[dict[str, Any]], Iterable[bytes]]:
    """Compress every chunk. Returns their entries in the header and all streams in order."""
    stream, columns = tree.stream(), layout.streams()
    tree_ends, voxel_ends = np.cumsum(tree.lengths), np.cumsum(tree.counts)

    def pieces(chunk: int) -> list[bytes]:
        begin, end = voxel_ends[chunk] - tree.counts[chunk], voxel_ends[chunk]
        plain = [stream[tree_ends[chunk] - tree.lengths[chunk] : tree_ends[chunk]].tobytes()]
        plain += [values[begin:end, column].tobytes() for column in columns.values()]
        return [compress(layout.compression, part, layout.level) for part in plain]

    with ThreadPoolExecutor() as pool:
        packed = list(pool.map(pieces, range(len(index))))
    entries, begin = [], 0
    for key, parts in zip(index.tolist(), packed):
        entry: dict[str, Any] = {"idx": [key >> 32, key >> 16 & 0xFFFF, key & 0xFFFF]}
        offset = 0
        for name, part in zip(["svo", *columns], parts):
            entry[name] = [offset, len(part)]
            offset += len(part)
        entry["ptr"] = [begin, offset]
        begin += offset
        entries.append(entry)
    return entries, [part for parts in packed for part in parts]


# ------------------------------------------------------------------------------------------------------------ reading


def _read_header(data: bytes, name: str) -> tuple[_Layout, int, list[_Chunk]]:
    """Check the header and return the layout, the number of voxels and the chunks with every range inside the file."""
    if len(data) < 8 or data[:3] != _MAGIC[:3]:
        raise EspalierError("bad_input", f"“{name}” is not a voxel file (.vxz). Choose another file.")
    if data[3] != _MAGIC[3]:
        raise EspalierError(
            "bad_input", f"“{name}” is a voxel file of version {data[3]}, which this version of Espalier cannot read."
        )
    (binary,) = struct.unpack(">I", data[4:8])
    if not 8 <= binary <= min(len(data), _MAX_HEADER):
        raise damaged(name, "it ends early")
    try:
        header = json.loads(data[8:binary].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(name, "its header cannot be read") from error
    if not isinstance(header, dict):
        raise damaged(name, "its header cannot be read")
    layout, count = _read_layout(header, name)
    entries = header.get("chunks")
    if not isinstance(entries, list) or len(entries) > count:
        raise damaged(name, "it has more chunks than voxels")
    chunks = [_read_chunk(entry, layout, binary, len(data), name) for entry in entries]
    if len({chunk.index for chunk in chunks}) < len(chunks):
        raise damaged(name, "two of its chunks are at the same place")
    return layout, count, chunks


def _read_layout(header: Mapping[str, Any], name: str) -> tuple[_Layout, int]:
    count = header.get("num_voxel")
    if not _is_whole(count) or not 0 <= count <= MAX_VOXELS:
        raise damaged(name, f"its number of voxels is not one from 0 to {MAX_VOXELS}")
    size, level = header.get("chunk_size", 256), header.get("compression_level", 0)
    compression, interleave = header.get("compression", "lzma"), header.get("attr_interleave", "as_is")
    if not _is_whole(size) or size not in CHUNK_SIZES:
        raise damaged(name, "its chunks have an impossible size")
    known = header.get("filter", "none") in FILTERS and compression in COMPRESSIONS and interleave in INTERLEAVES
    if not known or not _is_whole(level) or not 0 <= level <= HIGHEST_LEVEL[compression]:
        raise damaged(name, "it uses a filter or compression that the format does not have")
    declared = header.get("attr")
    if not isinstance(declared, list) or not all(
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and _is_whole(entry[1])
        and 1 <= entry[1] <= MAX_CHANNELS
        for entry in declared
    ):
        raise damaged(name, "its list of attributes cannot be read")
    attributes = [(entry[0], entry[1]) for entry in declared]
    layout = _Layout(size, header.get("filter", "none"), compression, level, interleave, attributes)
    problem = layout.problem()
    if problem:
        raise damaged(name, problem)
    raw_size = count * (12 + sum(channels for _, channels in attributes))
    if header.get("raw_size", raw_size) != raw_size:
        raise damaged(name, "the sizes in its header contradict each other")
    if raw_size > MAX_BYTES:
        raise damaged(name, f"it holds more than {MAX_BYTES >> 30} GiB")
    return layout, count


def _read_chunk(entry: object, layout: _Layout, binary: int, end: int, name: str) -> _Chunk:
    if not isinstance(entry, dict):
        raise damaged(name, "its list of chunks cannot be read")
    index = entry.get("idx")
    highest = (MAX_COORDINATE + 1) // layout.chunk_size
    if not isinstance(index, list) or len(index) != 3 or not all(_is_whole(i) and 0 <= i < highest for i in index):
        raise damaged(name, f"a chunk lies outside the grid of {MAX_COORDINATE + 1} voxels a side")

    def within(field: str, begin: int, end: int) -> tuple[int, int]:
        value = entry.get(field)
        if not isinstance(value, list) or len(value) != 2 or not all(_is_whole(part) and part >= 0 for part in value):
            raise damaged(name, f"a chunk has no usable entry “{field}”")
        if begin + value[0] + value[1] > end:
            raise damaged(name, "it ends early, or its parts overlap")
        return begin + value[0], begin + value[0] + value[1]

    first, last = within("ptr", binary, end)
    streams = [within(stream, first, last) for stream in layout.streams()]
    return _Chunk((index[0], index[1], index[2]), within("svo", first, last), streams)


def _is_whole(value: object) -> bool:
    return type(value) is int


def _read_trees(data: bytes, layout: _Layout, count: int, chunks: list[_Chunk]) -> Octree | None:
    """Unpack and join the trees; None when they are damaged. A tree of n bytes has at least n / depth voxels."""
    parts, left = [], min(count * layout.depth, _MAX_TREES)
    for chunk in chunks:
        largest = min(left, (8**layout.depth - 1) // 7)
        parts.append(decompress(layout.compression, data[slice(*chunk.tree)], layout.level, largest))
        left -= len(parts[-1])
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    stream = np.frombuffer(b"".join(parts), dtype=np.uint8)
    # Every voxel and every byte but the roots has one bit in a byte above it.
    if child_count(stream) != len(stream) - len(chunks) + count:
        return None
    return Octree.of_stream(stream, lengths, layout.depth)


def _read_values(data: bytes, layout: _Layout, tree: Octree, chunks: list[_Chunk]) -> np.ndarray:
    """Unpack all attribute streams into one array uint8 [N, C], still filtered."""
    columns = list(layout.streams().values())
    values = np.empty((int(tree.counts.sum()), sum(channels for _, channels in layout.attributes)), dtype=np.uint8)
    ends = np.cumsum(tree.counts)

    def unpack(number: int) -> None:
        rows = slice(int(ends[number] - tree.counts[number]), int(ends[number]))
        for column, place in zip(columns, chunks[number].streams):
            target = values[rows, column]
            plain = decompress(layout.compression, data[slice(*place)], layout.level, target.size)
            if len(plain) != target.size:
                raise BadStream("it has too little attribute data")
            target[:] = np.frombuffer(plain, dtype=np.uint8).reshape(target.shape)

    with ThreadPoolExecutor() as pool:
        list(pool.map(unpack, range(len(chunks))))
    return values
