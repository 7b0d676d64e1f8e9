# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier batch`` and ``jobs`` in the installed extension, with every exporter that is there."""

import json

import pytest

KINDS = ("glb", "blend", "fbx", "obj", "usd")


@pytest.fixture
def espalier(blender, tmp_path):
    """Return a function that runs a command and gives its exit code and events."""

    def run(*arguments):
        done = blender.run("--command", "espalier", *arguments, "--json", timeout=1500, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return run


def test_rows_become_files_of_every_kind_that_this_blender_writes(espalier, engine_python, image, tmp_path):
    manifest, out = tmp_path / "jobs.jsonl", tmp_path / "out"
    rows = {
        kind: {"image": str(image), "output": f"house.{kind}", "settings": {"texture_size": 64, "faces": 500}}
        for kind in KINDS
    }

    def batch(*more):
        manifest.write_text("\n".join(map(json.dumps, rows.values())))
        return espalier("batch", "--manifest", manifest, "--output", out, "--engine-python", engine_python, *more)

    code, events = batch("--index", "9")
    assert code == 4 and events[-1]["sentence"] == "There is no row in this line."
    code, events = batch()
    missing = [event["line"] for event in events if event["event"] == "bad_input"]
    if missing:
        assert code == 4 and all("has no exporter" in event["sentence"] for event in events)
        rows = {kind: row for line, (kind, row) in enumerate(rows.items(), 1) if line not in missing}
        code, events = batch()
    assert {"glb", "blend", "obj"} <= rows.keys() and code == 0, events
    assert [event["line"] for event in events if event["event"] == "finished"] == list(range(1, len(rows) + 1))
    for kind in rows:
        record = json.loads((out / f"house.{kind}.result.json").read_text())
        assert {f"house.{kind}", f"house.{kind}.preview.png"} <= record["files"].keys()
    # One object in all these kinds is computed once.
    (job,) = (out / ".espalier" / "jobs").iterdir()
    code, events = batch()
    assert code == 0 and {event["event"] for event in events} == {"batch", "skipped", "done"}
    code, events = espalier("jobs", "--output", out)
    assert code == 0 and [event.get("job") for event in events] == [job.name, None]
    assert events[0]["state"] == "built" and events[0]["settings"]["faces"] == 500
