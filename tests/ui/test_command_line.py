# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender --command espalier generate`` in the installed extension: results, sentences, exit codes, Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from .conftest import TOOL


@pytest.fixture
def generate(newest, engine_python, tmp_path):
    """Return a function that runs the command on some images and returns exit code, JSON events and output folder."""

    def run(*arguments):
        out = tmp_path / "out"
        command = ["--command", "espalier", "generate", *arguments, "--output", out, "--json"]
        done = newest.run(*command, "--engine-python", engine_python, timeout=1500, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, [json.loads(line) for line in lines], out

    return run


def test_image_becomes_a_glb_with_an_event_for_every_stage(generate, image):
    code, events, out = generate(image, "--seed", "3")
    assert code == 0, events
    stages = {event["stage"] for event in events if event["event"] == "progress"}
    assert {"structure", "shape", "material", "finish"} <= stages
    (finished,) = [event for event in events if event["event"] == "finished"]
    assert finished["seed"] == 3 and finished["file"] == str(out / "little house.glb")
    assert (out / "little house.glb").read_bytes()[:4] == b"glTF"
    assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == ["little house.glb"]


def test_bad_images_are_told_in_a_sentence_each_and_the_rest_is_made(generate, image, tmp_path):
    from PIL import Image

    (tmp_path / "text.png").write_text("no image at all")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    shutil.copy(image, tmp_path / "good.png")
    names = ["text.png", "empty.png", "clear.png", "missing.png", "good.png"]
    code, events, out = generate(*(tmp_path / name for name in names), "--format", "blend")
    bad = {event["image"].rpartition("/")[2]: event for event in events if event["event"] == "bad_input"}
    assert code == 2 and sorted(bad) == sorted(names[:-1]), events
    assert all(event["sentence"].endswith(".") for event in bad.values())
    assert (out / "good.blend").is_file()


def test_only_bad_images_is_a_code_of_its_own(generate, tmp_path):
    code, events, _ = generate(tmp_path / "missing.png")
    assert code == 4 and events[-1]["event"] == "bad_input"


def test_exr_is_decoded_by_blender(newest, generate, tmp_path):
    picture = tmp_path / "light.exr"
    script = tmp_path / "exr.py"
    script.write_text(f"""
import bpy, numpy as np
pixels = np.zeros((64, 64, 4), np.float32)
pixels[16:48, 16:48] = (0.6, 0.1, 0.02, 1.0)
image = bpy.data.images.new("light", 64, 64, alpha=True, float_buffer=True)
image.pixels.foreach_set(pixels.ravel())
settings = bpy.context.scene.render.image_settings
settings.file_format, settings.color_mode = "OPEN_EXR", "RGBA"
image.save_render({str(picture)!r})
""")
    newest.run("--factory-startup", "--python", script)
    code, events, out = generate(picture)
    assert code == 0, events
    from PIL import Image

    (job,) = (out / ".espalier" / "jobs").iterdir()
    pixels = np.asarray(Image.open(job / "input.png"))
    assert pixels[32, 32].tolist() == [203, 89, 39, 255] and pixels[2, 2, 3] == 0


def test_wrong_arguments_are_bad_input(newest):
    assert newest.run("--command", "espalier", "generate", check=False).returncode == 4
    assert newest.run("--command", "espalier", "generate", "--help", check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_engine_and_command_with_130(newest, engine_python, image, tmp_path, number):
    command = [sys.executable, TOOL, "run", newest.suite, "--", "--command", "espalier", "generate", *[image] * 5]
    command += ["--output", tmp_path / "out", "--json", "--engine-python", engine_python]
    env = {**os.environ, "BLENDER_USER_RESOURCES": str(newest.user)}
    process = subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if '"progress"' in line:
                break
        process.send_signal(number)
        started = time.monotonic()
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert time.monotonic() - started < 30
    finally:
        process.kill()
    states = [json.loads(path.read_text()) for path in (tmp_path / "out").glob(".espalier/jobs/*/state.json")]
    pids = {state["pid"] for state in states if "pid" in state}
    assert pids and not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
