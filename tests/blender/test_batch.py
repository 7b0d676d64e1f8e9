# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier batch`` with the product's own engine and a tiny model set: files, records, and going on after the end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import bpy
import pytest
from espalier.addon import cli, preferences
from espalier.addon.commands import row_result

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
# A draft takes no maps, and a tenth of the time.
DRAFT = {"draft": True}
ALONE = """
import importlib.util, sys
root = {root!r}
spec = importlib.util.spec_from_file_location("espalier", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["espalier"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
import bpy
from espalier.addon import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from espalier.tests.tiny_set import write_tiny_set

    return write_tiny_set(tmp_path_factory.mktemp("models") / "tiny")


class Farm:
    """A manifest, and the command on it: ``run`` in this process, ``start`` in one of its own."""

    def __init__(self, folder, models, capsys):
        from espalier.tests.engine.pipelines.helpers import picture

        self.folder, self.models, self.capsys = folder, models, capsys
        self.out, self.manifest = folder / "out", folder / "in" / "jobs.jsonl"
        self.manifest.parent.mkdir()
        (self.manifest.parent / "red mug.png").write_bytes(picture())

    def write(self, *rows):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        self.manifest.write_text("".join(f"{line}\n" for line in lines))

    def arguments(self, *more, python=sys.executable):
        given = ["batch", "--manifest", self.manifest, "--output", self.out, "--model", self.models, "--json"]
        return [str(each) for each in (*given, "--engine-python", python, *more)]

    def run(self, *more, **settings):
        """The exit code and the events."""
        self.capsys.readouterr()
        code = cli.main(self.arguments(*more, **settings))
        return code, events_in(self.capsys.readouterr().out)

    def start(self, *more):
        command = [sys.executable, "-c", ALONE.format(root=str(ROOT)), *self.arguments(*more)]
        environment = {**os.environ, "XDG_DATA_HOME": str(self.folder / "share")}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def jobs(self):
        return sorted(path.name for path in self.out.glob(".espalier/jobs/*"))

    def record(self, name):
        return json.loads((self.out / f"{name}.result.json").read_text())

    def files(self):
        """The results by their names."""
        return sorted(
            path.relative_to(self.out).as_posix()
            for path in self.out.rglob("*")
            if path.is_file() and ".espalier" not in path.parts
        )


@pytest.fixture
def farm(tmp_path, monkeypatch, capsys, models):
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    return Farm(tmp_path, models, capsys)


def events_in(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def kinds(events):
    return [event["event"] for event in events if event["event"] not in {"progress", "note"}]


def row(name, **more):
    return {"image": "red mug.png", "name": name, "settings": DRAFT, **more}


@pytest.mark.slow
def test_rows_become_files_with_records_and_are_passed_over_when_they_are_finished(farm):
    small = {"texture_size": 64, "faces": 200}
    farm.write(
        {"image": "red mug.png", "seed": 5, "settings": small},
        row("other", seed=6, output="sub/Other one.blend", size=2),
    )
    code, events = farm.run()
    assert code == 0 and kinds(events) == ["batch", "finished", "finished", "done"], events
    first, second = farm.out / "red mug.glb", farm.out / "sub" / "Other one.blend"
    assert first.read_bytes()[:4] == b"glTF"
    assert farm.files() == sorted(
        name + ending
        for name in ("red mug.glb", "sub/Other one.blend")
        for ending in ("", ".preview.png", ".result.json")
    )
    record = farm.record("red mug.glb")
    assert (record["seed"], record["settings"], record["line"]) == (5, small, 1)
    (job,) = record["jobs"]
    assert {"result.npz", "base_color.png", "orm.png", "preview.png"} <= record["results"][job].keys()
    assert record["model"]["path"] == str(farm.models) and len(record["model"]["files"]) == 17
    assert record["seconds"]["structure"] > 0 and record["machines"][0]["device"]["type"] == "cpu"
    assert record["writer"]["blender"] == bpy.app.version_string
    for name, file in record["files"].items():
        assert file == {"bytes": (farm.out / name).stat().st_size, "sha256": row_result.digest(farm.out / name)}
    assert record["notes"] == [], record["notes"]

    bpy.ops.wm.open_mainfile(filepath=str(second))
    (item,) = bpy.data.objects
    assert item.asset_data is not None and tuple(item.preview.image_size) == (256, 256)
    assert max(item.dimensions) == pytest.approx(2.0, rel=1e-4) and item["espalier_seed"] == 6

    # Finished rows need no engine; with another format, or without its file, a row is written from the job it has.
    before, jobs = [path.stat().st_mtime_ns for path in (first, second)], farm.jobs()
    code, events = farm.run(python=farm.folder)
    assert code == 0 and kinds(events) == ["batch", "skipped", "skipped", "done"]
    assert before == [path.stat().st_mtime_ns for path in (first, second)]
    first.unlink()
    code, events = farm.run("--index", 1)
    assert code == 0 and kinds(events) == ["batch", "finished", "done"] and first.is_file()
    farm.write({"image": "red mug.png", "seed": 5, "settings": small})
    code, events = farm.run("--format", "obj")
    assert code == 0 and "red mug.obj" in farm.files() and "red mug.obj.textures/red_mug_Base_Color.png" in farm.files()
    assert farm.jobs() == jobs

    # The same row again gives the same bytes.
    code, events = farm.run("--no-resume")
    again = farm.record("red mug.glb")
    assert code == 0 and again["jobs"] != record["jobs"]
    assert [*again["results"].values()] == [*record["results"].values()]


def test_a_failure_ends_the_run_unless_it_is_told_to_keep_going(farm):
    from PIL import Image

    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(farm.manifest.parent / "clear.png")
    farm.write({"image": "clear.png"}, row("mug"))
    code, events = farm.run()
    assert code == 4 and kinds(events) == ["batch", "bad_input", "stopped", "done"], events
    assert events[-2]["left"] == 1 and not farm.files()
    code, events = farm.run("--keep-going")
    assert code == 2 and kinds(events) == ["batch", "bad_input", "finished", "done"]
    assert (events[-1]["made"], events[-1]["failed"]) == (1, 1)
    assert "mug.glb" in farm.files() and "clear.glb" not in farm.files()
    code, events = farm.run("--keep-going", "--shard", "2/2")
    assert code == 0 and kinds(events) == ["batch", "skipped", "done"]


def test_an_engine_that_does_not_start_ends_the_run_even_when_it_should_keep_going(farm):
    farm.write(row("a"), row("b"))
    code, events = farm.run("--keep-going", python="/bin/false")
    assert code == 1 and kinds(events) == ["batch", "failed", "stopped", "done"]


@pytest.mark.slow
def test_meshes_are_textured_and_objects_finished_again(farm):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=6, location=(3, 0, 0))
    bpy.ops.wm.save_as_mainfile(filepath=str(farm.manifest.parent / "scene.blend"))
    textured = {"image": "red mug.png", "mesh": "scene.blend", "settings": {"texture_size": 64}}
    farm.write({**textured, "output": "scene.blend"}, row("mug"))
    code, events = farm.run()
    assert code == 0 and kinds(events) == ["batch", "finished", "finished", "done"], events
    assert len(farm.record("scene.blend")["jobs"]) == 2
    bpy.ops.wm.open_mainfile(filepath=str(farm.out / "scene.blend"))
    assert {item.name for item in bpy.data.objects if item.asset_data and item.active_material} == {"Cube", "Sphere"}

    (job,) = farm.record("mug.glb")["jobs"]
    again = {"job": f"../out/.espalier/jobs/{job}", "name": "lean", "settings": {"faces": 100, "texture_size": 64}}
    farm.write(again)
    code, events = farm.run()
    assert code == 0 and farm.record("lean.glb")["faces"] <= 100, events
    assert farm.record("lean.glb")["settings"]["draft"] is False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_ended_loses_no_finished_row_and_the_next_goes_on(farm, number):
    farm.write(*(row(name) for name in "abcd"))
    process = farm.start()
    try:
        for line in process.stdout:
            if '"finished"' in line:
                break
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == (130 if number == signal.SIGTERM else -number)
    finished = [name for name in "abcd" if (farm.out / f"{name}.glb.result.json").is_file()]
    assert finished[:1] == ["a"] and len(finished) < 4
    stamps = {name: (farm.out / f"{name}.glb").stat().st_mtime_ns for name in finished}
    code, events = farm.run()
    assert code == 0, events
    assert kinds(events) == ["batch", *["skipped"] * len(finished), *["finished"] * (4 - len(finished)), "done"]
    assert all((farm.out / f"{name}.glb").stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert {f"{name}.glb.result.json" for name in "abcd"} <= set(farm.files())


@pytest.mark.slow
def test_two_shards_at_once_do_the_whole(farm):
    farm.write(*(row(name) for name in "abcd"))
    shards = [farm.start("--shard", f"{number}/2") for number in (1, 2)]
    told = [events_in(process.communicate(timeout=300)[0]) for process in shards]
    assert [process.returncode for process in shards] == [0, 0], told
    assert [[event["name"] for event in events if event["event"] == "finished"] for events in told] == [
        ["a", "c"],
        ["b", "d"],
    ]
    assert {f"{name}.glb.result.json" for name in "abcd"} <= set(farm.files())
    results = [next(iter(farm.record(f"{name}.glb")["results"].values()))["result.npz"] for name in "abcd"]
    assert len(set(results)) == 1


def test_what_a_person_made_or_changed_is_never_overwritten(farm):
    farm.out.mkdir()
    (farm.out / "mug.glb").write_text("mine")
    farm.write(row("mug"))
    code, events = farm.run()
    assert code == 4 and kinds(events) == ["bad_input"] and "no batch made it" in events[0]["sentence"]
    (farm.out / "mug.glb").unlink()
    assert farm.run()[0] == 0
    (farm.out / "mug.glb").write_text("mine")
    assert kinds(farm.run()[1]) == ["batch", "skipped", "done"]
    code, events = farm.run("--no-resume")
    assert code == 4 and "not as this batch left it" in events[1]["sentence"]
    assert (farm.out / "mug.glb").read_text() == "mine"
