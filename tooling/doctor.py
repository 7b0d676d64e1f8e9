# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py doctor``: what works here and what does not, as the engine says it. Runs inside ``build/env``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from ..addon.client import data_folder
from .console import ROOT, clean_environment, say


def main(arguments: list[str]) -> int:
    """Print the report, or with ``--json`` one object per line; 0 when all that is needed works, else 1."""
    parser = argparse.ArgumentParser(prog="build.py doctor", description="Say what works here and what does not.")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--data", type=Path, default=data_folder(), help="the data folder (default: the user's)")
    options = parser.parse_args(arguments)
    command = [sys.executable, "-I", "-X", "utf8", "-u", str(ROOT / "engine" / "__main__.py"), "doctor"]
    command += ["--data", str(options.data.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment(), encoding="utf-8") as process:
        for line in process.stdout or ():
            say(line.rstrip() if options.json else json.loads(line)["text"])
    return process.returncode
