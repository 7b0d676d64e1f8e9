# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender, beside the installed extension: presses what an artist would press, and notes what happens.

The argument behind ``--`` is a JSON file: ``notes`` (a folder), ``python`` (the engine's), ``zip`` (of the extension),
``model`` (the tiny set), ``image``, ``job`` ("work", "repeat" or "ticks") and what that job needs; with ``go``, "work"
begins when that file appears. In a window Blender's own timers drive everything; in the wheel, which has none, a loop
does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import types
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.espalier"
TASK = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text(encoding="utf-8"))
NOTES = Path(TASK["notes"])
PAUSE = 0.02


def note(name: str, value: object) -> None:
    """Write what a process outside waits for, whole or not at all."""
    part = NOTES / f".{name}"
    part.write_text(json.dumps(value), encoding="utf-8")
    part.replace(NOTES / name)


def enable() -> None:
    """Enable the extension and name the engine's Python."""
    if MODULE not in bpy.context.preferences.addons:
        folder = Path(bpy.utils.user_resource("EXTENSIONS")) / "user_default" / "espalier"
        if not folder.is_dir():
            bpy.ops.extensions.package_install_files(filepath=TASK["zip"], repo="user_default", enable_on_install=False)
        bpy.ops.preferences.addon_enable(module=MODULE)
    bpy.context.preferences.addons[MODULE].preferences.engine_python = TASK["python"]


def part(name: str) -> types.ModuleType:
    """A module of the extension."""
    return importlib.import_module(f"{MODULE}.{name}")


def tiny_request(seed: int) -> dict:
    """The request of a job on the tiny set."""
    made = part("addon.request").make_request(
        "square", "sample.png", seed, "tiny", TASK["model"], texture_size=128, faces=500
    )
    return {**made, "settings": {**made["settings"], "quality": "starter"}, "live": True}


def starter_request(seed: int) -> dict:
    """The request of a job on the starter model."""
    return {**part("addon.request").make_request("house", "sample.png", seed), "live": True}


def submit(request: dict):
    """Order a job at the cursor."""
    order = part("addon.orders").order_here(bpy.context)
    return part("addon.session").session.submit(Path(TASK["image"]), ".png", request, order)


def look():
    """Have the store read, as the panel does when it is drawn, and wait until that is done."""
    session = part("addon.session").session
    session.look()
    while session.shelf._scanned == float("-inf") or session.shelf._unread:
        yield
    return session


def is_over(session) -> bool:
    """Whether nothing moves any more."""
    return not session.is_busy() and not session.ready


def work():
    """Take up what earlier Blenders left, by the buttons that offer it, order ``orders`` more, and work all of it off.

    With ``endless`` it goes on ordering, for as long as it lives.
    """
    session = yield from look()
    queue = session.connect()
    pump = part("addon.pump")
    place = pump.place

    def placed(job_id, context):
        note("building", job_id)
        place(job_id, context)

    pump.place = placed
    offered = {job.id: "waiting" for job in session.shelf.forsaken()}
    offered |= {
        entry.job.id: "interrupted" if entry.job.interrupted else entry.job.state for entry in session.shelf.ended()
    }
    note("offered", offered)
    while "go" in TASK and not Path(TASK["go"]).exists():
        yield
    if "waiting" in offered.values():
        bpy.ops.espalier.queue_earlier("EXEC_DEFAULT")
    for job_id, state in offered.items():
        if state in ("failed", "cancelled", "interrupted"):
            bpy.ops.espalier.retry("EXEC_DEFAULT", job=job_id)
        elif state == "finished":
            bpy.ops.espalier.place_result("EXEC_DEFAULT", True, job=job_id)
    yield
    note("ordering", True)
    for number in range(TASK["orders"]):
        submit(tiny_request(100 * TASK["seed"] + number))
    note("ordered", [job.id for job in queue.jobs.values()])
    number = TASK["orders"]
    while TASK["endless"] or not is_over(session):
        if TASK["endless"] and not queue.waiting and TASK["orders"]:
            submit(tiny_request(100 * TASK["seed"] + number))
            number += 1
        link = queue.engine._link
        if link is not None:
            note("engine", link.process.pid)
        yield
    note("done", {job.id: job.state for job in queue.jobs.values()})


