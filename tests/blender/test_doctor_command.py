# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier doctor`` tells about Blender, passes on what the engine finds, and is usable as a bug report."""

import json
import os
import sys
import venv
from pathlib import Path

import pytest


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command with a data folder of its own and returns exit code and output."""
    from espalier.addon import cli, preferences

    home = tmp_path / "alice"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setattr(preferences, "data", lambda: home / "data")

    def run(*arguments):
        return cli.main(["doctor", *map(str, arguments)]), capsys.readouterr().out

    return run


def bare_python(folder):
    """A Python without any package."""
    venv.create(folder, symlinks=os.name != "nt")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_report_begins_with_blender_and_has_the_engines_findings_and_exit_code(doctor, tmp_path):
    import bpy

    python = bare_python(tmp_path / "bare")
    code, output = doctor("--engine-python", python, "--json")
    events = [json.loads(line) for line in output.splitlines()]
    assert code == 1 and events[-1]["event"] == "verdict" and events[-1]["usable"] is False
    first = events[0]["facts"]
    assert (events[0]["name"], first["blender"], first["online"]) == ("blender", bpy.app.version_string, False)
    assert first["espalier"] == events[1]["facts"]["espalier"]
    assert first["data"] == str(Path("~") / "data") == events[4]["facts"]["folder"]
    assert {event["name"] for event in events[1:-1]} >= {"system", "data", "packages", "models", "self-test"}
    code, output = doctor("--engine-python", python)
    assert output.startswith("  blender    Blender ") and "\n  data       ~" in output
    assert "alice" not in output


def test_missing_engine_is_told_after_what_blender_knows(doctor, monkeypatch, capsys):
    from espalier.addon import preferences

    monkeypatch.setattr(preferences, "engine_python", lambda: None)
    code, output = doctor()
    assert code == 1
    assert "engine not installed" in output


@pytest.mark.slow
def test_whole_engine_is_usable(doctor):
    code, output = doctor("--engine-python", sys.executable)
    assert code == 0
    assert output.rstrip().endswith("Everything that is needed works.")
