# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed, what is missing and what that costs, and whether the engine works: for people and bug reports."""

from __future__ import annotations

import platform
import tomllib
from pathlib import Path

import bpy

from .. import cli, ids, preferences
from ..client import ClientError
from .engine_command import EngineCommand


def add_to(commands):
    """Add the command to the command line."""
    doctor = commands.add_parser("doctor", help="say what works here and what does not, for a bug report")
    cli.add_common(doctor)
    doctor.set_defaults(start=Doctor)


class Doctor(EngineCommand):
    """Tells about Blender, then lets the engine tell about itself: exit code 0 when all that is needed works."""

    def __init__(self, options, reporter):
        data, trellis2 = preferences.data(), preferences.trellis2_folder()
        given = ["--data", str(data), *(["--trellis2", str(trellis2)] if trellis2 else [])]
        super().__init__(options, _Private(reporter), "doctor", given)

    def run(self):
        """Run to the end and return the exit code."""
        facts = {
            "blender": bpy.app.version_string,
            "build": bpy.app.build_hash.decode("ascii", "replace"),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "espalier": _version(),
            "module": ids.PACKAGE,
            "data": str(preferences.data()),
            "online": bpy.app.online_access,
            "engine": self._engine(),
        }
        lines = [
            f"Blender {facts['blender']} ({facts['build']}), Python {facts['python']}, {facts['platform']}",
            f"Espalier {facts['espalier']} as {facts['module']}, online access {'on' if facts['online'] else 'off'}",
            f"data folder {facts['data']}",
            f"engine {facts['engine']}",
        ]
        self.reporter.event(
            "finding", text="  blender    " + ("\n" + 13 * " ").join(lines), name="blender", facts=facts
        )
        return super().run()

    def _engine(self):
        if self.options.engine_python:
            return f"{self.options.engine_python}, named on the command line"
        try:
            python = preferences.engine_python()
        except ClientError as error:
            return error.sentence
        return "not installed" if python is None else f"{python.path}, {python.origin}"

    def _log(self):
        # The data folder may be what is wrong.
        return Path(bpy.app.tempdir) / "doctor.log"


class _Private:
    """A reporter that shows the home folder, which has the user's name, as ``~``. The engine does so by itself."""

    def __init__(self, reporter):
        self._reporter = reporter

    def event(self, kind, text="", **fields):
        """Report one event."""
        self._reporter.event(kind, text=_without_home(text), **_without_home(fields))


def _without_home(value):
    if isinstance(value, dict):
        return {key: _without_home(entry) for key, entry in value.items()}
    home = str(Path.home())
    return value.replace(home, "~") if isinstance(value, str) and len(home) > 1 else value


def _version():
    with (preferences.EXTENSION / "blender_manifest.toml").open("rb") as file:
        return tomllib.load(file)["version"]
