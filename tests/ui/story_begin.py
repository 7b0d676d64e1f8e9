# SPDX-License-Identifier: GPL-3.0-or-later
"""First half of the story: the zip is dropped on Blender, the panel set up, an object made, another one cancelled."""

import contextlib
import importlib
import os
import signal
from pathlib import Path

import bpy
from hand import (
    away,
    click,
    drop,
    in_viewport,
    middle,
    press,
    settled,
    tabs,
    tap,
    until,
)
from steps import MODULE, at_rest, extension_session, shot
from story_work import open_section

HOUSE = Path(os.environ["ESPALIER_STORY_IMAGES"]) / "little house.png"
ENABLED = "“espalier” was not installed by the drop"


def install(ui, found):
    """Drop the zip on the window; Enter in the dialog that asks."""
    assert MODULE not in bpy.context.preferences.addons
    x, y = yield from in_viewport(ui, place=(0.5, 0.5))
    yield from drop(ui, [os.environ["ESPALIER_STORY_ZIP"]], x, y)
    shot(ui, "story-01-install")
    yield from tap(ui, "Return")
    yield from until(lambda: MODULE in bpy.context.preferences.addons, ENABLED)


def open_panel(ui, found):
    """N where the sidebar is closed, then the last tab."""
    if not ui.area().spaces.active.show_region_ui:
        yield from in_viewport(ui, "n")
    yield from settled(ui)
    # A click on the tab that is open would close it.
    if ui.region("UI").active_panel_category != "Espalier":
        boxes = yield from tabs(ui)
        yield from click(ui, *middle(boxes[-1]))
    assert ui.region("UI").active_panel_category == "Espalier"
    yield from away(ui)
    yield 0.5


def set_up(ui, found):
    """What stands between the first look and a working starter model: clicks are counted."""
    preferences = importlib.import_module(f"{MODULE}.addon.preferences")
    session, found["clicks"] = extension_session(), 0
    shot(ui, "story-02-first-open")
    if preferences.engine_python() is not None:
        # Another Blender has made it: the data folder is the user's and not the version's.
        return
    yield from press(ui, "extensions.userpref_allow_online")
    yield from until(lambda: bpy.app.online_access, "online access was not allowed")
    yield from press(ui, "espalier.install_engine")
    found["clicks"] = 2
    yield from away(ui)
    yield from until(lambda: session.install is None or session.install.fraction > 0.05, "nothing is fetched", 300)
    shot(ui, "story-03-installing")
    yield from until(lambda: session.install is None, "the engine was not installed in time", 900)
    found["installed"] = session.message.text
    if "could not be downloaded" in session.message.text:
        # No network here: the rest of the story has another Python, named in the preferences.
        addon = bpy.context.preferences.addons[MODULE]
        addon.preferences.engine_python = os.environ["ESPALIER_TEST_PYTHON"]
    assert preferences.engine_python() is not None, session.message
    yield from settled(ui)


def make_room(ui, found):
    """Delete the default cube, go nearer with the wheel, and show textures in Solid view."""
    yield from in_viewport(ui)
    yield from tap(ui, "x", "Return")
    yield from until(lambda: "Cube" not in bpy.data.objects, "the cube is still there")
    yield from wheel(ui, 4, 7)
    # A setting of the viewport, for which a GPU would take Material Preview.
    ui.area().spaces.active.shading.color_type = "TEXTURE"


def look_at_advanced(ui, found):
    """Open Advanced, look, and close it again."""
    header = yield from open_section(ui, "advanced_panel", "_draw_value", 2)
    planning = extension_session().planning
    yield from until(lambda: planning.plan is not None, "the engine did not say whether it has FP8", 120)
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "story-21-advanced")
    yield from click(ui, *header)
    yield from settled(ui)


def wheel(ui, button, times):
    """Turn the mouse wheel: button 4 goes nearer, 5 away."""
    for _ in range(times):
        ui.xdo("click", button)
        yield 0.15


