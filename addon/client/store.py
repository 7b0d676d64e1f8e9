# SPDX-License-Identifier: GPL-3.0-or-later
"""The job store: one folder per job under ``<data>/jobs``, shared by all Blender versions of one user."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...engine import protocol
from .claim import Claim, alone, is_alive
from .errors import ClientError, Problem, from_os_error

MAX_NAME = 40
_REST_SECONDS = 3600.0


def data_folder(preferred: str = "", environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder for jobs, models and the managed engine: ``preferred`` when given, else the platform's
    convention.

    Linux ``$XDG_DATA_HOME/espalier`` or ``~/.local/share/espalier``; macOS ``~/Library/Application
    Support/Espalier``; Windows ``%LOCALAPPDATA%\\Espalier``. The folder is not created.
    """
    if preferred:
        return Path(preferred).expanduser().absolute()
    home = Path.home()
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Espalier"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Espalier"
    configured = environment.get("XDG_DATA_HOME", "")
    base = Path(configured) if os.path.isabs(configured) else home / ".local" / "share"
    return base / "espalier"


@dataclass(frozen=True)
class StoredJob:
    """A job as its folder tells it. ``state`` is one of protocol.STATES; ``interrupted`` marks a running one that
    nobody runs, ``forsaken`` a waiting one whose Blender is gone; ``owner`` names the process that has it run.
    """

    folder: Path
    state: str
    stage: str = ""
    created: float = 0.0
    request: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory: dict[str, float] = field(default_factory=dict)
    problem: Problem | None = None
    interrupted: bool = False
    forsaken: bool = False
    owner: str = ""

    @cached_property
    def id(self) -> str:
        """The job's identifier: the folder's name."""
        return self.folder.name

    @property
    def is_texture(self) -> bool:
        """Whether the job textures a mesh."""
        return self.request.get("kind") == "texture"

    @property
    def in_hands(self) -> bool:
        """Whether somebody works on the job or is about to."""
        if self.state == protocol.WAITING:
            return not self.forsaken
        return self.state == protocol.RUNNING and not self.interrupted

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of the job by itself."""
        return self.state in protocol.ENDED or self.interrupted

    @property
    def name(self) -> str:
        """The name a person gave the job, usually the image's."""
        return str(self.request.get("name") or self.id)

    @property
    def input(self) -> Path | None:
        """The file that the job is made from, when there is one; never one outside the folder."""
        name = self.request.get("input")
        if not isinstance(name, str) or Path(name).name != name:
            return None
        path = self.folder / name
        return path if path.is_file() else None

    @property
    def preview(self) -> Path | None:
        """The preview picture, when there is one."""
        path = self.folder / protocol.PREVIEW_FILE
        return path if path.is_file() else None


def of_another(stored: StoredJob) -> ClientError:
    """That another Blender has the job."""
    return ClientError("busy", f"Another Blender works on “{stored.name}”. Cancel it there first.")


