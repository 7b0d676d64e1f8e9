# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder: what one job asks for, computes and leaves behind. Every file is complete or absent.

Names: ``request.json``, ``input.*``, ``prepared.png``, ``mask.png``, ``state.json``, ``structure.safetensors``,
``shape.safetensors``, ``material.safetensors`` (latents), ``voxels.safetensors``, ``surface.npz`` (raw), ``result.npz``
(finished arrays), ``base_color.png``, ``orm.png``, ``normal.png``, ``result.json``, ``preview.png``, ``log.txt``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from . import protocol
from .errors import EspalierError

if TYPE_CHECKING:
    import numpy as np

# Which state may follow which. A failed or cancelled job can be run again; a built one can be built or finished again.
TRANSITIONS: dict[str, frozenset[str]] = {
    protocol.WAITING: frozenset({protocol.RUNNING, protocol.CANCELLED, protocol.FAILED}),
    protocol.RUNNING: frozenset({protocol.FINISHED, protocol.FAILED, protocol.CANCELLED, protocol.RUNNING}),
    protocol.FINISHED: frozenset({protocol.BUILT, protocol.RUNNING}),
    protocol.BUILT: frozenset({protocol.BUILT, protocol.RUNNING}),
    protocol.FAILED: frozenset({protocol.RUNNING, protocol.WAITING}),
    protocol.CANCELLED: frozenset({protocol.RUNNING, protocol.WAITING}),
}


class JobFolder:
    """One job on the disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def id(self) -> str:
        """The job's identifier: the folder's name."""
        return self.path.name

    @classmethod
    def create(cls, store: Path, request: Mapping[str, Any], source: Path, name: str) -> JobFolder:
        """Make the waiting job ``name`` in the folder ``store``: request.json, the input copied as ``input.<ext>``,
        state.json.

        The folder appears whole or not at all. Raises OSError.
        """
        return cls(protocol.create_job_folder(store, name, request, source.read_bytes(), source.suffix))

    def file(self, name: str) -> Path:
        """Return the path of a file of this job. Raises EspalierError("bad_request") for a name that leaves the
        folder.
        """
        plain = PurePath(name)
        if len(plain.parts) != 1 or name in ("", ".", "..") or "\\" in name or ":" in name or "\0" in name:
            raise EspalierError(
                "bad_request", f"The job names the file {name!r}, which is not a plain file name in its folder."
            )
        return self.path / name

    def request(self) -> dict[str, Any]:
        """Return request.json. Raises EspalierError("bad_request") when it is missing or damaged."""
        request = protocol.read_json(self.file(protocol.REQUEST_FILE))
        if request is None:
            raise EspalierError(
                "bad_request",
                f"The job folder {self.path} has no readable {protocol.REQUEST_FILE}. Start the job again.",
            )
        return request

    # -------------------------------------------------------------------------------------------------------- writing

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Write one file (PNG, safetensors, ...) from its bytes, atomically. Raises OSError."""
        path = self.file(name)
        protocol.write_bytes(path, data)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Write one JSON file, atomically. Raises OSError."""
        path = self.file(name)
        protocol.write_json(path, value)
        return path

    def write_npz(self, name: str, **arrays: np.ndarray) -> Path:
        """Write named arrays as an uncompressed ``.npz``, atomically. Raises OSError."""
        import numpy as np

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)

        return self.write_with(name, write)

    def write_with(self, name: str, write: Callable[[Path], Any]) -> Path:
        """Write one file atomically through a writer that wants a path, for instance safetensors' ``save_file``."""
        path = self.file(name)
        protocol.write_file(path, write)
        return path

    def log(self, text: str) -> None:
        """Append lines to log.txt, each with the time. Does nothing when the disk takes no more."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = "".join(f"{stamp} {line}\n" for line in text.rstrip().splitlines())
        with contextlib.suppress(OSError, ValueError), self.file(protocol.LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(lines)

    # ---------------------------------------------------------------------------------------------------------- state

    def state(self) -> dict[str, Any]:
        """Return state.json, or a waiting state when it is absent or damaged."""
        return protocol.read_json(self.file(protocol.STATE_FILE)) or {"state": protocol.WAITING, "stage": ""}

    def begin(self) -> None:
        """Become running, and forget the stages, times, problem and unfinished files of an earlier run. Raises
        OSError.
        """
        for rest in self.path.glob(".*.part"):
            rest.unlink(missing_ok=True)
        record = self.state()
        for stale in ("problem", "ended", "seconds", "random", "peak_memory"):
            record.pop(stale, None)
        record.update(state=protocol.RUNNING, stage="", started=time.time(), pid=os.getpid())
        self.write_json(protocol.STATE_FILE, record)

    def set_state(self, state: str, **fields: Any) -> None:
        """Enter a state and merge ``fields`` into state.json.

        Raises
        EspalierError("bad_state") for a transition that makes no sense, OSError when the file cannot be written.
        """
        record = self.state()
        before = record.get("state")
        if before in protocol.STATES and state != before and state not in TRANSITIONS[before]:
            raise EspalierError("bad_state", f"The job {self.id} is {before}; it cannot become {state}.")
        if state in (protocol.FINISHED, protocol.FAILED, protocol.CANCELLED):
            record["ended"] = time.time()
        record.update(state=state, **fields)
        self.write_json(protocol.STATE_FILE, record)

    def enter_stage(self, stage: str, seconds: Mapping[str, float]) -> None:
        """Note the stage that runs now and the seconds of the stages behind it."""
        self.set_state(protocol.RUNNING, stage=stage, seconds={k: round(v, 3) for k, v in seconds.items()})

    def save_random_state(self, stage: str, state: bytes) -> None:
        """Keep the generator's state as it is after ``stage``, so that the job could go on from there with the same
        numbers.
        """
        record = self.state()
        kept = base64.b64encode(zlib.compress(state)).decode("ascii")
        self.write_json(protocol.STATE_FILE, {**record, "random": {**_random_states(record), stage: kept}})

    def random_state(self, stage: str) -> bytes | None:
        """Return the generator's state as it was after ``stage``; None when the job did not get there."""
        text = _random_states(self.state()).get(stage)
        try:
            return None if text is None else zlib.decompress(base64.b64decode(text, validate=True))
        except (ValueError, TypeError, zlib.error):
            return None

    def touch(self) -> None:
        """Show readers that this running job is alive: they take one whose state.json rests for long as interrupted."""
        with contextlib.suppress(OSError):
            os.utime(self.file(protocol.STATE_FILE))


def _random_states(record: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = record.get("random")
    return kept if isinstance(kept, dict) else {}
