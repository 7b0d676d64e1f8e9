# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one xatlas task in a child process with a limit on its work and reads its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from ... import scratch
from ...errors import Cancelled

WORKER = Path(__file__).with_name("xatlas_worker.py")

_POLL_SECONDS = 0.05

# A child that has not used up its processor time after this many times as long hangs; a busy machine gets patience.
_PATIENCE = 40.0

# xatlas's threads now and then wait for each other for ever, once in some thousand runs. A child that uses no processor
# time at all for so long does that; the same work done again gives what it would have given.
_STALL_SECONDS = 20.0
_STARTS = 3


class _Stalled(Exception):  # noqa: N818 - an outcome that is tried again
    """The child waits for itself."""


class ChildFailed(Exception):  # noqa: N818 - an outcome the caller handles, never shown as it is
    """The child crashed, ran out of time or could not start; the text says which."""


def run_task(task: str, seconds: float, cancelled: Callable[[], bool], **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """Run ``task`` of xatlas_worker.py on ``arrays`` and return its arrays.

    The child is killed after ``seconds`` of processor time (so that the result does not depend on what else the machine
    does), when it hangs, or when ``cancelled()`` turns true; one that stands still is started again. Raises
    ChildFailed, or Cancelled.
    """
    for _ in range(_STARTS):
        try:
            return _run_once(task, seconds, cancelled, arrays)
        except _Stalled:
            continue
    raise ChildFailed(f"the unwrapping process stood still {_STARTS} times")


def _run_once(
    task: str, seconds: float, cancelled: Callable[[], bool], arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    with scratch.folder() as folder:
        np.savez(os.path.join(folder, "work.npz"), task=task, **arrays)
        with open(os.path.join(folder, "log.txt"), "w+", encoding="utf-8", errors="replace") as log:
            try:
                child = subprocess.Popen(
                    [sys.executable, "-I", "-X", "utf8", str(WORKER), folder, str(_PATIENCE * seconds + 30.0)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as error:
                raise ChildFailed(f"the unwrapping process could not start ({error})") from error
            _wait(child, seconds, cancelled)
            done = os.path.join(folder, "done.npz")
            if child.returncode == 0 and os.path.exists(done):
                with np.load(done, allow_pickle=False) as answer:
                    return {name: answer[name] for name in answer.files}
            log.seek(0)
            last = (log.read().strip().splitlines() or ["no message"])[-1][:200]
            raise ChildFailed(f"the unwrapping process ended with code {child.returncode} ({last})")


def _wait(child: subprocess.Popen, seconds: float, cancelled: Callable[[], bool]) -> None:
    """Wait for the child; it never outlives this call."""
    waited = used = moved = 0.0
    try:
        while True:
            try:
                child.wait(_POLL_SECONDS)
                return
            except subprocess.TimeoutExpired:
                waited += _POLL_SECONDS
            if cancelled():
                raise Cancelled
            before, used = used, _processor_seconds(child)
            if used > before:
                moved = waited
            if used >= seconds:
                raise ChildFailed(f"the unwrapping process needed more than {seconds:.0f} s")
            if waited - moved >= _STALL_SECONDS:
                raise _Stalled
            if waited >= _PATIENCE * seconds:
                raise ChildFailed(f"the unwrapping process did not answer within {waited:.0f} s")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _processor_seconds(child: subprocess.Popen) -> float:
    """Return the processor time the child has used so far, over all its threads."""
    try:
        used = psutil.Process(child.pid).cpu_times()
    except psutil.Error:
        return 0.0
    return used.user + used.system
