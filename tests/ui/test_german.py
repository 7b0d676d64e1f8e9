# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Blender, set to German, shows the extension in German, and English again without it."""

import json
import shutil

import pytest

from .conftest import HERE, ROOT

ENGLISH = ["Generate", "Lock Seed", "Fine", "Texture", "Cancel every job that has not begun"]
GERMAN = [
    "Erzeugen",
    "Startwert festhalten",
    "Fein",
    "Texturieren",
    "Alle Aufträge abbrechen, die noch nicht begonnen haben",
]


@pytest.fixture(scope="module")
def found(blender):
    done = blender.run("-b", "--python-exit-code", "3", "--python", HERE / "german.py")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("@@german ")]
    return json.loads(line.partition(" ")[2])


def test_texts_are_german_when_blender_is(found):
    assert found["english"] == ENGLISH and found["german"] == GERMAN


def test_blender_has_every_entry_of_the_dictionary(found):
    # Words that Blender's own dictionary has as well may be its own.
    assert len(found["wrong"]) < 60 and all(context != "Espalier" for context, _ in found["wrong"]), found["wrong"]


def test_reports_are_german(found):
    opened, grabbed, pasted = found["reports"]
    assert opened.endswith("cup.png lässt sich nicht öffnen. Eine andere Datei wählen.")
    assert grabbed.endswith("Zuerst ein 3D-Ansichtsfenster öffnen")
    assert pasted.endswith("Zuerst ein Bild oder eine Bilddatei kopieren.")


def test_the_dictionary_comes_and_goes_with_the_extension(found):
    assert found["again"] == [[ENGLISH, GERMAN]] * 2


def test_who_wants_the_interface_in_english_has_it(found):
    assert found["not the interface"] == "Lock Seed" and found["back"] == ENGLISH


def test_the_panel_stands_in_german_among_blenders_own_words(newest, engine_python, image):
    out = newest.folder / "german-shots"
    out.mkdir()
    environment = {
        "ESPALIER_SHOTS": str(out),
        "ESPALIER_TEST_PYTHON": engine_python,
        "ESPALIER_TEST_IMAGE": str(image),
        "ESPALIER_STORY_IMAGES": str(image.parent),
    }
    # High enough for all sections.
    newest.window(HERE / "walk_german.py", out / "end.png", size="1600x1500", **environment)
    # Kept for people to look at.
    shutil.copytree(out, ROOT / "build" / "screenshots" / "german", dirs_exist_ok=True)
    found = json.loads((out / "found.json").read_text())
    if found["own"] == ["Location", "Scene Collection"]:
        pytest.skip("this Blender was set up without its own translations")
    assert found["own"] == ["Position", "Szenensammlung"]
