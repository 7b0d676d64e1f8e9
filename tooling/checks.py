# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py test``: formatting, lint, the real Blender application where it can be had, and the whole pytest suite.

The suite runs in two processes side by side, for half of it mostly waits. With files or folders of tests named it runs
these in one; with ``--golden DIR`` it compares with the reference cases of that folder and runs nothing else.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from . import environment
from .console import LOGS, ROOT, clean_environment, run, say

# Debian releases that carry Blender 5.2 and 4.3.
SUITES = ("sid", "trixie")
TESTS = ROOT / "tests"
PARITY = "tests/parity/test_golden.py"
# Tests of the add-on start programs and wait for them; the real application in a window runs in this process alone.
WAITING = ("blender", "client", "ui")
NO_TESTS = 5  # pytest's status where the arguments select nothing
BLENDER_TOOL = ROOT / "tests" / "ui" / "blender_root.py"


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def why_no_blender() -> str:
    """Set up the real Blender application for tests/ui; return "" when it is there, else the reason in a sentence."""
    if not sys.platform.startswith("linux") or not _is_debian() or shutil.which("apt-get") is None:
        return "The real Blender application is set up from Debian's packages, and this system is not Debian."
    if os.geteuid() != 0:
        return "Setting up the real Blender application needs root (it enters a root folder of its own)."
    say("Setting up Blender 5.2 and 4.3 for the tests in a real window (650 MB the first time, kept after that).")
    for suite in SUITES:
        done = subprocess.run([sys.executable, str(BLENDER_TOOL), "setup", suite], capture_output=True, text=True)
        if done.returncode:
            LOGS.mkdir(parents=True, exist_ok=True)
            log = LOGS / f"blender-{suite}.log"
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return f"Setting up the real Blender application failed ({last}). Log: {log}"
    return ""


def _golden_folder(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--golden DIR`` or ``--golden=DIR`` out of the arguments: the folder, and what is left."""
    rest = list(arguments)
    for at, argument in enumerate(rest):
        if argument == "--golden" and at + 1 < len(rest):
            folder = rest[at + 1]
            del rest[at : at + 2]
            return folder, rest
        if argument.startswith("--golden="):
            del rest[at]
            return argument.removeprefix("--golden="), rest
    return None, rest


def parity(python: Path, folder: str, pytest_arguments: list[str]) -> int:
    """Compare with every reference case of a folder, tensor by tensor; pytest's exit status."""
    golden = f"--golden={Path(folder).absolute()}"
    return run([python, "-P", "-m", "pytest", PARITY, golden, *pytest_arguments], clean_environment())


def suite(python: Path, pytest_arguments: list[str], variables: dict[str, str]) -> int:
    """Run the tests that the arguments name, or all, those of the add-on beside the others; pytest's exit status."""
    command = [python, "-P", "-m", "pytest", *pytest_arguments]
    if any((ROOT / argument.split("::")[0]).exists() for argument in pytest_arguments if not argument.startswith("-")):
        return run(command, variables)
    folders = sorted(path.name for path in TESTS.iterdir() if any(path.glob("**/test_*.py")))
    add_on = [TESTS / name for name in folders if name in WAITING]
    others = [TESTS / name for name in folders if name not in WAITING]
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    variables = {**variables, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "test-engine.log").open("w+", encoding="utf-8", errors="replace") as log:
        beside = [str(part) for part in (*command, "-p", "no:cacheprovider", *others)]
        process = subprocess.Popen(beside, cwd=ROOT, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            statuses = [run([*command, *add_on], variables), process.wait()]
        finally:
            process.kill()
        log.seek(0)
        shutil.copyfileobj(log, sys.stdout)
    found = [status for status in statuses if status != NO_TESTS]
    # Below zero where a signal ended the process.
    return max(found, key=abs) if found else NO_TESTS


def main(python: Path, arguments: list[str]) -> int:
    """Run everything, or with ``--golden DIR`` the comparison alone.

    Returns the exit status of the first check that fails, else pytest's.
    """
    folder, rest = _golden_folder(arguments)
    if folder is not None:
        return parity(python, folder, rest)
    for what, command in (
        ("lint", [python, "-m", "ruff", "check", "."]),
        ("formatting", [python, "-m", "ruff", "format", "--check", "."]),
    ):
        say(f"Checking {what}.")
        status = run(command)
        if status:
            return status
    reason = environment.ensure_triton_before()
    if reason:
        say(f"Tests of the kernels with the Triton before the engine's are skipped: {reason}")
    reason = why_no_blender()
    if reason:
        say(f"Tests in a real Blender window are skipped: {reason}")
    variables = clean_environment(**({"ESPALIER_NO_BLENDER": reason} if reason else {}))
    return suite(python, rest, variables)