def generate(ui, found):
    """Drop an image on the viewport, choose our entry in the menu, and watch."""
    session = extension_session()
    x, y = yield from in_viewport(ui, place=(0.35, 0.7))
    yield from drop(ui, [HOUSE], x, y)
    shot(ui, "story-04-drop")
    yield from tap(ui, "g")
    yield from until(lambda: session.current() is not None, "the drop started nothing")
    yield from away(ui)
    yield from watch_previews(ui, found)
    item = bpy.context.view_layer.objects.active
    found["made"] = {"name": item.name, "faces": len(item.data.polygons), "image": item["espalier_image"]}
    yield from settled(ui)
    yield 0.5
    shot(ui, "story-08-made")


@contextlib.contextmanager
def engine_held(session):
    """Have the engine stand still meanwhile: without a graphics card it is done sooner than Blender has drawn."""
    engine = session.queue.engine._link.process.pid
    os.kill(engine, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine, signal.SIGCONT)


def watch_previews(ui, found):
    """Take a picture of each live preview; nothing of it may be in the file. Ends when the object stands."""
    session = extension_session()
    before, seen, meshes = set(bpy.data.objects.keys()), [], len(bpy.data.meshes)
    names = {"live-structure.npz": "05-voxels", "live-shape.npz": "06-clay", "live-material.npz": "07-materials"}
    live_view = importlib.import_module(f"{MODULE}.addon.live_view").live_view

    def is_drawn():
        return live_view.shown == session.current().live and live_view._reading is None and live_view._batch is not None

    while not at_rest():
        yield 0.02
        job = session.current()
        if job is None or job.live is None or job.live.name in seen:
            continue
        with engine_held(session):
            yield from until(is_drawn, f"{job.live.name} is not drawn")
            yield 0.2
            seen.append(job.live.name)
            shot(ui, f"story-{names[seen[-1]]}")
        assert set(bpy.data.objects.keys()) == before and len(bpy.data.meshes) == meshes
    assert not session.message.is_error, session.message
    assert live_view.shown is None
    found["previews"] = seen


def cancel(ui, found):
    """Generate once more from the panel with another seed, press the cross, and keep what there is; then undo that."""
    session = extension_session()
    before = sorted(bpy.data.objects.keys())
    yield from press(ui, "espalier.generate")
    yield from until(lambda: session.current() is not None and session.current().live, "nothing was shown", 120)
    with engine_held(session):
        yield from press(ui, "espalier.cancel", smallest=True)
        yield from away(ui)
    yield from until(lambda: session.current() is None, "the job goes on though it was cancelled")
    found["cancelled"] = session.message.text
    assert sorted(bpy.data.objects.keys()) == before
    yield from settled(ui)
    shot(ui, "story-09-cancelled")
    yield from press(ui, "espalier.keep_preview")
    yield from until(lambda: len(bpy.data.objects) == len(before) + 1, "nothing was kept")
    found["kept"] = bpy.context.view_layer.objects.active.name
    yield from in_viewport(ui, "ctrl+z")
    yield from until(lambda: sorted(bpy.data.objects.keys()) == before, "undo left what was kept")


def queue_three(ui, found):
    """Move the first object aside with keys, then drop three images at once."""
    session = extension_session()
    yield from in_viewport(ui)
    yield from tap(ui, "g", "x", "minus", "1", "period", "2", "5", "Return")
    yield from until(lambda: bpy.data.objects["little house"].location.x == -1.25, "the house was not moved")
    yield from wheel(ui, 5, 2)
    names = ("mug", "mushroom", "lamp")
    x, y = yield from in_viewport(ui, place=(0.35, 0.7))
    yield from drop(ui, [HOUSE.parent / f"{name}.png" for name in names], x, y)
    yield from tap(ui, "g")
    yield from until(lambda: len(session.waiting()) == 2, "not all three images are in the queue")
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "story-10-queue")
    yield from until(at_rest, "the queue did not end", 600)
    assert not any(message.is_error for message in session.messages), session.messages
    found["row"] = {name: round(bpy.data.objects[name].location.x, 3) for name in names}
    yield from settled(ui)
    shot(ui, "story-11-row")
