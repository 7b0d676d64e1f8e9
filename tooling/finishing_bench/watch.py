# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one task in a process of its own and watches its memory from outside; the task marks its steps.

The clock is ``time.monotonic``, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ..console import ROOT, clean_environment

SAMPLE_SECONDS = 0.03
# Finding a process's children asks for every process of the machine: only every so many samples.
FAMILY_EVERY = 10
STEPS_FILE, ANSWER_FILE, LOG_FILE = "steps.jsonl", "answer.json", "log.txt"

NOT_BEGUN: dict[str, Any] = {"status": "", "seconds": 0.0, "peak_gb": 0.0, "steps": {}, "answer": {}}
"""The outcome of a task that was never started."""


class Steps:
    """Written by the task: which step ran from when to when."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / STEPS_FILE).open("w", encoding="utf-8")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside as the step ``name``."""
        begin, used = time.monotonic(), _processor_seconds()
        yield
        self.write(name, begin, used)

    def write(self, name: str, begin: float, used: float) -> None:
        """The step ``name`` began at ``begin`` with ``used`` processor seconds behind it, and ends now."""
        row = {"step": name, "begin": begin, "end": time.monotonic(), "processor": _processor_seconds() - used}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def _processor_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def now() -> tuple[float, float]:
    """What ``Steps.write`` wants of a step that begins now."""
    return time.monotonic(), _processor_seconds()


def answer(folder: Path, result: dict[str, Any]) -> None:
    """Written by the task at its end."""
    (folder / ANSWER_FILE).write_text(json.dumps(result), encoding="utf-8")


def run_task(task: str, folder: Path, limit: float, package: str = "finishing_bench", **request: Any) -> dict[str, Any]:
    """Run ``PACKAGE.TASK`` on the request in ``folder`` for at most ``limit`` seconds; return what came of it.

    ``status``: "finished", "did not finish in N s" or "crashed (why)"; ``seconds`` and ``peak_gb`` of the whole
    process with its children; ``steps``: name to {seconds, processor, peak_gb}; ``answer``: what the task answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (STEPS_FILE, ANSWER_FILE):
        (folder / name).unlink(missing_ok=True)
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", f"{package}.{task}", folder]
    began = time.monotonic()
    with (folder / LOG_FILE).open("wb") as log:
        child = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, env=clean_environment()
        )
        samples, late = _watch(child, limit)
    seconds = time.monotonic() - began
    answered = (folder / ANSWER_FILE).exists() and child.returncode == 0
    status = "finished" if answered else f"did not finish in {limit:.0f} s" if late else _crash(child, folder)
    return {
        "status": status,
        "seconds": seconds,
        "peak_gb": max((memory for _, memory in samples), default=0) / 1e9,
        "steps": _steps(folder, samples),
        "answer": json.loads((folder / ANSWER_FILE).read_text(encoding="utf-8")) if answered else {},
    }


def request_of(arguments: list[str]) -> tuple[Path, dict[str, Any]]:
    """For the task: its folder and what it is to do."""
    folder = Path(arguments[0])
    return folder, json.loads((folder / "request.json").read_text(encoding="utf-8"))


def _watch(child: subprocess.Popen, limit: float) -> tuple[list[tuple[float, int]], bool]:
    """Sample the memory of the process and its children until it ends; kill it after ``limit`` seconds."""
    process, samples, began = psutil.Process(child.pid), [], time.monotonic()
    late, family = False, [process]
    try:
        while child.poll() is None:
            if len(samples) % FAMILY_EVERY == 0:
                family = _family(process)
            samples.append((time.monotonic(), _resident(family)))
            if time.monotonic() - began > limit:
                late = True
                break
            time.sleep(SAMPLE_SECONDS)
    finally:
        if child.poll() is None:
            for descendant in _family(process):
                descendant.kill()
            child.wait()
    return samples, late


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []


def _resident(family: list[psutil.Process]) -> int:
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total


def _crash(child: subprocess.Popen, folder: Path) -> str:
    if child.returncode < 0:
        return f"crashed (signal {-child.returncode})"
    lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"crashed ({lines[-1][:160] if lines else f'code {child.returncode}'})"


def _steps(folder: Path, samples: list[tuple[float, int]]) -> dict[str, dict[str, float]]:
    path = folder / STEPS_FILE
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    steps: dict[str, dict[str, float]] = {}
    for row in rows:
        during = [memory for moment, memory in samples if row["begin"] <= moment <= row["end"]]
        before = [memory for moment, memory in samples if moment < row["begin"]]
        steps[row["step"]] = {
            "seconds": row["end"] - row["begin"],
            "processor": row["processor"],
            "peak_gb": max([*during, *before[-1:]], default=0) / 1e9,
        }
    return steps
