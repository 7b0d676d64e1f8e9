# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier models`` from Blender's command line to the engine and back."""

import json
import sys

import pytest


@pytest.fixture
def models(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command with a data folder of its own and returns exit code and events."""
    from espalier.addon import cli, preferences

    monkeypatch.setattr(preferences, "data", lambda: tmp_path)

    def run(*arguments):
        code = cli.main(["models", *map(str, arguments), "--json", "--engine-python", sys.executable])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_the_list_and_a_refused_import_come_back_as_events(models, tmp_path):
    code, events = models("list")
    assert code == 0 and [event["state"] for event in events] == ["ready", "missing", "missing", "missing"]
    assert events[1]["folder"] == str(tmp_path / "models" / "TRELLIS.2-4B")
    (tmp_path / "stick").mkdir()
    code, events = models("import", tmp_path / "stick")
    assert code == 4 and "no model set" in events[-1]["sentence"]


def test_the_network_is_used_only_when_blender_allows_it(monkeypatch):
    from types import SimpleNamespace

    import bpy
    from espalier.addon import cli
    from espalier.addon.commands.models import arguments

    options = cli.parser().parse_args(["models", "download", "DINOv3", "BiRefNet", "--accept-licence"])
    for allowed in (False, True):
        monkeypatch.setattr(bpy, "app", SimpleNamespace(online_access=allowed))
        given = arguments(options)
        assert ("--online" in given) is allowed and given[-3:] == ["--", "DINOv3", "BiRefNet"]
        assert "--accept-licence" in given and given[2] == "download"
