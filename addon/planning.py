# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory the published model takes on this machine: the engine is asked once, when the panel wants to know."""

from __future__ import annotations

import contextlib
from pathlib import Path

from . import preferences
from .client import ClientError, EngineTask


class Planning:
    """``plan`` is what the engine's command ``models plan`` says, None until it has."""

    def __init__(self) -> None:
        self.plan: dict | None = None
        self._wanted = False
        self._task: EngineTask | None = None
        self._asked: Path | None = None

    def want(self) -> None:
        """Have the engine asked, unless it was."""
        self._wanted = True

    def poll(self) -> bool:
        """Ask, or take the answer; true when there is one. An engine that cannot say it is no failure to tell of."""
        if self._task is not None:
            self._task.poll()
            if not self._task.done:
                return False
            plans = [event for event in self._task.events if event["event"] == "plans"]
            self._task, self.plan = None, plans[-1] if plans else None
            return bool(plans)
        if self._wanted:
            self._wanted = False
            with contextlib.suppress(ClientError):
                self._ask()
        return False

    def forget(self) -> None:
        """Ask again when it is wanted: there may be another engine now."""
        self._asked = None

    def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ask(self) -> None:
        python = preferences.engine_python()
        if python is None or python.path == self._asked:
            return
        self._asked = python.path
        data = preferences.data()
        arguments = ["--models", str(data / "models"), "plan"]
        self._task = EngineTask("models", arguments, python.path, preferences.EXTENSION, data / "logs" / "plan.log")
