# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a batch: every bad line is told, all at once and before anything runs."""

import json

import pytest
from espalier.addon import cli, preferences
from espalier.addon.commands import manifest
from espalier.addon.commands.manifest import read_manifest
from espalier.addon.request import FINISHING

IMAGE = {"image": "mug.png"}
BAD = {
    '{"image": "mug.png"': "no JSON",
    "[1, 2]": "no JSON object",
    '"mug.png"': "no JSON object",
    '{"image": "mug.png", "seed": 1e999}': "no number that can be used",
    '{"image": "mug.png", "seed": NaN}': "no number that can be used",
    '{"image": "mug.png", "seed": 1, "seed": 2}': "The key “seed” is given twice",
    "[" * 100_000: "no JSON",
    '{"seed": 1}': "The key image is missing",
    '{"image": "mug.png", "sed": 1}': "There is no key “sed”",
    '{"image": 5}': "The key image is 5 and should be a text",
    '{"image": "\\ud800.png"}': "should be a text",
    '{"image": "mug\\u0000.png"}': "no path",
    '{"image": "mug.png", "seed": 1.5}': "whole number from 0 to 2147483647",
    '{"image": "mug.png", "seed": true}': "whole number from 0",
    '{"image": "mug.png", "seed": -1}': "whole number from 0",
    '{"image": "mug.png", "seed": 2147483648}': "whole number from 0",
    '{"image": "mug.png", "size": 0}': "a number from 0.0001",
    '{"image": "mug.png", "kind": "paint"}': "choose one of generate, texture, finish",
    '{"image": "mug.png", "kind": ["finish"]}': "choose one of generate, texture, finish",
    '{"kind": "texture", "image": "mug.png"}': "The key mesh is missing",
    '{"mesh": "vase.glb"}': "The key image is missing",
    '{"mesh": "vase.glb", "image": "mug.png", "size": 2}': "There is no key “size” for texture",
    '{"job": "x", "seed": 1}': "There is no key “seed” for finish",
    '{"image": "mug.png", "output": "../mug.glb"}': "below the folder of results",
    '{"image": "mug.png", "output": "/tmp/mug.glb"}': "below the folder of results",
    '{"image": "mug.png", "output": "a\\\\mug.glb"}': "with “/”",
    '{"image": "mug.png", "output": ".espalier/mug.glb"}': "must not begin with a dot",
    '{"image": "mug.png", "output": "mug.gltf"}': "is not written: choose one of glb, blend, fbx, obj, usd",
    '{"image": "mug.png", "settings": []}': "should be an object",
    '{"image": "mug.png", "settings": {"face": 5}}': "There is no setting “face”",
    '{"image": "mug.png", "settings": {"faces": "many"}}': 'The setting faces is "many" and should be a whole number',
    '{"image": "mug.png", "settings": {"faces": 3}}': "whole number from 4",
    '{"image": "mug.png", "settings": {"faces": 5, "ratio": 0.5}}': "give one of them",
    '{"image": "mug.png", "settings": {"repair": "some"}}': "choose one of as_generated, clean, watertight",
    '{"image": "mug.png", "settings": {"repair": ["clean"]}}': "choose one of as_generated",
    '{"image": "mug.png", "settings": {"draft": 1}}': "true or false",
    '{"image": "mug.png", "settings": {"lods": 0.5}}': "a list of shares",
    '{"image": "mug.png", "settings": {"lods": [0.5, "x"]}}': "a number from 0 to 1",
    '{"image": "mug.png", "settings": {"lods": [0.25, 0.5]}}': "each smaller than the one before",
    '{"image": "mug.png", "settings": {"lods": [1, 0.5]}}': "each smaller than the one before",
    '{"image": "mug.png", "settings": {"ratio": 0}}': "above 0 and up to 1",
    '{"image": "mug.png", "settings": {"thickness": 0.1, "repair": "clean"}}': "is for closed solids",
    '{"image": "mug.png", "mesh": "vase.glb", "settings": {"faces": 500}}': "There is no setting “faces” for texture",
}


@pytest.fixture
def read(tmp_path):
    """Return a function that writes lines into a manifest and reads it."""

    def read(*lines):
        path = tmp_path / "jobs.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return read_manifest(path, "glb")

    return read


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_a_bad_line_is_a_sentence_with_its_number(read, line):
    rows, faults = read(json.dumps(IMAGE), "", line)
    assert [row.line for row in rows] == [1]
    assert [fault.line for fault in faults] == [3]
    assert BAD[line] in faults[0].sentence
    assert faults[0].sentence.endswith(".")


def test_all_that_is_wrong_with_a_line_is_told_at_once(read):
    _, faults = read('{"image": "mug.png", "seed": "x", "size": -1, "colour": 1, "settings": {"faces": 1, "lod": 2}}')
    assert len(faults) == 5


def test_what_is_not_utf8_is_told_with_its_line(read):
    rows, faults = read(b'{"image": "caf\xe9.png"}', json.dumps(IMAGE))
    assert [row.line for row in rows] == [2] and "UTF-8" in faults[0].sentence


def test_a_row_has_its_defaults_and_paths_beside_the_manifest(read, tmp_path):
    (row,), faults = read("\ufeff" + json.dumps({**IMAGE, "model": None}))
    assert not faults and (row.kind, row.name, row.seed, row.size, row.settings) == ("generate", "mug", 0, 1.0, {})
    assert row.image == tmp_path / "mug.png" and str(row.output) == "mug.glb" and row.model is None
    (row,), _ = read(json.dumps({"image": "/far/mug.png", "mesh": "vase.fbx", "output": "a/Vase v1.2"}))
    assert (row.kind, row.name, str(row.image), str(row.output)) == (
        "texture",
        "vase",
        "/far/mug.png",
        "a/Vase v1.2.glb",
    )
    (row,), _ = read(json.dumps({**IMAGE, "name": "a/b: c?", "output": None}))
    assert str(row.output) == "a_b_ c_.glb"
    (row,), _ = read(json.dumps({**IMAGE, "output": "MUG.BLEND"}))
    assert str(row.output) == "MUG.blend" and row.format == "blend"


