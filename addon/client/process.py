# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the engine, and how its process is started and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import ClientError, from_os_error

# What build.py leaves in an environment that is complete.
CHECKOUT_STAMP = "espalier-env.json"


@dataclass(frozen=True)
class EnginePython:
    """A Python interpreter for the engine. ``origin`` is "preferences", "managed" or "checkout"."""

    path: Path
    origin: str


def environment_python(environment: Path) -> Path:
    """Return where a virtual environment keeps its interpreter."""
    if os.name == "nt":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def find_python(preferred: str, data: Path, extension: Path) -> EnginePython | None:
    """Return the Python that shall run the engine; None when the user has to install one first.

    In this order: the one that the preferences name (an interpreter or the folder of an environment), the managed
    environment in ``<data>/engine``, and in a checkout the environment ``build/env`` that ``build.py`` finished.
    Raises ClientError("bad_python") when the preferences name something that is no interpreter.
    """
    if preferred:
        path = Path(preferred).expanduser()
        if path.is_dir():
            path = environment_python(path)
        if not _runnable(path):
            raise ClientError(
                "bad_python",
                f"The engine's Python {preferred} is not there. Correct it in the preferences, or clear the field.",
            )
        return EnginePython(path.absolute(), "preferences")
    managed = environment_python(data / "engine")
    if _runnable(managed):
        return EnginePython(managed, "managed")
    checkout = extension / "build" / "env"
    if (checkout / CHECKOUT_STAMP).is_file() and _runnable(environment_python(checkout)):
        return EnginePython(environment_python(checkout), "checkout")
    return None


# OpenMP threads that wait by spinning take the processor from Blender, and stall for seconds when it takes it back.
PATIENT_THREADS = MappingProxyType({"OMP_WAIT_POLICY": "PASSIVE"})


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment without what would change which Python modules and libraries the engine loads."""
    return {k: v for k, v in environment.items() if not k.upper().startswith(("PYTHON", "LD_", "DYLD_"))}


def engine_command(python: Path, extension: Path, *arguments: str) -> list[str]:
    """Return the command line of one of the engine's commands."""
    return [str(python), "-I", "-X", "utf8", "-u", str(extension / "engine" / "__main__.py"), *arguments]


def start_engine(python: Path, extension: Path, log_file: Path) -> subprocess.Popen[bytes]:
    """Start ``engine/__main__.py serve`` in a process group of its own, with pipes on stdin and stdout and stderr in
    a file.

    The log of the run before is kept beside it as ``<name>.1``. Raises ClientError.
    """
    return start_process(engine_command(python, extension, "serve"), log_file, PATIENT_THREADS)


def start_process(
    command: list[str], log_file: Path, extra: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    """Start any program the way the engine is started; ``extra`` joins its environment where the user's has nothing.

    Raises ClientError with the codes no_start, no_space, not_writable, file_system.
    """
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        if log_file.exists():
            # On Windows a log that another Blender's process is writing cannot be moved: then both write into it.
            with contextlib.suppress(PermissionError):
                log_file.replace(log_file.with_name(log_file.name + ".1"))
        log = log_file.open("ab")
    except OSError as error:
        raise from_os_error(error, log_file.parent) from error
    with log:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=log_file.parent,
                env={**extra, **clean_environment()},
                **group_options(),
            )
        except OSError as error:
            raise ClientError(
                "no_start",
                f"The engine's Python {command[0]} cannot be started. Choose another one, or press Install Engine.",
                error.strerror or str(error),
            ) from error


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything it started, at once. It need not be running."""
    if os.name == "nt":
        with contextlib.suppress(OSError):
            process.kill()
        return
    # The child leads its own session, so its process group has its own number; the helpers it started belong to it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def group_options() -> dict[str, Any]:
    """Return the arguments of Popen for a process group of its own, which Ctrl-C in a terminal does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
