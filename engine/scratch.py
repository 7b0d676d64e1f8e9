# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary folders of the engine, cleared away even when the engine that made them was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "espalier-unwrap-"
# No work in one of them takes so long.
OLD_SECONDS = 24 * 3600.0


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder, which goes with its ``with`` block. Raises OSError."""
    return tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)


def clear_left_behind() -> None:
    """Remove what engines of this user left behind long ago, as far as it can be."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            state = path.lstat()
        except OSError:
            continue
        mine = not hasattr(os, "getuid") or state.st_uid == os.getuid()
        if mine and not path.is_symlink() and time.time() - state.st_mtime > OLD_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
