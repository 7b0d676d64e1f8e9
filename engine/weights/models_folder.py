# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder ``<data>/models``: one process at a time changes it, and a set appears in it whole or not at all.

A set is put together in ``.staging/<download or import>/<set>/`` and renamed into its place when it is verified; what
a cut download left there is where the next one goes on. ``espalier.json`` in a set's folder is the receipt: where each
file came from, and the SHA-256 it had when it was verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from ..device_lock import hold
from ..errors import EspalierError
from .registry import PublishedSet

RECEIPT = "espalier.json"
STAGING = ".staging"
OLD = ".old"
LOCK = ".lock"
SPARE = 64 << 20
"""Bytes that stay free beside what a set needs: receipts, the file system's own tables."""
_BLOCK = 4 << 20
_EVENT_SECONDS, _LINE_SECONDS = 0.5, 10.0
_SPEED_SECONDS = 2.0  # a speed seen for less than this says nothing yet

Work = Literal["download", "import"]
Say = Callable[..., None]
"""Tells what happens: ``say(event, text, **fields)``; ``text`` is the line for people, "" prints none."""


class ModelsFolder:
    """The models of one data folder. Made on first use; raises OSError as the system does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def locked(self, work: str, say: Say) -> Iterator[None]:
        """Hold the folder while doing ``work``; says once whom it waits for while another process has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        told = False

        def waiting(sentence: str) -> None:
            nonlocal told
            if not told:
                say("waiting", sentence)
            told = True

        with hold(self.path / LOCK, work, waiting):
            self._recover()
            yield

    def place(self, entry: PublishedSet) -> Path:
        """Where the set lies when it is complete."""
        return self.path / entry.folder

    def is_complete(self, entry: PublishedSet) -> bool:
        """Whether every file of the set is in its place, with the size it should have and no damage noted."""
        folder = self.place(entry)
        receipt = read_receipt(folder)
        noted = receipt.get("files", {})
        for file in entry.files:
            size = _size(folder / file.path)
            if file.required and (not size or size != noted.get(file.path, {}).get("size", file.size or size)):
                return False
        return not receipt.get("damaged")

    def arrived(self, entry: PublishedSet) -> int:
        """The bytes that a download which is not complete has left."""
        staged = self.path / STAGING / "download" / entry.folder
        return sum(map(_size, staged.rglob("*")))

    def staging(self, entry: PublishedSet, work: Work) -> Path:
        """Where a download or an import puts the set together: a folder, made when it is missing."""
        return self._own_folder(self.path / STAGING, work, entry.folder)

    def target(self, folder: Path, path: str) -> Path:
        """Where the file ``path`` of a set goes below ``folder``; its parents are made.

        Raises EspalierError("bad_path") when the name, or a link on the way, leads out of the folder.
        """
        pure = PurePosixPath(path)
        target = folder / path
        if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path:
            raise _leaves(path)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise _leaves(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        return target

    def take_place(self, entry: PublishedSet, staged: Path) -> Path:
        """Put the verified set in ``staged`` into its place; the one that was there goes only then."""
        place, old = self.place(entry), self.path / OLD / entry.folder
        if place.is_symlink():
            place.unlink()
        if place.exists():
            self._own_folder(self.path / OLD)
            _delete(old)
            _move_away(place, old)
        staged.rename(place)
        _delete(self.path / OLD)
        return place

    def remove(self, entry: PublishedSet) -> bool:
        """Delete the set and what a download of it left; return whether there was something. Links are not followed."""
        found = False
        staged = (self.path / STAGING / work / entry.folder for work in get_args(Work))
        for path in (self.place(entry), *staged):
            if path.is_symlink():
                path.unlink()
                found = True
            elif path.exists():
                old = self._own_folder(self.path / OLD) / entry.folder
                _delete(old)
                _move_away(path, old)  # at once out of reach of a loader; deleting takes a while
                (old / RECEIPT).unlink(missing_ok=True)  # a removal that is cut short is not undone
                found = True
        _delete(self.path / OLD)
        return found

    def check_space(self, size: int, what: str) -> None:
        """Raise EspalierError("no_space") unless ``size`` bytes and a little more are free."""
        free = shutil.disk_usage(self.path).free
        if free < size + SPARE:
            raise EspalierError(
                "no_space",
                f"{what} needs {gigabytes(size)} in {self.path}, where {gigabytes(free)} are free. Free some space, or "
                "choose another data folder.",
            )

    def _own_folder(self, *parts: str | Path) -> Path:
        """A folder of our own: made, and never a link to somewhere else."""
        folder = Path()
        for part in parts:
            folder = folder / part
            if folder.is_symlink():
                folder.unlink()
            folder.mkdir(exist_ok=True)
        return folder

    def _recover(self) -> None:
        """Put back a set whose replacement was interrupted between two renames; throw away what else was left."""
        old = self.path / OLD
        if old.is_dir() and not old.is_symlink():
            for folder in old.iterdir():
                if (folder / RECEIPT).exists() and not (self.path / folder.name).exists():
                    folder.rename(self.path / folder.name)
        _delete(old)


def read_receipt(folder: Path) -> dict[str, Any]:
    """The receipt in a set's folder: {"set", "files": {path: {"size", "sha256", ...}}}; {} without a usable one."""
    try:
        receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    files = receipt.get("files") if isinstance(receipt, dict) else None
    if not isinstance(files, dict) or not all(isinstance(file, dict) for file in files.values()):
        return {}
    return receipt


def write_receipt(folder: Path, receipt: dict[str, Any]) -> None:
    """Write the receipt into a set's folder, complete or not at all."""
    temporary = folder / f"{RECEIPT}.new"
    temporary.write_text(json.dumps(receipt, indent=1), encoding="utf-8")
    temporary.replace(folder / RECEIPT)


def digest(
    path: Path, kind: Literal["sha256", "git"] = "sha256", seen: Callable[[int], Any] = lambda count: None
) -> str:
    """The checksum of a file in hexadecimal; "git": that of a git blob (SHA-1). ``seen`` is told bytes as they pass."""
    state = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
            seen(len(block))
    return state.hexdigest()


def link_or_copy(source: Path, target: Path, seen: Callable[[int], Any] = lambda count: None) -> None:
    """Give ``target`` the content of ``source``, which stays: a hard link where the file system can, else a copy.

    ``seen`` is told bytes as they are copied. Raises OSError.
    """
    source = source.resolve()
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
        seen(target.stat().st_size)
    except OSError:
        with source.open("rb") as reader, target.open("wb") as writer:
            while block := reader.read(_BLOCK):
                writer.write(block)
                seen(len(block))


class Progress:
    """Bytes of a task as events: two a second at most, with a line for people every ten seconds.

    Speed is that of the last seconds: a resumed or stalled download must not be judged by its whole life.
    """

    def __init__(self, say: Say, name: str, stage: str, total: int) -> None:
        self.say, self.name, self.stage, self.total = say, name, stage, total
        self.done = 0
        self.file = ""
        self._told = self._printed = -_LINE_SECONDS
        self._marks: list[tuple[float, int]] = []

    def __call__(self, count: int) -> None:
        """Count ``count`` more bytes; a negative number takes back what has to come again."""
        self.done += count
        now = time.monotonic()
        if now - self._told < _EVENT_SECONDS and self.done < self.total:
            return
        self._told = now
        self._marks = [*(mark for mark in self._marks if now - mark[0] < 15), (now, self.done)]
        began, before = self._marks[0]
        speed = max(0.0, (self.done - before) / (now - began)) if now - began > _SPEED_SECONDS else 0.0
        left = (self.total - self.done) / speed if speed else None
        printed = now - self._printed >= _LINE_SECONDS
        if printed:
            self._printed = now
        self.say(
            "progress",
            self._text(speed, left) if printed else "",
            set=self.name,
            stage=self.stage,
            file=self.file,
            done=self.done,
            total=self.total,
            speed=round(speed),
            eta_s=None if left is None else round(left, 1),
        )

    def skip(self, count: int) -> None:
        """Count bytes that need no work, as those of an earlier run: they say nothing about the speed."""
        self.done += count
        self._marks.clear()

    def _text(self, speed: float, left: float | None) -> str:
        text = f"{self.name}: {self.stage}, {gigabytes(self.done)} of {gigabytes(self.total)}"
        if speed:
            text = f"{text}, {speed / 1e6:.1f} MB/s"
        if left is not None and left > 1:
            text = f"{text}, {round(left / 60)} min left" if left >= 90 else f"{text}, {round(left)} s left"
        return text


def gigabytes(size: float) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _move_away(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except PermissionError:
        raise EspalierError(
            "in_use", f"{path.name} is in use. Stop the engine of every Blender, then run this again.", str(path)
        ) from None


def _delete(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _leaves(path: str) -> EspalierError:
    return EspalierError("bad_path", f"The file name “{path}” leads out of the model's folder and was refused.")
