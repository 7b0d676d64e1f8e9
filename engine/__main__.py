# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap of the engine process: load the extension folder as the package ``espalier``, then run one command.

Started as ``python -I -X utf8 -u <extension>/engine/__main__.py COMMAND [ARGUMENTS]``. The folder may be called
anything (a checkout, ``bl_ext/user_default/espalier``), so the package is loaded from its path and nothing is put on
``sys.path``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

# Set by whoever starts a command and keeps its stdin open for as long as it lives.
LEAVE = "ESPALIER_LEAVE_WITH_STDIN"
# Torch's library for CPUs keeps what it compiled for every shape of a product, and torch keeps it beside, 1024 of them
# each if left alone: 3 MB a job, for each picture has other lengths. A stage repeats fewer than these.
SHAPES_KEPT = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "32", "LRU_CACHE_CAPACITY": "32"}
COMMANDS = {
    "serve": ".engine.server",
    "assets": ".engine.starter.dataset",
    "train": ".engine.training.command",
    "eval": ".engine.training.evaluate",
    "bench": ".engine.bench",
    "random-set": ".engine.weights.random_set",
    "models": ".engine.weights.models_command",
    "doctor": ".engine.doctor",
    "convert": ".engine.convert",
}


def load_package() -> None:
    """Make the extension folder importable as ``espalier`` without executing its Blender side."""
    root = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "espalier", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"The extension folder {root} has no __init__.py.")
    package = importlib.util.module_from_spec(spec)
    sys.modules["espalier"] = package
    spec.loader.exec_module(package)


def leave_with_starter() -> None:
    """End this process, and what it started, when whoever holds the other end of stdin is gone: a Blender that was
    killed must not leave a download of gigabytes behind.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, name="starter", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run one engine command and return its exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: engine {{{'|'.join(COMMANDS)}}} [arguments]", file=sys.stderr)
        return 2
    # Not for the programs that it starts in turn, whose stdin is another one.
    if os.environ.pop(LEAVE, ""):
        leave_with_starter()
    for name, value in SHAPES_KEPT.items():
        os.environ.setdefault(name, value)
    load_package()
    module = importlib.import_module(COMMANDS[arguments[0]], "espalier")
    return module.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
