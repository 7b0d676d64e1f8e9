# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one tool inside ``build/env``, with the checkout loaded as the package ``espalier`` like in the engine."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """``arguments`` is the tool's module name in this folder and what it is to be given."""
    root = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "espalier", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["espalier"] = package
    spec.loader.exec_module(package)
    try:
        return importlib.import_module(f"espalier.tooling.{arguments[0]}").main(arguments[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
