# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that ends without a word is a failure with a sentence, whatever its exit code."""

import os
import sys
import venv
from types import SimpleNamespace

import pytest


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs an engine command and returns its exit code and events."""
    from espalier.addon import preferences
    from espalier.addon.commands.engine_command import EngineCommand

    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")

    def run(name, *arguments, python=sys.executable):
        events = []
        reporter = SimpleNamespace(event=lambda kind, **fields: events.append((kind, fields)))
        return EngineCommand(SimpleNamespace(engine_python=str(python)), reporter, name, arguments).run(), events

    return run


def failed_with(code, events, log_says):
    (kind, fields), *more = events
    assert (code, kind, more) == (1, "failed", [])
    assert fields["log"] in fields["text"] and fields["sentence"] in fields["text"]
    with open(fields["log"], encoding="utf-8") as log:
        assert log_says in log.read()


def test_arguments_that_the_engine_does_not_know_are_a_failure_of_one_sentence(run, tmp_path):
    failed_with(*run("models", "--models", str(tmp_path), "list", "--shiny"), "unrecognized arguments: --shiny")
    failed_with(*run("unknown"), "usage: engine")


def test_an_engine_that_cannot_be_loaded_says_so_and_where_the_log_is(run, tmp_path):
    venv.create(tmp_path / "bare", symlinks=os.name != "nt")
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    failed_with(*run("convert", "voxels-to-voxels", "a", "b", python=python), "ModuleNotFoundError")


def test_what_the_engine_says_itself_stands_alone(run, tmp_path):
    code, events = run("models", "--models", str(tmp_path), "remove", "nothing")
    assert code == 4 and [kind for kind, _ in events] == ["bad_input"]
    code, events = run("models", "--models", str(tmp_path), "list")
    assert code == 0 and {kind for kind, _ in events} == {"set"}
