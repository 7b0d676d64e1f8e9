# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py demo``: an image becomes an object, through the same client, engine and scene code as in Blender.

Runs inside ``build/env``. The engine is a process of its own, and so is Blender (the bpy wheel), as in the product.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from ..addon.client import ClientError, EngineClient, Job, JobQueue, JobStore
from ..addon.request import STARTER, make_request, object_name
from .console import BUILD, ROOT, clean_environment, say
from .picture import compose

SAMPLE = ROOT / "docs" / "images" / "sample.png"
FOLDER = BUILD / "demo"
POLL_SECONDS = 0.05
BAR = 24


class ProgressLine:
    """One line per stage; on a terminal the line of the running stage moves."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._stage = ""
        self._since = self._start = time.monotonic()
        self._shown = ""

    def update(self, job: Job) -> None:
        """Show where ``job`` is now."""
        stage = job.text or job.stage.replace("_", " ") or "starting the engine"
        if stage != self._stage:
            self._end_stage()
            self._stage, self._since = stage, time.monotonic()
            if not self._live:
                left = f", {job.eta_s:.0f} s left" if job.eta_s is not None else ""
                say(f"  {self._percent(job)}  {stage}{left}")
        if self._live:
            filled = round(BAR * (job.fraction or 0.0))
            steps = f" {job.step}/{job.of}" if job.of > 1 else ""
            left = f", about {job.eta_s:.0f} s left" if job.eta_s is not None else ""
            text = f"  [{'#' * filled}{'.' * (BAR - filled)}] {self._percent(job)}  {stage}{steps}{left}"
            if text != self._shown:
                print("\r" + text.ljust(len(self._shown)), end="", flush=True)
                self._shown = text

    def finish(self) -> None:
        """Close the last stage's line."""
        self._end_stage()

    def _end_stage(self) -> None:
        if self._live and self._stage:
            took = time.monotonic() - self._since
            print("\r" + f"  {self._stage}: {took:.1f} s".ljust(len(self._shown)), flush=True)
            self._shown = ""

    @staticmethod
    def _percent(job: Job) -> str:
        return "  - %" if job.fraction is None else f"{100 * job.fraction:3.0f} %"


def generate(image: Path, seed: int, model: Path | None, folder: Path) -> Job:
    """Run one generation on a fresh engine, with the starter model or the set in ``model``. Raises ClientError."""
    engine = EngineClient(Path(sys.executable), ROOT, folder / "engine.log")
    queue = JobQueue(JobStore(folder / "jobs"), engine)
    name = object_name(image.name)
    try:
        request = make_request(name, image.name, seed, STARTER if model is None else model.name, model)
        job = queue.add(queue.store.create(request, image))
        line = ProgressLine()
        while not job.ended:
            line.update(job)
            time.sleep(POLL_SECONDS)
            queue.poll()
        line.finish()
    finally:
        queue.shutdown()
    if job.problem is not None:
        raise ClientError(job.problem.code, job.problem.sentence, job.problem.hint, job.problem.log)
    return job


def build(job: Job, image: Path, seed: int, folder: Path) -> dict[str, Path]:
    """Let Blender make the object, save it and render it; return the files by what they are."""
    files = {kind: folder / f"{job.name}.{kind}" for kind in ("blend", "glb")} | {"views": job.folder / "views.png"}
    command = [sys.executable, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", "blender_scene"]
    command += [job.folder, job.name, image.name, seed, files["blend"], files["glb"], files["views"]]
    log = folder / "blender.log"
    with log.open("wb") as sink:
        status = subprocess.run(
            [str(part) for part in command], env=clean_environment(), stdout=sink, stderr=subprocess.STDOUT
        ).returncode
    if status:
        raise ClientError("blender", f"Blender could not build the object: its log is {log}.")
    return files


def main(arguments: list[str]) -> int:
    """Make the object and its picture, and say where they are."""
    parser = argparse.ArgumentParser(prog="build.py demo", description="Make an object from an image.")
    parser.add_argument("--image", type=Path, default=SAMPLE, help="the image to start from (default: a sample)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives another variation")
    parser.add_argument("--model", type=Path, help="the folder of a model set (default: the starter model)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="where to write (default: build/demo)")
    options = parser.parse_args(arguments)
    model = options.model.absolute() if options.model is not None else None
    folder = options.output.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        name = "the starter model (it knows simple shapes)" if model is None else f"the model in {model}"
        say(f"Making an object from {options.image} with {name}.")
        job = generate(options.image, options.seed, model, folder)
        say("Building it in Blender and rendering it from three sides with Cycles.")
        files = build(job, options.image, options.seed, folder)
    except ClientError as error:
        say(f"build.py demo: {error.problem.sentence}")
        for detail in filter(None, (error.problem.hint, error.problem.log)):
            say(f"  {detail}")
        return 1
    picture = compose(job.folder / "prepared.png", options.image, files["views"], folder / "picture.png")
    say(f"Done in {time.monotonic() - start:.0f} s (generation {sum(job.seconds.values()):.0f} s):")
    for what, path in (("Blender file", files["blend"]), ("glTF file", files["glb"]), ("picture", picture)):
        say(f"  {what:12}  {path}")
    return 0
