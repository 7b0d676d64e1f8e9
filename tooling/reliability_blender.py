# SPDX-License-Identifier: GPL-3.0-or-later
"""One Blender of ``build.py reliability``: the extension in the bpy wheel, with its real engine, until all is done."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bpy

from .. import register, unregister
from ..addon import preferences, pump
from ..addon.client import EnginePython
from ..addon.orders import order_of
from ..addon.session import session
from .demo import SAMPLE
from .reliability import tiny_request


def main(arguments: list[str]) -> int:
    """FOLDER MODEL SEED ORDERS: take over what an earlier Blender left, order new jobs, and build every result."""
    folder, model, seed, orders = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    preferences.data = lambda: folder
    preferences.engine_python = lambda: EnginePython(Path(sys.executable), "preferences")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    register()
    try:
        queue = session.connect()
        for job in queue.store.list():
            if job.forsaken or job.interrupted or _was_interrupted(job):
                session.orders[job.id] = order_of(bpy.context, job.request)
                queue.add(job)
        for number in range(orders):
            request = tiny_request(model, 100 * seed + number)
            session.submit(SAMPLE, SAMPLE.suffix, request, order_of(bpy.context, request))
        while session.is_busy():
            pump._tick()
            link = queue.engine._link
            if link is not None:
                (folder / "engine.pid").write_text(str(link.process.pid))
            time.sleep(0.02)
    finally:
        unregister()
    return 0


def _was_interrupted(job) -> bool:
    """Whether a job was running when its Blender was killed: nobody runs it, and its state says that it runs."""
    state = json.loads((job.folder / "state.json").read_text(encoding="utf-8"))
    return state.get("state") in ("running", "failed") and not (job.folder / "result.json").is_file()
