# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier generate`` and then ``espalier finish``, with the product's own engine and a tiny model set."""

import json
import sys

import bpy
import numpy as np
import pytest

from .conftest import glb_header

pytest.importorskip("torch")


def faces_in(path):
    """How many triangles a .glb file of one mesh has."""
    header = glb_header(path)
    (mesh,) = header["meshes"]
    (part,) = mesh["primitives"]
    return header["accessors"][part["indices"]]["count"] // 3


@pytest.fixture
def espalier(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command and returns its exit code and its events."""
    from espalier.addon import cli, preferences

    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")

    def run(*arguments):
        more = ["--output", tmp_path / "out", "--json", "--engine-python", sys.executable]
        code = cli.main([str(each) for each in (*arguments, *more)])
        lines = capsys.readouterr().out.splitlines()
        return code, [json.loads(line) for line in lines if line.startswith("{")]

    return run


def test_a_job_folder_is_finished_with_other_settings_and_the_rest_as_it_was(espalier, tmp_path):
    from espalier.addon.request import FINISHING
    from espalier.tests.engine.pipelines.helpers import picture
    from espalier.tests.tiny_set import write_tiny_set

    image = tmp_path / "red mug.png"
    image.write_bytes(picture())
    options = ["--model", write_tiny_set(tmp_path / "set"), "--texture-size", 512, "--repair", "clean", "--seed", 5]
    code, events = espalier("generate", image, *options, "--steps", "structure=3", "--guidance", "shape=1.5")
    assert code == 0, events
    # Not every step is told when they follow each other quickly.
    assert {event["of"] for event in events if event.get("stage") == "structure" and event["step"]} <= {3}
    samplers = {"structure": {"steps": 3}, "shape": {"guidance_strength": 1.5}}
    made = tmp_path / "out" / ".espalier" / "jobs" / events[-1]["job"]
    assert json.loads((made / "request.json").read_text())["settings"]["repair"] == "clean"

    code, events = espalier("finish", made, "--faces", 100, "--lods", "0.5")
    assert code == 0, events
    finished = events[-1]
    assert finished["event"] == "finished" and finished["faces"] <= 100 and finished["seed"] == 5
    assert {event.get("stage") for event in events} >= {"finish"} and "model" not in {e["event"] for e in events}
    again = tmp_path / "out" / ".espalier" / "jobs" / finished["job"]
    request = json.loads((again / "request.json").read_text())
    expected = {**FINISHING, "texture_size": 512, "faces": 100, "repair": "clean", "lods": [0.5]}
    assert request["source"] == str(made)
    assert request["settings"] == {"quality": "starter", "matting": "auto", "samplers": samplers, **expected}
    assert len(np.load(again / "result.npz")["faces"]) == finished["faces"]
    whole, half = tmp_path / "out" / "red mug-2.glb", tmp_path / "out" / "red mug-2_LOD1.glb"
    assert finished["lods"] == [str(half)]
    faces = {path: faces_in(path) for path in (whole, half)}
    (level,) = json.loads((again / "result.json").read_text())["lods"]
    assert faces == {whole: finished["faces"], half: level["faces"]} and faces[half] < faces[whole]
    for path in faces:
        (material,) = glb_header(path)["materials"]
        assert material["occlusionTexture"] == material["pbrMetallicRoughness"]["metallicRoughnessTexture"]

    # What was finished again leads back to its generation; a folder that is none is told, and the rest is done.
    code, events = espalier("finish", again, tmp_path, "--format", "blend")
    assert code == 2, events
    (bad,) = [event for event in events if event["event"] == "bad_input"]
    assert bad["folder"] == str(tmp_path) and "no job folder of a generated object" in bad["sentence"]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "red mug.blend"))
    item = bpy.data.objects["red mug"]
    assert item.asset_data is not None and tuple(item.preview.image_size) == (256, 256)
    assert not any(other.asset_data for other in bpy.data.objects if other != item)


def test_only_bad_folders_is_a_code_of_its_own(espalier, tmp_path):
    code, events = espalier("finish", tmp_path / "nowhere")
    assert code == 4 and events[-1]["sentence"].endswith("Generate the object again.")