def repeat():
    """Make ``jobs`` objects one after the other, every ``every``-th with the starter model; take each away again."""
    session = yield from look()
    queue = session.connect()
    used = []
    # Without a window Blender keeps no steps to undo before it is told to; an artist's does, and each holds a result.
    bpy.ops.ed.undo_push(message="Begin")
    for number in range(TASK["jobs"]):
        with_starter = number % TASK["every"] == 0
        job = submit(starter_request(number) if with_starter else tiny_request(number))
        while not is_over(session):
            yield
        if job.state != "built":
            note("failed", f"Job {number} is {job.state}: {job.problem and job.problem.sentence}")
            return
        bpy.data.batch_remove([item for item in bpy.data.objects if item.get("espalier_job") == job.id])
        bpy.ops.outliner.orphans_purge("EXEC_DEFAULT", True, do_recursive=True)
        if not with_starter:
            used.append((queue.engine._link.process.pid, os.getpid()))
            note("rest", [number, *used[-1]])
            while not (NOTES / f"measured-{number}").exists():
                yield
    note("done", True)


def ticks():
    """Time every tick of the add-on's timer while jobs run and are built, and build one large result."""
    session = part("addon.session").session
    pump, live_view = part("addon.pump"), part("addon.live_view").live_view
    tick, place = pump._tick, pump.place
    rows: list[dict] = []
    built: list[str] = []

    def placed(job_id, context):
        built.append(job_id)
        place(job_id, context)

    def timed() -> float:
        built.clear()
        job = session.current()
        live, wall, used = live_view.shown, time.perf_counter(), time.thread_time()
        pause = tick()
        row = {"wall": time.perf_counter() - wall, "used": time.thread_time() - used}
        row["stage"] = (job.stage or "waiting") if job is not None else "idle"
        rows.append({**row, "built": built[0] if built else "", "live": live_view.shown != live})
        return pause

    pump.place = placed
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    bpy.app.timers.register(timed, persistent=True)
    pump._tick = timed
    show_panel()
    # Pressing Generate does that.
    part("addon.scene")
    session.look()
    for _ in range(int(2 / PAUSE)):
        yield
    for number in range(TASK["jobs"]):
        submit(starter_request(number) if number < TASK["starter_jobs"] else tiny_request(number))
        while not is_over(session):
            yield
    queue = session.connect()
    for folder in map(Path, TASK["large"]):
        stored = queue.store.read(folder)
        job = type(next(iter(queue.jobs.values())))(stored.id, folder, stored.name, state="finished")
        queue.jobs[job.id] = job
        session.orders[job.id] = part("addon.orders").order_here(bpy.context)
        session.ready.append(job.id)
        while not is_over(session):
            yield
        for _ in range(int(1 / PAUSE)):
            yield
    for file in TASK["live"]:
        job = submit(tiny_request(900))
        while not job.ended:
            if job.stage:
                job.live = Path(file)
            yield
        while not is_over(session):
            yield
    note("done", rows)


def show_panel() -> None:
    """Open the sidebar, where Blender has a window."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.show_region_ui = True


def step(steps) -> float | None:
    """One step of the task in Blender's event loop; the last one ends Blender."""
    try:
        next(steps)
        return PAUSE
    except StopIteration:
        bpy.context.preferences.use_preferences_save = False
        bpy.ops.wm.quit_blender()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    return None


def main() -> None:
    """Start the task and let Blender, or a loop in its place, drive it."""
    enable()
    bpy.context.preferences.view.show_splash = False
    steps = {"work": work, "repeat": repeat, "ticks": ticks}[TASK["job"]]()
    if bpy.app.background:
        pump = part("addon.pump")
        for _ in steps:
            pump._tick()
            time.sleep(PAUSE)
        bpy.ops.preferences.addon_disable(module=MODULE)
    else:
        bpy.app.timers.register(lambda: step(steps), first_interval=0.5, persistent=True)


main()
