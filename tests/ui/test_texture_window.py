# SPDX-License-Identifier: GPL-3.0-or-later
"""As a person does it: a grey object in the scene, an image of its coloured twin, a click on Texture."""

import json
import shutil

import numpy as np
import pytest

from .colours import chroma, patch
from .conftest import ELEVATION, HERE, ROOT, YAW


@pytest.fixture(scope="session")
def textured(newest, engine_python, twins):
    """Walk through the window once; return what was found and the folder of the pictures."""
    out = newest.folder / "texture-shots"
    out.mkdir()
    environment = {
        "ESPALIER_TEST_VIEW": f"{YAW} {ELEVATION}",
        "ESPALIER_SHOTS": str(out),
        "ESPALIER_TEST_PYTHON": engine_python,
        "ESPALIER_TEST_IMAGE": str(twins[0]),
        "ESPALIER_TEST_MESH": str(twins[1]),
    }
    newest.window(HERE / "walk_texture.py", out / "end.png", **environment)
    found = json.loads((out / "found.json").read_text())
    # Kept for people to look at.
    shutil.copytree(out, ROOT / "build" / "screenshots" / found["blender"].split()[0], dirs_exist_ok=True)
    return found, out


def test_object_keeps_shape_place_name_uvs_and_number_of_slots(textured):
    found, _ = textured
    before, after = found["before"], found["after"]
    for kept in ("name", "matrix", "geometry"):
        assert after[kept] == before[kept]
    assert after["uv"]["Front"] == before["uv"]["Front"] and set(after["uv"]) == {"Front", "Espalier"}
    assert after["slots"] == ["Vase", "Vase"] and before["slots"] == ["Clay", "Glaze"]
    assert set(before["materials"]) < set(after["materials"])


def test_new_layer_is_used_and_named_to_the_user(textured):
    found, _ = textured
    assert found["uv_node"] == "Espalier" and "“Espalier”" in found["message"] and "overlap" in found["message"]
    assert found["packed"] and found["after"]["image"] == "painted vase.png"


def test_one_undo_takes_it_back_and_redo_brings_it_again(textured):
    found, _ = textured
    assert found["undone"] == found["before"] and found["redone"] == found["after"]


def test_stages_were_shown_and_blender_stayed_usable(textured):
    found, _ = textured
    assert {"encode", "material"} & set(found["stages"])
    assert found["longest_tick"] < 0.05


def test_parts_have_the_colours_of_the_image(textured, twins):
    from PIL import Image

    found, out = textured
    given = np.asarray(Image.open(twins[0]).convert("RGBA")).astype(float)
    seen = np.asarray(Image.open(out / "texture-same-view.png").convert("RGB")).astype(float)
    rows, columns = np.nonzero(given[..., 3] > 128)
    pictured = columns.min(), rows.min(), columns.max(), rows.max()
    places = {"body": [(0.5, 0.35), (0.4, 0.5), (0.6, 0.25)], "base": [(0.5, 0.8), (0.4, 0.75), (0.55, 0.9)]}
    expected = {part: chroma(patch(given, pictured, where[0])) for part, where in places.items()}
    for part, where in places.items():
        for place in where:
            got = chroma(patch(seen, found["on_screen"], place))
            print(part, place, expected[part].round(2), got.round(2))
            assert min(expected, key=lambda other: np.abs(expected[other] - got).sum()) == part
            assert np.abs(expected[part] - got).max() < 0.12
