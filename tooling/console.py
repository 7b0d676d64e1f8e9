# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are, how the commands speak to a person, and how they start programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DIST = ROOT / "dist"
LOGS = BUILD / "logs"


class CommandError(Exception):
    """A command cannot go on; the text is one sentence that says what happened and what to do."""


def say(text: str) -> None:
    """Print one line at once, also through a pipe."""
    print(text, flush=True)


def megabytes(size: float) -> str:
    """``size`` in bytes as a person reads it."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 2e6 else f"{size / 1e3:.0f} kB"


def folder_size(folder: Path) -> int:
    """Bytes of the files in ``folder``, links not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(os.path.join(parent, name)).st_size
    return total


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment for our own programs: without what would lead another Python or library into them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_"))}
    return {**kept, "PYTHONUTF8": "1", **extra}


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> int:
    """Run ``command`` in the repository's folder with the terminal passed through; return its exit status."""
    sys.stdout.flush()
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment or clean_environment()).returncode


def run_logged(command: list[str | Path], log: Path, show: Callable[[str], str]) -> int:
    """Run ``command``, write every line it prints to ``log`` and print what ``show`` makes of it, if anything."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as sink:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        for line in process.stdout:
            sink.write(line)
            shown = show(line)
            if shown:
                say("    " + shown)
        return process.wait()