def test_two_rows_must_not_write_the_same_file(read):
    rows, faults = read(json.dumps(IMAGE), json.dumps({**IMAGE, "seed": 1}), json.dumps({**IMAGE, "output": "MUG.glb"}))
    assert [row.line for row in rows] == [1] and [fault.line for fault in faults] == [2, 3]
    assert "as line 1 does" in faults[0].sentence
    assert not read(json.dumps(IMAGE), json.dumps({**IMAGE, "output": "mug.obj"}))[1]


def test_no_setting_of_a_request_is_unknown():
    pytest.importorskip("torch")
    from espalier.engine.pipelines.job import SETTINGS

    assert set(SETTINGS) <= set(manifest._SETTINGS["generate"])
    assert set(FINISHING) <= set(manifest._SETTINGS["finish"])


VALUES = [0, 1, -1, 3, 4, 63, 64, 200, 201, 8192, 8193, 0.2, 0.21, 0.5, 1.5, True, "clean", "other", [], {}]


@pytest.mark.parametrize("name", FINISHING)
def test_a_value_is_refused_where_the_engine_would_refuse_it(read, name):
    pytest.importorskip("torch")
    from espalier.engine.errors import EspalierError
    from espalier.engine.pipelines.finishing import finish_settings

    for value in VALUES:
        try:
            finish_settings({"settings": {name: value}}, "watertight", 0)
            good = True
        except EspalierError:
            good = False
        assert bool(read(json.dumps({**IMAGE, "settings": {name: value}}))[0]) == good, value


@pytest.fixture
def batch(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command on lines and gives exit code and events; there is no engine."""
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    (tmp_path / "mug.png").write_bytes(b"any")

    def run(*lines, more=()):
        (tmp_path / "jobs.jsonl").write_text("\n".join(lines))
        given = ["batch", "--manifest", tmp_path / "jobs.jsonl", "--json", "--engine-python", tmp_path, *more]
        code = cli.main([str(each) for each in given])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_bad_rows_are_told_together_and_nothing_is_done(batch, tmp_path):
    missing = [{"image": "none.png"}, {"image": "mug.png", "mesh": "mug.xyz"}, {"job": "nothing"}]
    code, events = batch(*map(json.dumps, missing), "{", json.dumps({**IMAGE, "name": "other", "model": "none"}))
    assert code == 4 and {event["event"] for event in events} == {"bad_input"}
    assert [event["line"] for event in events] == [1, 2, 2, 3, 4, 5]
    sentences = [event["sentence"] for event in events]
    assert "none.png is not there" in sentences[0] and "no mesh file that Blender reads" in sentences[2]
    assert "no job folder" in sentences[3] and "neither downloaded nor a folder" in sentences[5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.jsonl", "mug.png"]


@pytest.mark.parametrize(
    "row",
    [
        {"image": "a" * 5000},
        {"image": "mug.png/inside.png"},
        {**IMAGE, "model": "m" * 5000},
        {"job": "j" * 5000},
        {"job": "mug.png"},
        {"image": ".", "name": "folder"},
    ],
)
def test_paths_that_cannot_be_are_told(batch, row):
    code, (event,) = batch(json.dumps(row))
    assert code == 4 and event["event"] == "bad_input" and event["sentence"].endswith(".")


def test_a_folder_of_results_that_is_a_file_is_told(batch, tmp_path):
    code, events = batch(json.dumps(IMAGE), more=["--output", tmp_path / "mug.png"])
    assert code in (1, 4) and events[1]["sentence"].endswith(".") and events[1]["code"] != "internal"


def test_only_the_chosen_rows_count(batch):
    lines = ("{", json.dumps(IMAGE), "", json.dumps({**IMAGE, "output": "two.glb"}))
    for more, bad in (["--index", 1], [1]), (["--index", 2], []), (["--shard", "1/3"], [1]), (["--shard", "3/3"], []):
        code, events = batch(*lines, more=more)
        assert [event["line"] for event in events if event["event"] == "bad_input"] == bad
        # The rows themselves want an engine, which is not there.
        assert code == (4 if bad else 1)
    for more in (["--index", 3], ["--index", 9]):
        code, (event,) = batch(*lines, more=more)
        assert code == 4 and event["sentence"] == "There is no row in this line."


@pytest.mark.parametrize("lines", [(), ("", " ")])
def test_a_manifest_without_rows_is_told(batch, lines):
    code, (event,) = batch(*lines)
    assert code == 4 and "no rows" in event["sentence"]


def test_a_manifest_that_is_not_there_is_told(batch, tmp_path):
    code, (event,) = batch(more=["--manifest", tmp_path / "none.jsonl"])
    assert code == 4 and "cannot be read" in event["sentence"]


@pytest.mark.parametrize("more", [["--index", "0"], ["--index", "x"], ["--shard", "0/2"], ["--shard", "3/2"],
                                  ["--shard", "2"], ["--shard", "1/2", "--index", "1"]])  # fmt: skip
def test_parts_that_make_no_sense_are_refused(batch, more):
    assert batch(json.dumps(IMAGE), more=more) == (4, [])
