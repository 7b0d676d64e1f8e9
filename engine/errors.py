# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that is meant to be read by a person."""

from __future__ import annotations


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


class Cancelled(Exception):  # noqa: N818 - not an error: the user asked for it
    """Raised inside a stage by its ``report`` callback when the job was cancelled."""
