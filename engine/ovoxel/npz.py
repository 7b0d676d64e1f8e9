# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes voxels as ``.npz``: ``coord`` uint16 [N, 3] and one array an attribute. spec/ovoxel.md 4.2.

The archive is taken apart here and not by numpy, which allocates what an array's header asks for before looking whether
the file holds it.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import EspalierError
from ..protocol import write_file
from .voxels import MAX_BYTES, MAX_CHANNELS, MAX_VOXELS, Voxels, damaged, read_source

COORDS = "coord"

_MAX_MEMBERS = 256
_MAX_ITEM_BYTES = 8
_MAX_INT32 = 2**31 - 1
_SUFFIX = ".npy"
_NPY = re.compile(rb"\x93NUMPY[\x01-\x03]\x00")
_ARRAY_HEADER = re.compile(
    r"\{'descr': '(?P<type>[<>|=]?(?:b1|[iu][1248]|f[248]))', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]{0,60})\),? ?\}\s*"
)


def read_npz(source: Path | str | bytes) -> Voxels:
    """Read voxels from an ``.npz`` file, from its path or from its bytes, in the file's order.

    Coordinates come as int32 [N, 3]; attributes as they are stored, numbers or booleans [N, ...] with at most 64
    channels. Raises EspalierError("bad_input") with a sentence for a file that is missing, damaged or something else.
    """
    data, name = read_source(source)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = _read_arrays(archive, name)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,  # encrypted; NotImplementedError for compressions that Python lacks is one too
        OverflowError,
    ) as error:
        raise EspalierError(
            "bad_input", f"“{name}” is not a complete .npz file. Choose another file, or copy it again."
        ) from error
    coords = arrays.pop(COORDS, None)
    if coords is None:
        raise EspalierError("bad_input", f"“{name}” holds no voxels: it has no array “{COORDS}”. Choose another file.")
    if coords.dtype.kind not in "iu" or (coords.size and max(int(coords.max()), -int(coords.min())) > _MAX_INT32):
        raise damaged(name, "its coordinates are no whole numbers of a usable size")
    try:
        return Voxels(coords.astype(np.int32), arrays)
    except EspalierError as error:
        raise damaged(name, error.sentence[0].lower() + error.sentence[1:-1]) from error


def write_npz(path: Path | str, coords: np.ndarray, attributes: Mapping[str, np.ndarray]) -> None:
    """Write voxels (``coords`` int [N, 3], 0 to 65535; ``attributes`` [N, ...] by name) as a compressed ``.npz`` file,
    complete or not at all.

    Raises EspalierError("bad_input") for what ``read_npz`` would refuse, OSError.
    """
    voxels = Voxels(np.asarray(coords), {name: np.asarray(values) for name, values in attributes.items()})
    for name, values in voxels.attributes.items():
        problem = _attribute_problem(name, values.shape, values.dtype)
        if problem:
            raise EspalierError("bad_input", f"The voxel attribute “{name}” cannot be written: {problem}.")

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            arrays = {COORDS: voxels.coords.astype(np.uint16), **voxels.attributes}
            for name, values in arrays.items():
                # A fixed date: the same voxels give the same bytes.
                entry = zipfile.ZipInfo(name + _SUFFIX)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)

    write_file(Path(path), write)


def _attribute_problem(name: str, shape: tuple[int, ...], dtype: np.dtype) -> str | None:
    """Why an attribute is refused, as the end of a sentence."""
    if not name or name == COORDS or "/" in name or "\\" in name or "\0" in name or len(name) > 200:
        return "it has no usable name"
    if dtype.kind not in "biuf" or dtype.itemsize > _MAX_ITEM_BYTES:
        return "it does not consist of numbers"
    if not shape or shape[0] > MAX_VOXELS or math.prod(shape[1:]) > MAX_CHANNELS:
        return f"it has more than {MAX_CHANNELS} channels, or too many entries"
    return None


def _read_arrays(archive: zipfile.ZipFile, name: str) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise damaged(name, f"it holds more than {_MAX_MEMBERS} arrays")
    if sum(member.file_size for member in members) > MAX_BYTES:
        raise damaged(name, f"it holds more than {MAX_BYTES >> 30} GiB")
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        title = member.filename.removesuffix(_SUFFIX)
        if title in arrays or title == member.filename:
            raise damaged(name, "it holds something that is no array, or one array twice")
        arrays[title] = _read_array(archive, member, title, name)
    return arrays


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, title: str, name: str) -> np.ndarray:
    """One array; its header, the archive's directory and the limits must agree before its data is unpacked."""
    with archive.open(member) as file:
        prefix = file.read(10)
        if len(prefix) < 10 or not _NPY.match(prefix):
            raise damaged(name, f"“{title}” is no array")
        length = struct.unpack("<H", prefix[8:10])[0]
        header = length
        if prefix[6] > 1:
            high = file.read(2)
            header = length | (struct.unpack("<H", high)[0] << 16 if len(high) == 2 else 0)
        if header > 10_000:
            raise damaged(name, f"the description of “{title}” cannot be read")
        found = _ARRAY_HEADER.fullmatch(file.read(header).decode("latin-1"))
        if found is None:
            raise damaged(name, f"“{title}” does not consist of numbers, or its description cannot be read")
        dtype = np.dtype(found["type"])
        shape = tuple(int(part) for part in found["shape"].split(",") if part.strip())
        problem = _attribute_problem(title if title != COORDS else "voxels", shape, dtype)
        if problem:
            raise damaged(name, f"“{title}” cannot be used: {problem}")
        size = math.prod(shape) * dtype.itemsize
        start = header + (10 if prefix[6] == 1 else 12)
        if member.file_size - start != size:
            raise damaged(name, f"“{title}” has not as much data as it says")
        data = file.read(size)
    if len(data) != size:
        raise damaged(name, f"“{title}” ends early")
    order = "F" if found["fortran"] == "True" else "C"
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order).astype(dtype.newbyteorder("="), order="C")
