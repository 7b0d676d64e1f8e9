# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a job is and how long it will take, judged by what the stages of earlier jobs took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import protocol

# Weight of the earlier jobs' speed against this job's own, as a share of the whole job.
_PRIOR = 0.1
_LOOK_BACK = 50


class StageClock:
    """Times the stages of one job. ``expected`` has the seconds that each stage took in an earlier job, or is empty."""

    def __init__(self, expected: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._expected = dict(expected)
        self._now = now
        self._done: dict[str, float] = {}
        self._begun = self._start = now()
        self._fraction = 0.0
        self.stage = ""

    def enter(self, stage: str) -> bool:
        """Note the stage that runs now; true when it is another one than before. A stage may be entered again."""
        if stage == self.stage:
            return False
        self._done = self.seconds()
        self.stage, self._start = stage, self._now()
        return True

    def seconds(self) -> dict[str, float]:
        """Return the seconds spent in each stage so far, the current one included."""
        if not self.stage:
            return {}
        return {**self._done, self.stage: self._done.get(self.stage, 0.0) + self.in_stage()}

    def in_stage(self) -> float:
        """Return the seconds since the current stage was entered."""
        return self._now() - self._start

    def estimate(self, step: int, of: int) -> tuple[float | None, float | None]:
        """Return (fraction of the job that is done, seconds left) after ``step`` of ``of`` steps of the current stage.

        (None, None) without an earlier job to compare with. The fraction never falls.
        """
        total = sum(self._expected.values())
        if total <= 0.0:
            return None, None
        behind = sum(self._expected.get(stage, 0.0) for stage in self._done if stage != self.stage)
        done = behind + self._expected.get(self.stage, 0.0) * (min(step, of) / of if of > 0 else 0.0)
        self._fraction = max(self._fraction, min(1.0, done / total))
        prior = _PRIOR * total
        speed = (self._now() - self._begun + prior) / (done + prior)
        return round(self._fraction, 4), round(speed * (total - done), 2)


def earlier_seconds(folder: Path, request: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds per stage of the newest finished job in the same store with the same kind, model and
    quality.
    """
    try:
        siblings = sorted((path for path in folder.parent.iterdir() if path != folder), key=_changed, reverse=True)
    except OSError:
        return {}
    wanted = _signature(request)
    for sibling in siblings[:_LOOK_BACK]:
        state = protocol.read_json(sibling / protocol.STATE_FILE) or {}
        seconds = state.get("seconds")
        if state.get("state") not in (protocol.FINISHED, protocol.BUILT) or not isinstance(seconds, dict):
            continue
        if _signature(protocol.read_json(sibling / protocol.REQUEST_FILE) or {}) == wanted:
            return {str(k): float(v) for k, v in seconds.items() if isinstance(v, int | float)}
    return {}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _signature(request: Mapping[str, Any]) -> tuple[Any, ...]:
    settings, model = request.get("settings"), request.get("model")
    return (
        request.get("kind"),
        settings.get("quality") if isinstance(settings, dict) else None,
        model.get("set") if isinstance(model, dict) else None,
    )
