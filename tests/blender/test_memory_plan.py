# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality choice says how each quality goes with the memory of this computer, and which cannot be had."""

import sys
import time
from pathlib import Path

import bpy
import pytest
from espalier.addon import preferences
from espalier.addon.client import EnginePython
from espalier.addon.memory_plan import in_words, too_big
from espalier.addon.operators.generate import no_model, why_not
from espalier.addon.operators.texture import why_not_texture
from espalier.addon.session import session
from espalier.addon.ui import panels
from espalier.addon.ui.advanced_panel import draw_advanced

from .stand_in import tick
from .test_finish_settings import Layout

GIB = 2**30


def plans(device="cuda"):
    """An answer of the engine for a card of 16 GB."""
    generate = {"512": ("fits", 9.1), "1024_cascade": ("turns", 11.5), "1536_cascade": ("too_big", 21.4)}
    texture = {"512": ("fits", 6), "1024": ("fits", 9), "1536": ("turns", 12)}
    kinds = {"generate": generate, "texture": texture}
    int8 = {"generate": generate | {"1536_cascade": ("turns", 14.5)}, "texture": texture}
    return {
        "event": "plans",
        "device": device,
        "total": 16 * GIB,
        "plans": facts(kinds),
        "int8": facts(int8),
        "no_fp8": "" if device == "cuda" else "FP8 needs a card",
    }


def facts(kinds):
    return {
        job: {name: {"mode": mode, "peak_bytes": int(peak * GIB)} for name, (mode, peak) in each.items()}
        for job, each in kinds.items()
    }


@pytest.fixture
def panel(engine, monkeypatch, tmp_path):
    """The settings of the panel, with the weights of the published model at hand."""
    monkeypatch.setattr(preferences, "trellis2_folder", lambda: tmp_path)
    settings = bpy.context.scene.espalier
    settings.model = "TRELLIS2"
    return settings


class Drawn(Layout):
    """Also writes down which quality can be chosen."""

    def __init__(self, drawn, parent=None):
        super().__init__(drawn, parent)
        self.enabled = True

    def _part(self, **_options):
        return Drawn(self.drawn, self)

    row = column = split = _part

    def prop_enum(self, _owner, _name, value):
        self.drawn[value] = self.enabled


def drawn(panel):
    calls = {}
    panels._draw_model(Drawn(calls), panel, bpy.context)
    return calls, " ".join(calls["labels"])


def test_before_the_engine_has_said_anything_every_quality_can_be_chosen(panel):
    calls, labels = drawn(panel)
    assert calls["DRAFT"] and calls["STANDARD"] and calls["FINE"]
    assert "GB" not in labels and why_not(bpy.context.scene) == ""


def test_a_quality_too_big_for_the_card_is_grey_and_the_panel_says_why(panel):
    session.planning.plan = plans()
    calls, labels = drawn(panel)
    assert (calls["DRAFT"], calls["STANDARD"], calls["FINE"]) == (True, True, False)
    reason = "Fine does not fit: it needs 21.4 GB at once, and this card has 16.0 GB"
    assert reason in labels and "16 GB card: its networks take turns in 11.5 GB" in labels
    panel.quality = "FINE"
    assert why_not(bpy.context.scene) == reason and not bpy.ops.espalier.generate.poll()
    assert no_model(bpy.context.scene, "generate") == reason and no_model(bpy.context.scene, "texture") == ""


def test_texturing_has_a_plan_of_its_own(panel):
    session.planning.plan = plans()
    panel.mode, panel.quality = "TEXTURE", "FINE"
    calls, labels = drawn(panel)
    assert calls["FINE"] and "its networks take turns in 12.0 GB" in labels
    bpy.ops.mesh.primitive_cube_add()
    assert why_not_texture(bpy.context) == ""


def test_without_a_card_the_plan_is_about_the_computer():
    session.planning.plan = plans("cpu")
    assert in_words("generate", "DRAFT", False) == "16 GB of memory: it fits, in 9.1 GB"
    assert "this computer has 16.0 GB" in too_big("generate", "FINE", False)


def test_a_quality_that_fits_with_8_bit_weights_is_had_with_them(panel):
    session.planning.plan = plans()
    panel.quality = "FINE"
    assert why_not(bpy.context.scene) != "" and not drawn(panel)[0]["FINE"]
    panel.sampling.int8 = True
    assert why_not(bpy.context.scene) == "" and "its networks take turns in 14.5 GB" in drawn(panel)[1]
    assert drawn(panel)[0]["FINE"]


class Advanced(Layout):
    """Writes down which values can be changed."""

    enabled = True

    def _part(self, **_options):
        return Advanced(self.drawn, self)

    row = column = split = _part

    def prop(self, _owner, name, **_options):
        self.drawn[name] = self.enabled


def test_fp8_can_be_chosen_only_where_the_engine_has_found_it_and_always_be_switched_off(panel):
    def enabled():
        calls = {}
        draw_advanced(Advanced(calls), panel)
        return calls["fp8"], [label for label in calls["labels"] if "FP8" in label]

    panel.model = "STARTER"
    assert enabled() == (True, [])
    session.planning.plan = plans("cpu")
    assert enabled() == (False, ["FP8 needs a card"])
    panel.sampling.fp8 = True
    assert enabled() == (True, ["FP8 needs a card"])
    session.planning.plan = plans("cuda")
    panel.sampling.fp8 = False
    assert enabled() == (True, [])


def test_the_starter_needs_no_plan(panel):
    session.planning.plan = plans()
    panel.model, panel.quality = "STARTER", "FINE"
    assert why_not(bpy.context.scene) == "" and "card" not in drawn(panel)[1]
    assert not session.planning._wanted


def test_the_engine_is_asked_once_and_says_what_fits(panel, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(preferences, "engine_python", lambda: EnginePython(Path(sys.executable), "preferences"))
    drawn(panel)
    deadline = time.monotonic() + 120
    while session.planning.plan is None and time.monotonic() < deadline:
        tick()
        time.sleep(0.1)
    assert set(session.planning.plan["plans"]) == {"generate", "texture"} and session.planning.plan["total"] > 0
    drawn(panel)
    tick()
    assert session.planning._task is None


def test_an_engine_that_cannot_be_asked_is_no_failure_to_tell_of(panel, monkeypatch):
    monkeypatch.setattr(preferences, "engine_python", lambda: EnginePython(Path("/nowhere"), "preferences"))
    for _ in range(3):
        drawn(panel)
        tick()
    assert session.planning.plan is None and session.planning._task is None and not session.messages
