# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier doctor`` in the installed extension, in both Blenders."""

import json


def test_installed_extension_with_an_engine_is_usable(blender, engine_python):
    done = blender.run(
        *("--command", "espalier", "doctor", "--json", "--engine-python", engine_python), timeout=1500, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = {event["name"]: event for event in events[:-1]}
    assert list(found)[:2] == ["blender", "system"]
    assert found["blender"]["facts"]["espalier"] == found["system"]["facts"]["espalier"]
    assert found["blender"]["facts"]["module"] == "bl_ext.user_default.espalier"
    assert found["blender"]["facts"]["data"].endswith("share/espalier")
    # Somebody else may be working with an engine on this machine.
    waited = "skipped: Waiting for another Blender" in found["self-test"]["text"]
    assert found["self-test"]["state"] == ("note" if waited else "ok")
    assert events[-1]["usable"] is True


def test_extension_without_an_engine_says_how_to_get_one(newest):
    done = newest.run("--command", "espalier", "doctor", check=False)
    assert done.returncode == 1
    assert "engine not installed" in done.stdout
    assert "Run the command “install”" in done.stderr
