# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures as a person reads them, and the sentences for what operating systems report."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True)
class Problem:
    """Why something ended: a stable code for programs, a sentence, a hint for a second line, the log file that tells
    more.
    """

    code: str
    sentence: str
    hint: str = ""
    log: str = ""


class ClientError(Exception):
    """Something the user asked for cannot be done. ``sentence`` says what happened and what to do."""

    def __init__(self, code: str, sentence: str, hint: str = "", log: str = "") -> None:
        super().__init__(sentence)
        self.problem = Problem(code, sentence, hint, log)

    @property
    def code(self) -> str:
        """The stable identifier of the failure."""
        return self.problem.code

    @property
    def sentence(self) -> str:
        """What happened and what to do."""
        return self.problem.sentence

    @property
    def hint(self) -> str:
        """More detail, or nothing."""
        return self.problem.hint


def from_os_error(error: OSError, folder: Path) -> ClientError:
    """Put a failure of the file system, met while working in ``folder``, into a sentence.

    The folder may be the preferences' or a command's, so the sentence does not say where another one is chosen.
    """
    detail = error.strerror or str(error)
    if error.errno in _FULL:
        return ClientError(
            "no_space",
            f"The disk that holds {folder} is full. Free some space, or choose another folder.",
            detail,
        )
    if error.errno in _FORBIDDEN:
        return ClientError(
            "not_writable",
            f"Espalier may not write in {folder}. Allow it, or choose another folder.",
            detail,
        )
    return ClientError("file_system", f"The folder {folder} cannot be used: {detail}. Choose another one.", detail)
