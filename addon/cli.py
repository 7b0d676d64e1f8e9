# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier ...``: the same as the panel, without a window.

Exit codes: 0 all done, 1 failed, 2 some failed, 4 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time

from . import ids

DONE, FAILED, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 4, 130
PUMP_SECONDS = 0.05
JOBS_FOLDER = ".espalier"
# Metres. Beyond these an object has no shape in single precision, or cannot be seen in Blender.
SHORTEST, LONGEST = 0.0001, 1_000_000


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """Ctrl-C, or a signal to end."""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise SystemExit(self._say(message))

    def _say(self, message):
        # The list of options would bury the sentence.
        print(f"{self.prog}: {message.rstrip('.')}. “{self.prog} --help” lists what can be given.", file=sys.stderr)
        return BAD_INPUT


def parser():
    """The command line's arguments. Every command names in ``start`` what runs it, and may name in ``check`` what tells
    why the arguments do not fit each other, as a sentence.
    """
    from .commands import COMMANDS

    top = _Parser(prog=f"blender --command {ids.CLI_COMMAND}", description="Turn images into 3D objects.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for command in COMMANDS:
        command.add_to(commands)
    top.set_defaults(check=lambda options: "")
    return top


def add_json(command):
    """Add the argument that every command takes."""
    command.add_argument("--json", action="store_true", help="one JSON object per event, one per line")


def add_common(command):
    """Add the arguments that every command takes for which the engine works."""
    add_json(command)
    command.add_argument("--engine-python", metavar="PATH", default="", help="a Python that has what the engine needs")


def length(text):
    """Return a number of metres, for argparse. Raises ArgumentTypeError for what is none or no size for an object."""
    try:
        metres = float(text)
    except ValueError:
        metres = math.nan
    if not SHORTEST <= metres <= LONGEST:
        raise argparse.ArgumentTypeError(f"“{text}” is no length in metres: give one from {SHORTEST} to {LONGEST:,}.")
    return metres


def main(arguments):
    """Run one command and return its exit code; what Blender calls with the arguments behind ``espalier``."""
    try:
        top = parser()
        if not arguments:
            top.print_help(sys.stderr)
            return BAD_INPUT
        options = top.parse_args(list(arguments))
        sentence = options.check(options)
        if sentence:
            _Parser(prog=f"{top.prog} {options.command}").error(sentence)
    except SystemExit as stop:
        return stop.code or DONE
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    reporter = Reporter(options.json)
    command = options.start(options, reporter)
    try:
        return command.run()
    except Interrupted:
        reporter.event("interrupted", text="Interrupted. What was finished is kept.")
        return INTERRUPTED
    except Exception as error:
        log = command.log_trace()
        sentence = f"Espalier met an error of its own and stopped: {error}."
        reporter.event("failed", text=f"{sentence} Log: {log}", code="internal", sentence=sentence, log=str(log))
        return FAILED
    finally:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)
        command.close()
        for number, handler in previous.items():
            # Blender's own handlers are no Python objects (None): ours must not stay behind them either.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _interrupt(_number, _frame):
    raise Interrupted


class Reporter:
    """Tells what happens: a line for people per stage, or with ``--json`` one object per event on stdout."""

    def __init__(self, as_json):
        self.as_json = as_json

    def event(self, kind, text="", **fields):
        """Report one event. ``text`` is the line for people; nothing is printed for them when it is empty."""
        if self.as_json:
            print(
                json.dumps(
                    {"event": kind, "time": round(time.time(), 3), **fields, **({"text": text} if text else {})}
                ),
                flush=True,
            )
        elif text:
            print(text, file=sys.stderr if kind in {"failed", "bad_input"} else sys.stdout, flush=True)
