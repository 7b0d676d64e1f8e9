# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads safetensors files, trusting nothing in them: every name, shape and byte range is checked before it is used."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import EspalierError, unusable_file

MAX_HEADER = 32 << 20
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies in its file: bytes ``begin`` up to ``end`` from the file's start."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsFile:
    """The tensors of one file, mapped into memory: they take no more of it than the file has bytes.

    Opening raises EspalierError("bad_weights") naming the file if it is missing, truncated or not safetensors.
    """

    _mapping: torch.UntypedStorage | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.size = size = path.stat().st_size
            with path.open("rb") as file:
                prefix = file.read(8)
                length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
                if not 2 <= length <= min(MAX_HEADER, size - 8):
                    raise self.problem(
                        "is empty." if size == 0 else "is not a safetensors file, or only a part of one."
                    )
                header = file.read(length)
        except FileNotFoundError:
            raise self.problem("is missing.") from None
        except OSError as error:
            raise self.problem(f"cannot be read ({error.strerror}).") from None
        self.entries = self._parse(header, 8 + length, size)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def read(self, name: str) -> Tensor:
        """Return one tensor on the CPU, a view of the mapped file that is copied only where it is written to.

        Raises EspalierError when the file shrank or holds NaN or infinity.
        """
        entry = self.entries[name]
        if not math.prod(entry.shape):
            return torch.empty(entry.shape, dtype=entry.dtype)
        raw = torch.asarray(self._mapped()[entry.begin : entry.end], dtype=torch.uint8)
        if entry.begin % entry.dtype.itemsize:
            raw = raw.clone()
        tensor = raw.view(entry.dtype).view(entry.shape)
        if tensor.is_floating_point() and not all(math.isfinite(bound) for bound in torch.aminmax(tensor)):
            raise self.problem(f"is damaged: the tensor “{name}” holds values that are no numbers.")
        return tensor

    def _mapped(self) -> torch.UntypedStorage:
        """The whole file, mapped when it is first needed. A file that shrank since would end the process if touched."""
        try:
            if self.path.stat().st_size != self.size:
                raise self.problem("was changed while it was read.")
            if self._mapping is None:
                self._mapping = torch.UntypedStorage.from_file(str(self.path), shared=False, nbytes=self.size)
        except (OSError, RuntimeError) as error:
            raise self.problem("cannot be read.", str(error)) from None
        return self._mapping

    def problem(self, what: str, hint: str = "") -> EspalierError:
        """A refusal of this file as a sentence."""
        return unusable_file(self.path, what, hint)

    def _parse(self, header: bytes, start: int, size: int) -> dict[str, Entry]:
        try:
            table = json.loads(header)
        except (ValueError, RecursionError):
            raise self.problem("has an unreadable table of contents.") from None
        if not isinstance(table, dict):
            raise self.problem("has an unreadable table of contents.")
        table.pop("__metadata__", None)
        entries = {name: self._entry(name, value, start, size) for name, value in table.items()}
        reached = start
        for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
            if entry.begin != reached:
                raise self.problem("has gaps or overlaps between its tensors.")
            reached = entry.end
        if reached != size:
            raise self.problem("is truncated." if reached > size else "is longer than its table of contents says.")
        return entries

    def _entry(self, name: str, value: Any, start: int, size: int) -> Entry:
        kind = value.get("dtype") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind not in DTYPES:
            raise self.problem(f"has weights of a kind that is not supported ({kind[:16]}).", f"entry {name!r}")
        try:
            dtype, shape, (begin, end) = DTYPES[value["dtype"]], tuple(value["shape"]), value["data_offsets"]
            plain = len(shape) <= 8 and all(
                type(number) is int and 0 <= number < 1 << 48 for number in (*shape, begin, end)
            )
        except (KeyError, TypeError, ValueError):
            plain = False
        if not plain or end - begin != math.prod(shape) * dtype.itemsize:
            raise self.problem("has a damaged table of contents.", f"entry {name!r}")
        return Entry(dtype, shape, start + begin, start + end)
