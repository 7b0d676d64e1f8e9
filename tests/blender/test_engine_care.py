# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's memory is shown and comes back. The engine is a stand-in, told what to say."""

from pathlib import Path

import bpy
import pytest
from espalier.addon import preferences, pump
from espalier.addon.client import EngineState
from espalier.addon.operators.report import report
from espalier.addon.session import session
from espalier.addon.ui.engine_panel import describe, summary

from .stand_in import tick

HELLO = {
    "version": "1",
    "python": "3.11.2",
    "torch": "2.9",
    "device": {"type": "cuda", "name": "Card 8 GB"},
    "memory": {"total": 2**34},
}


def test_the_header_tells_what_the_card_holds_and_the_section_what_is_free(engine):
    engine.hello, engine.memory = HELLO, {"used": 2**30, "free": 2**33, "device_used": 3 * 2**30, "device_free": 2**31}
    assert summary(engine) == "Card 8 GB · 3.0 GB, 2.0 free"
    lines = describe(engine)
    assert lines[0] == "Card 8 GB" and "3.0 GB used, 2.0 GB free (card)" in lines
    assert "1.0 GB used, 8.0 GB free (computer)" in lines


def test_without_a_card_the_header_tells_of_the_computers_memory(engine):
    engine.hello = {**HELLO, "device": {"type": "cpu", "name": "Some Processor 3000"}}
    assert summary(engine) == "CPU"
    engine.memory = {"used": 2**30, "free": 2**33}
    assert summary(engine) == "CPU · 1.0 GB, 8.0 free"


def render():
    scene = bpy.context.scene
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "CYCLES", 4, 4
    scene.cycles.samples = 1
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    bpy.ops.render.render()


@pytest.mark.parametrize(("device", "given"), [("cuda", 1), ("cpu", 0)])
def test_an_engine_without_work_leaves_the_card_to_a_render(engine, device, given):
    engine.hello = {**HELLO, "device": {"type": device, "name": "x"}}
    tick()
    assert engine.released == 0
    render()
    tick()
    assert engine.released == given


def test_a_render_takes_nothing_from_a_job_that_runs(engine):
    engine.hello = HELLO
    bpy.ops.espalier.generate()
    tick()
    render()
    tick()
    assert engine.released == 0 and session.queue.running is not None


def test_an_engine_that_is_off_says_that_it_holds_nothing(engine):
    engine.state = EngineState.STOPPED
    assert summary(engine) == "Off" and describe(engine) == ["Not running, holds no memory"]
    assert summary(None) == "Off"


def test_an_idle_engine_stops_after_its_time_and_not_before(engine, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tick()
    now[0] += preferences.idle_seconds() - 1
    tick()
    assert engine.running
    now[0] += 2
    tick()
    assert not engine.running


def test_the_window_does_not_wait_for_an_idle_engine_to_leave(engine, monkeypatch):
    waits = []
    monkeypatch.setattr(engine, "shutdown", waits.append)
    monkeypatch.setattr(preferences, "idle_seconds", lambda: 1e-9)
    tick()
    assert set(waits) == {0.0}
    monkeypatch.undo()


def test_an_engine_with_jobs_is_never_stopped(engine, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    session.queue.on_hold = True
    bpy.ops.espalier.generate()
    tick()
    now[0] += 1e6
    tick()
    assert engine.running


def test_zero_minutes_mean_never(engine, monkeypatch):
    monkeypatch.setattr(preferences, "idle_seconds", lambda: None)
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tick()
    now[0] += 1e6
    tick()
    assert engine.running


def test_the_report_tells_versions_messages_and_the_end_of_the_log(engine):
    log = preferences.data() / "logs" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("first line\n" + "x" * 20_000 + "\nthe cause of it\n")
    bpy.ops.espalier.generate()
    tick()
    engine.fail()
    tick()
    text = report()
    assert bpy.app.version_string in text and "There is nothing in it." in text
    assert text.rstrip().endswith("the cause of it") and "first line" not in text


def test_an_exception_in_a_tick_is_told_and_the_timer_goes_on(engine, monkeypatch):
    def broken(_seconds):
        raise KeyError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(session, "poll", broken)
        assert pump._tick() == pump.IDLE_SECONDS
    assert session.message.is_error and "nobody thought of this" in Path(session.message.log).read_text()
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    assert len(bpy.data.objects) == 1
