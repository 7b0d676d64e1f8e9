# SPDX-License-Identifier: GPL-3.0-or-later
"""From whatever a job raised to the one sentence that a person reads."""

from __future__ import annotations

import errno
from pathlib import Path

from .errors import EspalierError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def explain(error: BaseException, folder: Path) -> EspalierError:
    """Return the readable form of what a job in ``folder`` raised; an EspalierError is readable already."""
    if isinstance(error, EspalierError):
        return error
    if isinstance(error, OSError) and error.errno in _FULL:
        return EspalierError(
            "no_space", f"The disk that holds {folder} is full. Free some space, then run the job again.", _line(error)
        )
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        where = error.filename or folder
        return EspalierError(
            "not_writable", f"Espalier may not use {where}. Allow it, or choose another folder.", _line(error)
        )
    if ran_out_of_memory(error):
        return EspalierError(
            "out_of_memory",
            "There is not enough memory for this job. Close other programs, or choose a lower quality.",
            _line(error),
        )
    if isinstance(error, ModuleNotFoundError):
        return EspalierError(
            "engine_incomplete",
            f"The engine's Python lacks the module {error.name}. Press Install Engine to repair it.",
            _line(error),
        )
    if isinstance(error, FileNotFoundError):
        return EspalierError(
            "missing_file", f"The file {error.filename} is not there. Start the job again from its image.", _line(error)
        )
    return EspalierError(
        "internal",
        "The engine met an error that it does not know. The log has the details; running the job again may help.",
        _line(error),
    )


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether host or device had no memory left; torch raises a RuntimeError of its own."""
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_MEMORY)


def _line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
