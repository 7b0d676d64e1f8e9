# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout's environment in ``build/env``: the engine from its lock file, then the tools for tests and pictures."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import locks
from .console import BUILD, LOGS, ROOT, CommandError, folder_size, megabytes, run_logged, say

ENVIRONMENT = BUILD / "env"
STAMP = ENVIRONMENT / "espalier-env.json"
BEGUN = ENVIRONMENT / "espalier-env.begun"
REQUIREMENTS = ROOT / "requirements"
PYTHON_VERSION = (3, 11)
LOG = LOGS / "environment.log"


def python_path() -> Path:
    """The environment's interpreter, whether it exists or not."""
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _find_python() -> Path:
    """An interpreter of the version that everything is pinned for; raises CommandError when there is none."""
    if sys.version_info[:2] == PYTHON_VERSION:
        return Path(sys.executable)
    wanted = "{}.{}".format(*PYTHON_VERSION)
    for name in (f"python{wanted}", "python3", "python"):
        found = shutil.which(name)
        if found is None:
            continue
        answer = subprocess.run(
            [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
        )
        if answer.stdout.strip() == wanted:
            return Path(found)
    raise CommandError(
        f"Python {wanted} was not found, only {platform.python_version()}: install Python {wanted} "
        f"(the one inside Blender 4.2 to 5.0) and run the same command again."
    )


def _locks() -> list[Path]:
    nvidia = shutil.which("nvidia-smi") is not None
    return locks.locks_to_try(locks.this_platform(), locks.tag_of("{}.{}".format(*PYTHON_VERSION)), nvidia)


def _pins_digest() -> str:
    """Changes exactly when something pinned for this machine changes."""
    digest = hashlib.sha256(repr(PYTHON_VERSION).encode())
    for path in [REQUIREMENTS / "develop.txt", *(_locks() or [REQUIREMENTS / "engine.txt"])]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _pip(*arguments: str | Path) -> str:
    """Run the environment's pip, one line per download; return pip's own errors, or "" when all went well."""
    errors: list[str] = []

    def show(line: str) -> str:
        if line.startswith("ERROR"):
            errors.append(line.strip())
        found = re.match(r"\s*(?:Downloading|Using cached|Processing) (\S+)( \([\d.]+ \w+\))?", line)
        return found[1].rpartition("/")[2] + (found[2] or "") if found else ""

    command = [
        python_path(),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    status = run_logged([*command, *arguments], LOG, show)
    return (" ".join(errors) or "pip gave no reason") if status else ""


def _must(error: str, what: str) -> None:
    if error:
        raise CommandError(
            f"{what} could not be installed ({error}). Run the same command again: it goes on from here. Log: {LOG}"
        )


def _torch_version() -> str:
    ask = "import importlib.metadata as m; print(m.version('torch'))"
    return subprocess.run([python_path(), "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def _install_engine() -> None:
    candidates = _locks()
    if not candidates:
        say(f"  engine: no lock file for {locks.this_platform()}, so from requirements/engine.txt and what that needs")
        _must(_pip("-r", REQUIREMENTS / "engine.txt"), "The engine's packages")
        return
    for lock in candidates:
        say(f"  engine ({lock.name}): {megabytes(locks.download_size(lock))} to fetch")
        error = _pip("--no-deps", "--require-hashes", "-r", lock)
        if lock is candidates[-1] or "No matching distribution found for torch" not in error:
            return _must(error, "The engine's packages")
        say("  this machine has no such build of torch at hand")


def ensure() -> Path:
    """Make ``build/env`` unless it is there with the present pins; return its interpreter.

    An interrupted set-up goes on where it stopped; changed pins start a fresh environment.
    """
    pins = _pins_digest()
    if STAMP.exists() and json.loads(STAMP.read_text(encoding="utf-8"))["pins"] == pins:
        return python_path()
    python = _find_python()
    start = time.monotonic()
    resumed = BEGUN.exists() and BEGUN.read_text(encoding="utf-8") == pins
    if ENVIRONMENT.exists() and not resumed:
        say("The pinned requirements have changed: making build/env anew.")
        shutil.rmtree(ENVIRONMENT)
    say(f"{'Going on with' if resumed else 'Making'} the environment build/env.")
    if not resumed or not python_path().exists():
        if subprocess.run([str(python), "-m", "venv", "--clear", str(ENVIRONMENT)]).returncode:
            raise CommandError(
                "Python's venv module could not make build/env: on Debian install the package python3-venv."
            )
        BEGUN.write_text(pins, encoding="utf-8")
    _install_engine()
    say(
        "  tools for tests, checks and pictures: downloads about 620 MB (Blender as a Python module is 374, Triton 198)"
    )
    _must(_pip("--no-deps", "-r", REQUIREMENTS / "develop.txt"), "The tools for tests and pictures")
    stamp = {"pins": pins, "torch": _torch_version()}
    STAMP.write_text(json.dumps(stamp, indent=2), encoding="utf-8")
    BEGUN.unlink()
    took = time.monotonic() - start
    say(f"build/env is ready: {megabytes(folder_size(ENVIRONMENT))}, {took:.0f} s, torch {stamp['torch']}.")
    return python_path()


def ensure_triton_before() -> str:
    """Put the Triton of requirements/triton-before.txt into a folder of its own; "" when it is there, else why not.

    Triton's wheels are for Linux alone; ``ensure`` has been called before.
    """
    if not sys.platform.startswith("linux"):
        return "Triton is published for Linux alone."
    pins = REQUIREMENTS / "triton-before.txt"
    version = re.search(r"^triton==(\S+)$", pins.read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    folder = BUILD / f"triton-{version[1]}"
    if folder.is_dir():
        return ""
    say(f"  Triton {version[1]}, with which the kernels are tested as well: downloads 188 MB")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    error = _pip("--no-deps", "--target", part, "-r", pins)
    if error:
        return f"Triton {version[1]} could not be installed ({error})."
    part.rename(folder)
    return ""


def ensure_resolver() -> Path:
    """The resolver for ``build.py wheels``, installed on first use beside the rest; return its executable."""
    ensure()
    uv = python_path().with_name("uv.exe" if os.name == "nt" else "uv")
    _must(_pip("--no-deps", "-r", REQUIREMENTS / "wheels.txt"), "The resolver")
    return uv
