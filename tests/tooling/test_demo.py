# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo from image to picture, with the tiny model set instead of the starter model."""

import re
import subprocess
import sys

import numpy as np
import pytest
from espalier.tests.tiny_set import write_tiny_set
from espalier.tooling.console import ROOT
from PIL import Image

COLOUR = (200, 60, 30)


def run_demo(folder, image, model):
    command = [sys.executable, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", "demo"]
    command += ["--image", image, "--model", model, "--output", folder / "out"]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1500)


@pytest.mark.blender
@pytest.mark.slow
def test_demo_makes_a_blend_a_glb_and_a_picture(tmp_path):
    pytest.importorskip("bpy")
    pixels = np.zeros((120, 120, 4), np.uint8)
    pixels[25:95, 35:85] = (*COLOUR, 255)
    image = tmp_path / "red box.png"
    Image.fromarray(pixels).save(image)
    done = run_demo(tmp_path, image, write_tiny_set(tmp_path / "set"))
    assert done.returncode == 0, done.stdout + done.stderr
    # A stage of the tiny set can be over before it was shown, so not every one has its line.
    shown = set(re.findall(r"%  (prepare|condition|structure|shape|material|decode|finish)", done.stdout))
    assert len(shown) >= 3, done.stdout
    out = tmp_path / "out"
    assert (out / "red box.glb").read_bytes()[:4] == b"glTF"
    assert (out / "red box.blend").stat().st_size > 10_000
    assert str(out / "picture.png") in done.stdout
    picture = np.asarray(Image.open(out / "picture.png").convert("RGB"), dtype=int)
    height = picture.shape[0]
    assert (picture[height // 2, height // 2] == COLOUR).all()
    # Red, green and blue are alike in the studio; the three views are what has colour.
    coloured = (np.ptp(picture[:, height:], axis=2) > 40).mean()
    assert 0.1 < coloured < 0.8


def test_missing_image_ends_in_one_sentence(tmp_path):
    done = run_demo(tmp_path, tmp_path / "nothing.png", tmp_path)
    assert done.returncode == 1
    assert "does not exist" in done.stdout and "Traceback" not in done.stdout + done.stderr
