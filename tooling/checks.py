# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py test``: formatting, lint, the real Blender application where it can be had, and the whole pytest suite."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from .console import LOGS, ROOT, clean_environment, run, say

# Debian releases that carry Blender 5.2 and 4.3.
SUITES = ("sid", "trixie")
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


def _with_golden_joined(arguments: list[str]) -> list[str]:
    """``--golden DIR`` as one argument with a full path: pytest takes a separate DIR for a folder with tests."""
    joined = list(arguments)
    while "--golden" in joined[:-1]:
        at = joined.index("--golden")
        joined[at : at + 2] = [f"--golden={Path(joined[at + 1]).absolute()}"]
    return joined


def main(python: Path, pytest_arguments: list[str]) -> int:
    """Run everything; the exit status of the first check that fails, else pytest's."""
    for what, command in (
        ("lint", [python, "-m", "ruff", "check", "."]),
        ("formatting", [python, "-m", "ruff", "format", "--check", "."]),
    ):
        say(f"Checking {what}.")
        status = run(command)
        if status:
            return status
    reason = why_no_blender()
    if reason:
        say(f"Tests in a real Blender window are skipped: {reason}")
    environment = clean_environment(**({"ESPALIER_NO_BLENDER": reason} if reason else {}))
    return run([python, "-P", "-m", "pytest", *_with_golden_joined(pytest_arguments)], environment)
