# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that are meant to be read by a person."""

from __future__ import annotations

from pathlib import Path


class EspalierError(Exception):
    """A failure a user can act on.

    ``code`` is a stable identifier for programs (``bad_input``, ``bad_weights``, ``no_space``, ...), ``sentence`` says
    what happened and what to do, ``hint`` adds detail that the panel shows on a second line.
    """

    def __init__(self, code: str, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.hint = hint


def unusable_file(path: Path, what: str, hint: str = "") -> EspalierError:
    """A model's file that cannot be used, as a sentence; ``what`` says what it is or does, with a full stop."""
    return EspalierError("bad_weights", f"The model file “{path.name}” {what} Fetch the model again.", hint)


class Cancelled(Exception):  # noqa: N818 - not an error: the user asked for it
    """Raised inside a stage by its ``report`` callback when the job was cancelled."""
