#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one entry for people: ``python3 build.py COMMAND``. Needs Python 3.11 and nothing else; it installs the rest."""

from __future__ import annotations

import sys

from tooling import checks, environment, locks, package
from tooling.console import ROOT, CommandError, run, say

USAGE = """usage: python3 build.py COMMAND [arguments]

  demo [--image PATH]    make an object from an image, with a picture of it, in build/demo
  test [arguments]       run every check and test; arguments go to pytest
  test --golden DIR      compare with the reference cases of a folder, tensor by tensor
  doctor [--json]        say what works here and what does not, for a bug report
  extension              write dist/espalier-<version>.zip, for Blender's "Install from Disk"
  wheels                 make the engine's lock files in wheels/ anew from requirements/engine.txt
  bench                  measure what the README states, into build/bench
  bench engine           measure the networks at full size on a GPU, at small sizes without one
  bench finishing        measure finishing on a fixed set of objects, beside other tools
  reliability            kill engine and Blender at random moments, run for long, count what is lost
  train --preset NAME    train a model set
  eval [--count N]       measure the starter model on objects it has never seen
  random-set FOLDER      write the published model set at full size (18 GB) with random weights

Everything runs in build/env, which the first command makes."""

ENGINE = ROOT / "engine" / "__main__.py"
IN_ENVIRONMENT = {"demo": "demo", "bench": "bench", "doctor": "doctor", "reliability": "reliability"}
IN_ENGINE = ("train", "eval", "random-set")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command == "test":
        return checks.main(environment.ensure(), rest)
    if command == "extension":
        return package.main()
    if command == "wheels":
        return locks.main(environment.ensure_resolver())
    if command in IN_ENVIRONMENT:
        python = environment.ensure()
        return run([python, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", IN_ENVIRONMENT[command], *rest])
    if command in IN_ENGINE:
        python = environment.ensure()
        return run([python, "-I", "-X", "utf8", "-u", ENGINE, command, *rest])
    say(USAGE)
    return 0 if command in ("help", "-h", "--help") else 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CommandError as failure:
        sys.exit(f"build.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
