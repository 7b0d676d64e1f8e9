# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ONNX file says about itself, read without running it: operator set, inputs, outputs, files it refers to.

An ONNX file is a protocol buffer (onnx.proto, ModelProto). Only the fields below are read; weights are stepped over, so
a file of any size costs little memory. Every length of a foreign file is checked against the part it lies in.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import unusable_file

MAX_FIELDS = 5_000_000
"""A file with more fields than this is no network: the largest ones have some hundred thousand."""

FLOAT32 = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1

# Which messages lie in which field of a message, as far as tensors can be reached through them.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 11: "input", 12: "output", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True)
class Port:
    """An input or output: its name, ONNX element type (1 is float32) and shape (None where it may vary)."""

    name: str
    element: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class OnnxInterface:
    """opset: version of the standard operators. inputs, outputs: the network's own. external: files it refers to."""

    opset: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    external: tuple[str, ...]


class _DamagedError(Exception):
    """The bytes are no protocol buffer of the expected form."""


_Span = tuple[int, int]


def read_interface(path: Path) -> OnnxInterface:
    """Read what ``path`` says about itself. Raises EspalierError("bad_weights") for what is no whole ONNX file, and for
    one whose weights lie in files outside its folder."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise unusable_file(path, "is empty (0 bytes).")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                interface = _Reader(data).model()
    except FileNotFoundError:
        raise unusable_file(path, "is missing.") from None
    except OSError as error:
        raise unusable_file(path, f"cannot be read ({error.strerror}).") from None
    except _DamagedError as error:
        raise unusable_file(path, "is not an ONNX network, or only a part of one.", str(error)) from None
    folder = path.resolve().parent
    for location in interface.external:
        if "\0" in location or not (folder / location).resolve().is_relative_to(folder):
            raise unusable_file(path, "refers to a file outside its folder and was refused.", f"It names {location!r}.")
    return interface


class _Reader:
    """Walks the fields of the messages in ``data``."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._left = MAX_FIELDS

    def model(self) -> OnnxInterface:
        opsets: dict[str, int] = {}
        inputs: list[Port] = []
        outputs: list[Port] = []
        constants: set[str] = set()
        external: list[str] = []
        graphs = 0
        parts: list[tuple[str, _Span, bool]] = [("model", (0, len(self._data)), True)]
        while parts:
            kind, span, outermost = parts.pop()
            if kind == "opset":
                domain, version = self._text(span, 1), self._number(span, 2)
                opsets["" if domain == "ai.onnx" else domain] = version
            elif kind in ("input", "output"):
                if outermost:
                    (inputs if kind == "input" else outputs).append(self._port(span))
            elif kind == "tensor":
                if outermost:
                    constants.add(self._text(span, 8))
                external += self._locations(span)
            else:
                graphs += kind == "graph"
                below = outermost and kind in ("model", "graph")
                found = [
                    (_PARTS[kind][number], value, below)
                    for number, value in self._fields(span)
                    if number in _PARTS[kind] and isinstance(value, tuple)
                ]
                parts += reversed(found)
        if not graphs or "" not in opsets:
            raise _DamagedError("no graph or no operator set")
        # Old files list the weights among the inputs as well.
        ports = tuple(port for port in inputs if port.name not in constants)
        return OnnxInterface(opsets[""], ports, tuple(outputs), tuple(external))

    def _port(self, span: _Span) -> Port:
        """ValueInfoProto: name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1}}}}."""
        tensor = self._inside(self._inside(span, 2), 1)
        shape = None
        for number, value in self._fields(tensor):
            if number == 2 and isinstance(value, tuple):
                dims = [dim for field, dim in self._fields(value) if field == 1 and isinstance(dim, tuple)]
                shape = tuple(self._number(dim, 1) or None for dim in dims)
        return Port(self._text(span, 1), self._number(tensor, 1), shape)

    def _locations(self, span: _Span) -> list[str]:
        """The files a TensorProto refers to: external_data 13 {key 1, value 2} where data_location 14 says so."""
        entries = [value for number, value in self._fields(span) if number == 13 and isinstance(value, tuple)]
        if not entries and self._number(span, 14) != _EXTERNAL:
            return []
        return [self._text(entry, 2) for entry in entries if self._text(entry, 1) == "location"]

    def _inside(self, span: _Span, number: int) -> _Span:
        found = [value for field, value in self._fields(span) if field == number and isinstance(value, tuple)]
        return found[-1] if found else (span[1], span[1])

    def _text(self, span: _Span, number: int) -> str:
        begin, end = self._inside(span, number)
        if end - begin > 4096:
            raise _DamagedError(f"a name of {end - begin} bytes")
        try:
            return self._data[begin:end].decode("utf-8")
        except UnicodeDecodeError:
            raise _DamagedError("a name that is no text") from None

    def _number(self, span: _Span, number: int) -> int:
        found = [value for field, value in self._fields(span) if field == number and isinstance(value, int)]
        return found[-1] if found else 0

    def _fields(self, span: _Span) -> Iterator[tuple[int, int | _Span]]:
        """Field number and value of each field: a whole number, or where its bytes lie."""
        at, end = span
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise _DamagedError(f"more than {MAX_FIELDS} fields")
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if number == 0:
                raise _DamagedError(f"field 0 at byte {at}")
            if wire == _VARINT:
                value, at = self._varint(at, end)
                yield number, value
                continue
            if wire == _BYTES:
                length, at = self._varint(at, end)
            elif wire in (_FIXED64, _FIXED32):
                length = 8 if wire == _FIXED64 else 4
            else:
                raise _DamagedError(f"wire type {wire} at byte {at}")
            if length > end - at:
                raise _DamagedError(f"{length} bytes at byte {at}, where {end - at} are left")
            yield number, (at, at + length)
            at += length

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise _DamagedError(f"an endless number before byte {at}")
