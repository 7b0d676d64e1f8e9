# SPDX-License-Identifier: GPL-3.0-or-later
"""As a person does it: an object is generated, the section Finish is opened, a click on Finish Again replaces it."""

import json
import shutil

import pytest

from .conftest import HERE, ROOT


@pytest.fixture(scope="session")
def finished(newest, engine_python, image):
    """Walk through the window once; return what was found."""
    out = newest.folder / "finish-shots"
    out.mkdir()
    environment = {
        "ESPALIER_SHOTS": str(out),
        "ESPALIER_TEST_PYTHON": engine_python,
        "ESPALIER_TEST_IMAGE": str(image),
    }
    # High enough for the whole section.
    newest.window(HERE / "walk_finish.py", out / "end.png", size="1600x1300", **environment)
    found = json.loads((out / "found.json").read_text())
    # Kept for people to look at.
    shutil.copytree(out, ROOT / "build" / "screenshots" / found["blender"].split()[0], dirs_exist_ok=True)
    return found


def test_the_same_object_has_the_mesh_and_maps_that_were_asked_for(finished):
    before, after = finished["before"], finished["after"]
    assert after["name"] == before["name"] and after["place"] == before["place"]
    assert before["map"] == 512 and after["map"] == 1024
    assert before["faces"] > 3000 >= after["faces"] > 2000
    assert after["settings"]["repair"] == "watertight" and after["settings"]["thickness"] == 0.015
    assert finished["message"].startswith(f"{after['name']}: finished again")


def test_levels_of_detail_came_with_it_and_are_hidden(finished):
    after = finished["after"]
    names = [f"{after['name']}_LOD{number}" for number in (1, 2, 3)]
    assert list(after["lods"]) == names and after["hidden"]
    # How few faces a level gets to is for the engine; none has more than the one before.
    faces = [after["faces"], *after["lods"].values()]
    assert faces[1] < faces[0] and faces == sorted(faces, reverse=True)


def test_one_undo_brings_everything_back(finished):
    assert finished["undone"] == finished["before"]
