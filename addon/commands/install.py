# SPDX-License-Identifier: GPL-3.0-or-later
"""Install Engine without a window, for machines that have none."""

from __future__ import annotations

import time
import traceback

import bpy

from .. import cli, preferences
from ..client.install import EngineInstall, carries_wheels

# The numbers of a running download would be a line twice a second.
LINE_SECONDS = 10.0


def add_to(commands):
    """Add the command to the command line."""
    install = commands.add_parser(
        "install", help="fetch the engine into the data folder, as Install Engine in the panel does"
    )
    cli.add_json(install)
    install.set_defaults(start=Install)


class Install:
    """Makes the engine's environment and tells how far it is."""

    def __init__(self, options, reporter):
        self.reporter = reporter
        self.install = EngineInstall(preferences.data(), preferences.EXTENSION)

    def run(self):
        """Run to the end and return the exit code."""
        if not bpy.app.online_access and not carries_wheels(preferences.EXTENSION):
            return self._fail(
                "offline",
                "Blender may not go online, so the engine cannot be downloaded. Add --online-mode before --command, or "
                "allow it in Preferences, System, Network.",
            )
        step, told = "", float("-inf")
        while not self.install.done:
            self.install.poll()
            name = self.install.text.partition(" ")[0]
            if name != step or time.monotonic() - told >= LINE_SECONDS:
                step, told = name, time.monotonic()
                fraction = self.install.fraction
                self.reporter.event(
                    "progress", text=f"{self.install.text}, {fraction:.0%}", fraction=round(fraction, 3)
                )
            time.sleep(cli.PUMP_SECONDS)
        problem = self.install.problem
        if problem is not None:
            return self._fail(problem.code, problem.sentence, problem.hint, problem.log)
        folder = str(preferences.data() / "engine")
        self.reporter.event("finished", text=f"The engine is installed in {folder}.", folder=folder)
        return cli.DONE

    def close(self):
        """End what still runs; the engine that was there before stays."""
        self.install.cancel()

    def log_trace(self):
        """Write the exception at hand into the log of installations and return the file."""
        log = self.install.log_file
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        return log

    def _fail(self, code, sentence, hint="", log=""):
        text = " ".join(filter(None, [sentence, hint, f"Log: {log}" if log else ""]))
        self.reporter.event("failed", text=text, code=code, sentence=sentence, hint=hint, log=log)
        return cli.FAILED
