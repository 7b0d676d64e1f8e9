# SPDX-License-Identifier: GPL-3.0-or-later
"""What is offered after a failure: to repeat it where that can help, else what does. The engine is a stand-in."""

import json
import re
from pathlib import Path

import bpy
import pytest
from espalier.addon import remedies as table
from espalier.addon.client import Problem
from espalier.addon.operators.logs import log_file
from espalier.addon.remedies import Remedy, remedies
from espalier.addon.session import Message, session
from espalier.addon.ui.jobs import _draw_use
from espalier.addon.ui.status import draw_status

from .drawn_layout import Layout
from .stand_in import tick

ROOT = Path(__file__).resolve().parents[2]
RETRY, IMAGE, VARIANTS, SETTINGS = "espalier.retry", "espalier.open_image", "espalier.variants", "espalier.recall"
PREFERENCES = "espalier.open_preferences"
OFFERED = {RETRY, IMAGE, VARIANTS, SETTINGS, PREFERENCES}


def offered(draw, *arguments):
    drawn = []
    draw(Layout(drawn), *arguments)
    return [name for name in drawn if name in OFFERED]


def fail(engine, code):
    """Generate, and have the job fail with this code; return what the panel and the list of results offer."""
    bpy.ops.espalier.generate()
    tick()
    engine.fail(code)
    tick()
    session.look()
    session.shelf._scanned = float("-inf")
    tick()
    return offered(draw_status, bpy.context), offered(_draw_use, session.shelf.entries[session.message.job].job)


@pytest.mark.parametrize(
    "code", ["engine_died", "engine_killed", "unresponsive", "interrupted", "no_space", "internal"]
)
def test_what_may_go_well_the_next_time_can_be_run_again(engine, code):
    assert fail(engine, code) == ([RETRY], [RETRY])


@pytest.mark.parametrize(
    ("code", "buttons"),
    [
        ("bad_input", [IMAGE]),
        ("missing_file", [IMAGE]),
        # With BiRefNet, which the preferences fetch, the same image may do.
        ("busy_background", [PREFERENCES, IMAGE]),
        ("empty_result", [VARIANTS, IMAGE]),
        ("bad_settings", [SETTINGS]),
        ("bad_request", [SETTINGS]),
    ],
)
def test_what_always_ends_the_same_way_is_not_repeated_but_changed(engine, code, buttons):
    in_panel, in_list = fail(engine, code)
    assert in_panel == buttons and in_list == [name for name in buttons if name != SETTINGS]


@pytest.mark.parametrize("code", ["missing_model", "bad_weights", "engine_incomplete", "not_writable"])
def test_what_the_preferences_mend_leads_there_and_can_be_run_again_then(engine, code):
    assert fail(engine, code) == ([PREFERENCES, RETRY], [PREFERENCES, RETRY])


def test_a_cancelled_job_can_be_run_again_from_the_list(engine):
    bpy.ops.espalier.generate()
    tick()
    bpy.ops.espalier.cancel()
    tick()
    session.look()
    tick()
    (entry,) = session.shelf.ended()
    assert entry.job.state == "cancelled" and offered(_draw_use, entry.job) == [RETRY]


def test_another_seed_makes_a_job_of_the_same_image_with_the_same_settings(engine):
    bpy.context.scene.espalier.finish.texture_size = "512"
    fail(engine, "empty_result")
    failed = session.shelf.ended()[0].job
    assert bpy.ops.espalier.variants("EXEC_DEFAULT", job=failed.id, count=1) == {"FINISHED"}
    tick()
    _, folder = engine.submitted[-1]
    request = json.loads((folder / "request.json").read_text())
    assert request["seed"] != failed.request["seed"] and request["settings"] == failed.request["settings"]
    assert (folder / "input.png").read_bytes() == failed.input.read_bytes()


@pytest.mark.parametrize("kind", ["generate", "texture", "refinish"])
@pytest.mark.parametrize("code", ["bad_input", "empty_shape", "engine_died", "something unforeseen"])
def test_every_kind_of_job_is_offered_only_what_it_has_a_use_for(kind, code):
    offers = remedies(code, kind)
    assert Remedy.SEED not in offers or kind == "generate"
    assert Remedy.IMAGE not in offers or kind != "refinish"
    assert (Remedy.RETRY in offers) == (code in ("engine_died", "something unforeseen"))


def test_where_no_job_came_about_there_is_none_to_be_run_again(engine):
    session.tell(Problem("not_writable", "Espalier may not write here."))
    assert offered(draw_status, bpy.context) == [PREFERENCES]
    session.tell(Problem("no_space", "The disk is full."))
    assert offered(draw_status, bpy.context) == []


def test_several_failures_share_one_row_for_their_log_which_is_that_of_the_last(engine):
    for _ in range(2):
        bpy.ops.espalier.generate()
    for _ in range(2):
        tick()
        _, folder = engine.submitted[-1]
        (folder / "log.txt").write_text("why")
        engine.fail("internal", str(folder / "log.txt"))
    tick()
    drawn = []
    draw_status(Layout(drawn), bpy.context)
    buttons = [name for name in drawn if name.startswith("espalier.")]
    assert buttons == [RETRY, RETRY, "espalier.open_log", "espalier.copy_report", "espalier.dismiss"]
    # What went well afterwards does not hide the log of what did not.
    session.messages.append(Message("mug: 12 faces"))
    assert log_file() == folder / "log.txt"


def test_messages_can_be_taken_out_of_the_panel_and_their_jobs_stay(engine):
    fail(engine, "bad_input")
    assert bpy.ops.espalier.dismiss() == {"FINISHED"}
    drawn = []
    draw_status(Layout(drawn), bpy.context)
    assert drawn == [] and len(session.shelf.ended()) == 1


def test_every_code_of_the_table_is_one_that_failures_have():
    sources = [*ROOT.glob("engine/**/*.py"), *ROOT.glob("addon/client/*.py")]
    raised = set(re.findall(r'"([a-z_]+)"', "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    assert not set(table._HELPS) - raised
