# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and the engine agree on: the messages between them, and how files in a job folder are written.

The one file that both processes import; standard library only.

**Messages** travel as frames over the engine's stdin and stdout: a 4-byte big-endian length, then that many bytes of
UTF-8 JSON, at most 1 MiB. Every message is an object with ``v`` (protocol version), ``kind`` and, where it concerns
one, ``job``. Unknown fields are ignored; an unknown kind is answered with ``failed``.

**Job folder files** are written to a temporary name, flushed and renamed, so each is complete or absent.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import struct
import sys
import time
from collections.abc import Callable, Mapping
from io import RawIOBase
from pathlib import Path
from typing import Any

VERSION = 1
MAX_FRAME = 1 << 20
HEARTBEAT_SECONDS = 2.0
SILENCE_SECONDS = 20.0

Message = dict[str, Any]

_NUMBER = (int, float)

# kind -> the fields a receiver relies on, with the JSON types each may have. Senders may add more.
TO_ENGINE: dict[str, dict[str, tuple[type, ...]]] = {
    "submit": {"job": (str,), "folder": (str,)},
    "cancel": {"job": (str,)},
    "release": {},
    "shutdown": {},
}
FROM_ENGINE: dict[str, dict[str, tuple[type, ...]]] = {
    "hello": {
        "version": (str,),
        "python": (str,),
        "torch": (str, type(None)),
        "device": (dict,),
        "memory": (dict,),
        "backends": (list,),
        "capabilities": (list,),
    },
    "heartbeat": {"stage": (str,), "seconds": _NUMBER, "memory": (dict,)},
    "started": {"job": (str,)},
    "progress": {
        "job": (str,),
        "stage": (str,),
        "step": (int,),
        "of": (int,),
        "eta_s": (int, float, type(None)),
    },
    "preview": {"job": (str,), "stage": (str,), "file": (str,)},
    "finished": {"job": (str,), "result": (str,), "seconds": (dict,), "peak_memory": (dict,)},
    "failed": {"code": (str,), "sentence": (str,), "hint": (str,), "log": (str,)},
    "cancelled": {"job": (str,)},
    "log": {"level": (str,), "text": (str,)},
}

# The states of a job, as state.json has them.
WAITING, RUNNING, FINISHED, BUILT, FAILED, CANCELLED = "waiting", "running", "finished", "built", "failed", "cancelled"
# Nothing more happens to a job in one of these by itself.
ENDED = (FINISHED, BUILT, FAILED, CANCELLED)
STATES = (WAITING, RUNNING, *ENDED)

REQUEST_FILE = "request.json"
STATE_FILE = "state.json"
RESULT_FILE = "result.json"
PREVIEW_FILE = "preview.png"
LOG_FILE = "log.txt"


