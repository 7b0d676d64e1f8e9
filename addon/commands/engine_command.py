# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that the engine carries out in a process of its own, while Blender passes on what it says."""

from __future__ import annotations

import json
import subprocess
import traceback

from .. import cli, preferences
from ..client import ClientError, find_python
from ..client.process import kill, start_process

# Events by which the engine says itself why it does not end with 0; a verdict is the doctor's.
_EXPLAINED = {"failed", "bad_input", "verdict"}


class EngineCommand:
    """Runs ``engine/__main__.py NAME ARGUMENTS``. Its stdout has one JSON object per line: an event with ``event``
    (its kind) and mostly ``text``; each goes to the reporter. Its exit code is the command's.
    """

    def __init__(self, options, reporter, name, arguments):
        self.options = options
        self.reporter = reporter
        self.name = name
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self._kinds = set()

    def run(self):
        """Run to the end and return the exit code."""
        try:
            python = self._python()
            extension = preferences.EXTENSION
            command = [str(python), "-I", "-X", "utf8", "-u", str(extension / "engine" / "__main__.py"), self.name]
            self.process = start_process([*command, *self.arguments], self._log())
        except ClientError as error:
            self.reporter.event("failed", text=error.sentence, sentence=error.sentence, hint=error.hint)
            return cli.FAILED
        for line in self.process.stdout:
            self._pass_on(line.decode("utf-8", "replace").rstrip())
        code = self.process.wait()
        known = code in {cli.DONE, cli.FAILED, cli.SOME_FAILED, cli.BAD_INPUT, cli.INTERRUPTED}
        # Python itself ends with 1 when a module cannot be loaded, and with 2 over arguments.
        explained = code in {cli.DONE, cli.INTERRUPTED} or self._kinds & _EXPLAINED
        if not known or not explained:
            sentence = f"The engine stopped by itself while it ran “{self.name}”."
            self.reporter.event(
                "failed", text=f"{sentence} Log: {self._log()}", sentence=sentence, log=str(self._log())
            )
            return cli.FAILED
        return code

    def log_trace(self):
        """Write the exception at hand into a log and return the file."""
        log = self._log().with_name("blender.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        return log

    def close(self):
        """End the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            kill(self.process)
            self.process.wait()

    def _python(self):
        named = self.options.engine_python
        data = preferences.data()
        python = find_python(named, data, preferences.EXTENSION) if named else preferences.engine_python()
        if python is None:
            raise ClientError(
                "no_engine",
                "There is no engine yet. Run the command “install”, or name one with --engine-python.",
            )
        return python.path

    def _log(self):
        return preferences.data() / "logs" / f"{self.name}.log"

    def _pass_on(self, line):
        try:
            fields = json.loads(line)
            kind, text = fields.pop("event"), fields.pop("text", "")
        except (ValueError, KeyError, AttributeError, TypeError):
            return
        self._kinds.add(kind)
        fields.pop("time", None)
        self.reporter.event(kind, text=text, **fields)