class JobStore:
    """Creates, lists and deletes job folders. Every failure is a ClientError with a sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._claim: Claim | None = None

    def _owner(self) -> str:
        """The name of this process in the jobs that it makes; locked for as long as it lives."""
        if self._claim is None:
            self._claim = Claim(self._claims)
        return self._claim.name

    @property
    def _claims(self) -> Path:
        return self.folder / ".sessions"

    def close(self) -> None:
        """Give up the jobs that wait: another Blender may offer them from now on."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def adopt(self, folder: Path) -> None:
        """Make a job one of this process that waits: a new one, one that has ended, or one whose Blender is gone.

        Of two Blenders that reach for the same job, one gets it. Raises ClientError("busy") when another one has it,
        and others when the folder cannot be written.
        """
        try:
            with alone(folder / protocol.REQUEST_FILE) as mine:
                stored = self.read(folder)
                if not mine or self._is_of_another(stored):
                    raise of_another(stored)
                if stored.state != protocol.WAITING or stored.forsaken:
                    self.set_state(folder, protocol.WAITING)
        except OSError as error:
            raise from_os_error(error, folder) from error

    def _is_of_another(self, stored: StoredJob) -> bool:
        """Whether another process that lives runs the job, or is going to."""
        if self._claim is not None and stored.owner == self._claim.name:
            return False
        return stored.in_hands

    def create(
        self,
        request: Mapping[str, Any],
        image: Path | bytes | None,
        suffix: str = "",
        files: Mapping[str, bytes] | None = None,
    ) -> StoredJob:
        """Make the folder of a new waiting job and return it.

        ``request`` is what goes into request.json (kind, settings, seed, model, online, name); its ``input`` is set
        here. ``image`` is a file, copied byte for byte, or the bytes themselves with their ``suffix`` (".png"), or
        None for a job that needs none; ``files`` are further files of the folder by name.
        Raises ClientError with the codes missing_file, bad_input, no_space, not_writable, file_system.
        """
        if image is None or isinstance(image, bytes):
            data = image
        else:
            data, suffix = _read_input(Path(image)), suffix or Path(image).suffix
        self._clear_rests()
        suffix = suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ".img"
        try:
            folder = protocol.create_job_folder(
                self.folder, self._new_id(str(request.get("name", ""))), request, data, suffix, files, self._owner()
            )
        except OSError as error:
            raise from_os_error(error, self.folder) from error
        return self.read(folder)

    def read(self, folder: Path) -> StoredJob:
        """Return what a job folder says now. Files that are absent or damaged count as empty: a job that says nothing
        failed.
        """
        state = protocol.read_json(folder / protocol.STATE_FILE) or {}
        request = protocol.read_json(folder / protocol.REQUEST_FILE)
        name = state.get("state")
        problem = state.get("problem")
        owner = _text(state.get("owner"))
        # An engine leaves with its Blender; while that lives, it shows by the time of this file that it does.
        interrupted = name == protocol.RUNNING and (
            (owner != "" and not is_alive(self._claims, owner))
            or _age(folder / protocol.STATE_FILE) > protocol.SILENCE_SECONDS
        )
        if state == {} and protocol.read_json(folder / protocol.RESULT_FILE) is not None:
            # Only a power cut loses a state; result.json comes last, so what it describes is there.
            name = protocol.FINISHED
        if name not in protocol.STATES or request is None:
            name, problem = protocol.FAILED, {"code": "damaged", "sentence": f"The job folder {folder} is damaged."}
        return StoredJob(
            folder=folder,
            state=name,
            stage=_text(state.get("stage")),
            created=_number(state.get("created")),
            request=request or {},
            seconds={k: _number(v) for k, v in _mapping(state.get("seconds")).items()},
            peak_memory={k: _number(v) for k, v in _mapping(state.get("peak_memory")).items()},
            problem=_problem(problem, folder),
            interrupted=interrupted,
            forsaken=name == protocol.WAITING and not is_alive(self._claims, owner),
            owner=owner,
        )

    def list(self) -> list[StoredJob]:
        """Return all jobs, newest first. A store that does not exist is empty; folders without a request are not
        jobs.
        """
        try:
            folders = [Path(entry.path) for entry in os.scandir(self.folder) if not entry.name.startswith(".")]
        except OSError:
            return []
        jobs = [self.read(folder) for folder in folders if (folder / protocol.REQUEST_FILE).is_file()]
        return sorted(jobs, key=lambda job: (job.created, job.id), reverse=True)

    def set_state(self, folder: Path, state: str, problem: Problem | None = None) -> None:
        """Record a state that the add-on decides: built, cancelled while waiting, failed with its engine, waiting
        again.

        Raises ClientError when the folder cannot be written.
        """
        record = protocol.read_json(folder / protocol.STATE_FILE) or {}
        record["state"] = state
        record.pop("problem", None)
        record.pop("owner", None)
        if problem is not None:
            record["problem"] = {"code": problem.code, "sentence": problem.sentence, "hint": problem.hint}
        if state in (protocol.FAILED, protocol.CANCELLED):
            record["ended"] = time.time()
        try:
            if state == protocol.WAITING:
                record["owner"] = self._owner()
            protocol.write_json(folder / protocol.STATE_FILE, record, sync=False)
        except OSError as error:
            raise from_os_error(error, folder) from error

    def size(self, folder: Path) -> int:
        """Return the bytes that a job's files take."""
        total = 0
        for parent, _folders, files in os.walk(folder):
            for name in files:
                try:
                    total += os.lstat(os.path.join(parent, name)).st_size
                except OSError:
                    continue
        return total

    def delete(self, folder: Path) -> None:
        """Remove one job of this store, at once: what is interrupted while its files go is no job any more.

        Raises ClientError when it is no folder of the store, or cannot be removed.
        """
        folder = Path(folder)
        if folder.parent != self.folder or folder.is_symlink() or not (folder / protocol.REQUEST_FILE).is_file():
            raise ClientError("bad_request", f"{folder} is not a job of {self.folder}; nothing was deleted.")
        rest = folder.with_name(f".{folder.name}.{secrets.token_hex(3)}.part")
        try:
            folder.rename(rest)
            shutil.rmtree(rest)
        except OSError as error:
            raise from_os_error(error, folder) from error

    def _clear_rests(self) -> None:
        """Remove what Blenders that were killed while creating a job left behind, once it is old enough to be
        nobody's.
        """
        for rest in self.folder.glob(".*.part"):
            if _age(rest) > _REST_SECONDS:
                shutil.rmtree(rest, ignore_errors=True)

    def _new_id(self, name: str) -> str:
        """Return an unused folder name that sorts by time and is safe on every file system."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_NAME].strip("-") or "object"
        return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(3)}"


def _read_input(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ClientError("missing_file", f"The image {path} does not exist. Choose another one.") from error
    except IsADirectoryError as error:
        raise ClientError("bad_input", f"{path} is a folder, not an image. Choose an image file.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ClientError("bad_input", f"The image {path} cannot be read: {reason}. Choose another one.") from error


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _problem(value: Any, folder: Path) -> Problem | None:
    if not isinstance(value, dict):
        return None
    log = folder / protocol.LOG_FILE
    return Problem(
        _text(value.get("code")) or "internal",
        _text(value.get("sentence")) or "The job failed.",
        _text(value.get("hint")),
        str(log) if log.is_file() else "",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return 0.0


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
