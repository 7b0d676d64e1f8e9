# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a row of a batch leaves, and the record of them beside the output.

Everything is put together in a hidden folder beside its place and then moved there file by file, the record last: a
row whose record stands in its place is finished. The record is complete in the hidden folder before the first file
moves, so what a kill interrupts there is carried through by the next run.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ...engine import protocol
from .model_identity import digest

FORMAT = "espalier row 1"
# Seconds after which an unfinished folder is nobody's any more.
_REST_SECONDS = 3600.0


class Occupied(Exception):  # noqa: N818 - its text is shown to people as it is
    """A file stands where one of ours should go, and no run of ours has left it as it is now."""


class RowResult:
    """The result whose output is the file ``target``."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.preview = target.with_name(f"{target.name}.preview.png")
        self.record_file = target.with_name(f"{target.name}.result.json")

    def record(self) -> dict[str, Any]:
        """The record of a finished result; {} while there is none."""
        return _read_record(self.record_file)

    def is_finished(self, key: str) -> bool:
        """Whether the result of what ``key`` identifies stands, with all its files."""
        record = self.record()
        return record.get("key") == key and all((self.target.parent / name).is_file() for name in record["files"])

    def is_foreign(self) -> bool:
        """Whether the output is there, and no run of ours has made it."""
        moving = any((hidden / self.record_file.name).is_file() for hidden in self._leftovers())
        return self.target.exists() and not self.record() and not moving

    def check_place(self, names: Iterable[str] = ()) -> None:
        """Raise Occupied when writing the result, with the further files ``names`` beside it, would overwrite what a
        person made or changed.
        """
        folder, noted = self.target.parent, self.record().get("files", {})
        for name in {self.target.name, self.preview.name, *noted, *names}:
            path = folder / name
            if path.exists() and not (name in noted and path.is_file() and noted[name]["sha256"] == digest(path)):
                raise _occupied(path)
        if not noted and self.record_file.exists():
            raise _occupied(self.record_file)

    def write(self, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """Write the result anew and return its record: ``make`` puts the output and its preview into the folder that it
        is given, under the names of their places, and returns what the record shall say besides the files.

        Raises what ``make`` raises, Occupied, OSError; what was there before is unchanged then.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with self._hidden() as hidden:
            said = make(hidden)
            names = sorted(path.relative_to(hidden).as_posix() for path in hidden.rglob("*") if path.is_file())
            self.check_place(names)
            record = {"format": FORMAT, **said, "files": {name: _settle(hidden / name) for name in names}}
            protocol.write_json(hidden / self.record_file.name, record)
            self._move_in(hidden, record)
        return record

    def carry_through(self) -> None:
        """Finish what a killed run was moving, and remove what it left unfinished. Raises OSError."""
        for hidden in self._leftovers():
            record = _read_record(hidden / self.record_file.name)
            if record:
                self._move_in(hidden, record)
            if record or _age(hidden) > _REST_SECONDS:
                shutil.rmtree(hidden, ignore_errors=True)

    @contextlib.contextmanager
    def _hidden(self) -> Iterator[Path]:
        hidden = self.target.with_name(f".{self.target.name}.{secrets.token_hex(4)}.part")
        hidden.mkdir()
        try:
            yield hidden
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def _leftovers(self) -> list[Path]:
        start = f".{self.target.name}."
        try:
            with os.scandir(self.target.parent) as entries:
                return [Path(entry.path) for entry in entries if entry.name.startswith(start) and entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _move_in(self, hidden: Path, record: dict[str, Any]) -> None:
        """Move the files of a complete hidden folder to their places, the record last, and remove those of the result
        before that there are no more.
        """
        folder, before = self.target.parent, self.record().get("files", {})
        for name in [*record["files"], self.record_file.name]:
            (folder / name).parent.mkdir(exist_ok=True)
            # Another run of the same row may be carrying it through.
            with contextlib.suppress(FileNotFoundError):
                os.replace(hidden / name, folder / name)
        for name in before.keys() - record["files"].keys():
            (folder / name).unlink(missing_ok=True)


def _read_record(path: Path) -> dict[str, Any]:
    """The record in a file; {} for anything else. Names that lead out of its folder make it none."""
    record = protocol.read_json(path) or {}
    files = record.get("files")
    if record.get("format") != FORMAT or not isinstance(files, dict):
        return {}
    for name, file in files.items():
        pure = PurePosixPath(name)
        is_inside = not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name
        if not is_inside or not isinstance(file, dict) or not isinstance(file.get("sha256"), str):
            return {}
    return record


def _settle(path: Path) -> dict[str, Any]:
    """Flush a file to the disk and return what the record says of it."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": digest(path)}


def _occupied(path: Path) -> Occupied:
    return Occupied(
        f"{path} is there already, and is not as this batch left it. Move it away, or give the row another output."
    )


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0
