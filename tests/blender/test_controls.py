# SPDX-License-Identifier: GPL-3.0-or-later
"""Every control explains itself: what it does, as a sentence, and why it cannot be used where it cannot."""

import ast
import inspect
from pathlib import Path

import bpy
import pytest
from espalier.addon import ids, preferences, registration
from espalier.addon.session import session

OPERATORS = [cls for cls in registration.CLASSES if issubclass(cls, bpy.types.Operator)]
LEAST_WORDS = 4


def is_sentence(text):
    """As Blender writes tooltips: a sentence of some length without its last full stop."""
    return len(text.split()) >= LEAST_WORDS and text[0].isupper() and not text.endswith(".")


def properties():
    """Every property of ours that a person can see, with its class."""
    for cls in registration.CLASSES:
        for name, made in getattr(cls, "__annotations__", {}).items():
            told = made.keywords
            is_group = issubclass(told.get("type", object), bpy.types.PropertyGroup)
            if "HIDDEN" not in told.get("options", ()) and not is_group and name != "name":
                yield pytest.param(told, id=f"{cls.__name__}.{name}")


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.__name__)
def test_the_tooltip_of_every_button_is_a_sentence(cls):
    assert is_sentence(cls.bl_description)


@pytest.mark.parametrize("told", properties())
def test_the_tooltip_of_every_setting_is_a_sentence(told):
    assert is_sentence(told["description"])
    for item in told.get("items", ()):
        assert is_sentence(item[2]), item


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.__name__)
def test_a_button_that_can_be_out_of_use_says_why(cls):
    poll = getattr(cls, "poll", None)
    # Blender has one of its own for operators without.
    if poll is None or not inspect.ismethod(poll):
        return
    text = inspect.getsource(poll)
    assert "poll_message_set" in text or "super().poll" in text


def test_nothing_in_the_panels_is_switched_off_without_a_reason_beside_it():
    """``enabled`` takes away the tooltip's use; only the qualities and FP8, whose reasons stand below them, need it."""
    found = []
    for path in Path(registration.FOLDER).glob("ui/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "enabled" and isinstance(node.ctx, ast.Store):
                found.append(path.name)
    assert sorted(found) == ["advanced_panel.py", "panels.py"]


def test_without_an_engine_the_buttons_of_the_preferences_are_out_of_use(engine, monkeypatch):
    assert bpy.ops.espalier.list_models.poll() and bpy.ops.espalier.self_test.poll()
    monkeypatch.setattr(preferences, "engine_python", lambda: None)
    for name in (ids.OP_LIST_MODELS, ids.OP_IMPORT_MODEL, ids.OP_SELF_TEST, ids.OP_GENERATE):
        assert not getattr(bpy.ops.espalier, name.partition(".")[2]).poll()


def test_queue_buttons_are_out_of_use_without_a_queue(engine):
    session.queue.shutdown()
    session.queue = None
    assert not bpy.ops.espalier.queue_hold.poll()
