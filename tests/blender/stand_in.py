# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that does what a test says, and the hands of the user around it."""

import json
import shutil

import bpy
import numpy as np
from espalier.addon import pump
from espalier.addon.client import EngineState
from espalier.addon.client.engine import Event


class StandIn:
    """An engine that does to each job what the test says, at the next ``poll``."""

    def __init__(self, result):
        self.result, self.python = result, None
        self.state, self.problem, self.broken, self.hello = EngineState.READY, None, False, None
        self.submitted, self.events, self.running, self.memory = [], [], True, {}
        self.obeys, self.waited, self.released = True, False, 0

    def submit(self, job, folder):
        self.submitted.append((job, folder))

    def cancel(self, job):
        if self.obeys:
            self.events.append(Event("cancelled", job))
        return "asked"

    def can_kill(self, _job):
        return self.waited

    def poll(self, _max_seconds):
        events, self.events = self.events, []
        return events

    def progress(self, stage="shape", step=3, of=12):
        data = {"stage": stage, "step": step, "of": of, "eta_s": 40.0, "fraction": 0.25}
        self.events.append(Event("progress", self.submitted[-1][0], data))

    def finish(self):
        job, folder = self.submitted[-1]
        for file in self.result.glob("*.*"):
            shutil.copy(file, folder / file.name)
        (folder / "state.json").write_text(json.dumps({"state": "finished", "created": 1.0}))
        self.events.append(Event("finished", job, {"seconds": {"shape": 2.0}, "peak_memory": {}}))

    def fail(self, code="internal", log=""):
        data = {"code": code, "sentence": "There is nothing in it.", "hint": "Try another.", "log": log}
        self.events.append(Event("failed", self.submitted[-1][0], data))

    def release(self):
        self.released += 1

    def shutdown(self, _seconds=2.0):
        self.running = False


def choose_image(name="red mug.png"):
    image = bpy.data.images.new(name, 8, 8, alpha=True)
    image.pixels.foreach_set(np.tile(np.float32([0.5, 0.25, 0.1, 1.0]), 64))
    bpy.context.scene.espalier.image = image
    return image


def tick(times=3):
    for _ in range(times):
        pump._tick()


def generated(engine):
    """Generate from the image chosen, to the end; the object that stands in the scene then."""
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    return bpy.context.view_layer.objects.active