class BadFrame(Exception):  # noqa: N818 - describes what arrived, and is often handled as a value
    """Bytes that are no message. ``lost`` is true when the position of the next frame is unknown and the link must
    end.
    """

    def __init__(self, sentence: str, *, lost: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.lost = lost


def encode(kind: str, **fields: Any) -> bytes:
    """Return one frame. Raises BadFrame for a message that JSON cannot hold or that exceeds ``MAX_FRAME``."""
    try:
        body = json.dumps({"v": VERSION, "kind": kind, **fields}, allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise BadFrame(f"The message '{kind}' cannot be written as JSON: {error}.") from error
    if len(body) > MAX_FRAME:
        raise BadFrame(f"The message '{kind}' has {len(body)} bytes; at most {MAX_FRAME} fit a frame.")
    return struct.pack(">I", len(body)) + body


def write_all(stream: RawIOBase, frame: bytes) -> None:
    """Write a whole frame to an unbuffered stream, which may take it in pieces. Raises OSError, ValueError when
    closed.
    """
    rest = memoryview(frame)
    while rest:
        rest = rest[stream.write(rest) or 0 :]


class FrameDecoder:
    """Turns a stream of bytes, in pieces of any size, into messages.

    ``feed`` the bytes as they come, then call ``next`` until it returns None. A frame that holds no message raises
    BadFrame and is skipped: the next call goes on behind it. A length over ``MAX_FRAME`` (garbage, or text printed
    into the pipe) raises BadFrame with ``lost`` set, and so does every later call.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost: BadFrame | None = None

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        if self._lost is None:
            self._buffer += data

    def next(self) -> Message | None:
        """Return the next whole message, or None when more bytes are needed."""
        if self._lost is not None:
            raise self._lost
        if len(self._buffer) < 4:
            return None
        (length,) = struct.unpack_from(">I", self._buffer)
        if length > MAX_FRAME:
            start = bytes(self._buffer[:24])
            self._buffer.clear()
            self._lost = BadFrame(
                f"The link carries something that is no message: a frame of {length} bytes is announced by {start!r}.",
                lost=True,
            )
            raise self._lost
        if len(self._buffer) < 4 + length:
            return None
        body = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        try:
            message = _parse(body)
        except (ValueError, RecursionError) as error:
            raise BadFrame(f"A frame of {length} bytes is not UTF-8 JSON: {error}.") from error
        if not isinstance(message, dict):
            raise BadFrame("A frame holds JSON that is not an object.")
        return message


def check(message: Message, table: dict[str, dict[str, tuple[type, ...]]]) -> str:
    """Return the kind of a message after checking it against ``TO_ENGINE`` or ``FROM_ENGINE``.

    Raises BadFrame with a sentence for another protocol version, an unknown kind, or a field that is missing or of a
    wrong type.
    """
    version, kind = message.get("v"), message.get("kind")
    if version != VERSION:
        raise BadFrame(f"The message speaks version {version!r} of the protocol; this side speaks version {VERSION}.")
    if not isinstance(kind, str) or kind not in table:
        raise BadFrame(f"The message kind {kind!r} is unknown.")
    for field, types in table[kind].items():
        value = message.get(field)
        if type(value) not in types or (field not in message):
            raise BadFrame(f"The message '{kind}' has no usable field '{field}'.")
    return kind


# ------------------------------------------------------------------------------------------------- job folder files


def write_file(path: Path, write: Callable[[Path], None], *, sync: bool = True) -> None:
    """Make ``path`` whole or not at all: ``write`` fills a temporary neighbour, which is flushed and renamed.

    With ``sync`` it is flushed to the disk, so that it is whole after a power cut too; that takes 10 ms and, on a
    busy disk, seconds: too long for Blender's main thread. Raises what ``write`` raises, and OSError of the file
    system; the temporary file is gone then and an older ``path`` is kept.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        write(temporary)
        if sync:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        _replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path``, complete or not at all. Raises OSError."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_file(path, write, sync=sync)


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write ``value`` as indented JSON, complete or not at all. Raises OSError, TypeError, ValueError."""
    # Escapes, not UTF-8: file names on Linux may hold bytes that are no text, and these survive as lone surrogates.
    write_bytes(path, json.dumps(value, indent=1, allow_nan=False).encode("ascii"), sync=sync)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None when the file is absent, unreadable, damaged, or holds no object."""
    try:
        value = _parse(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# Windows locks are on bytes and keep others from reading them: lock one far behind the text.
_LOCK_BYTE = 1 << 30

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process; false when another one has it."""
        os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process; false when another one has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def create_job_folder(
    store: Path,
    name: str,
    request: Mapping[str, Any],
    data: bytes | None,
    suffix: str,
    files: Mapping[str, bytes] | None = None,
    owner: str = "",
) -> Path:
    """Make the folder of a waiting job: ``input<suffix>`` with ``data``, request.json naming it, state.json, and
    ``files`` by their names. Without ``data`` the job has no input of its own. ``owner`` names the process that is
    going to have it run.

    The folder is filled beside its final place and then renamed, so it appears whole or not at all. ``store`` is made
    when it is missing. Raises FileExistsError when the job exists, OSError of the file system.
    """
    target = store / name
    if target.exists():
        raise FileExistsError(f"The job {name} exists already.")
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f".{name}.part"
    temporary.mkdir()
    try:
        if data is not None:
            files, request = {**(files or {}), f"input{suffix}": data}, {**request, "input": f"input{suffix}"}
        for file, content in (files or {}).items():
            write_bytes(temporary / file, content, sync=False)
        write_json(temporary / REQUEST_FILE, dict(request), sync=False)
        write_json(
            temporary / STATE_FILE, {"state": WAITING, "stage": "", "created": time.time(), "owner": owner}, sync=False
        )
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def _parse(data: bytes) -> Any:
    """Parse UTF-8 JSON. Raises ValueError, also for numbers that are not finite: they could not be written again."""
    return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _replace(source: Path, target: Path) -> None:
    """Rename over ``target``. Windows refuses while a reader has it open, which lasts milliseconds here: try again."""
    for _attempt in range(50 if os.name == "nt" else 0):
        try:
            source.replace(target)
            return
        except PermissionError:
            time.sleep(0.01)
    source.replace(target)
