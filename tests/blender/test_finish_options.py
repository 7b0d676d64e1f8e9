# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of finishing on the command line: what they ask for, and what is refused before anything starts."""

import pytest
from espalier.addon import cli
from espalier.addon.commands.finishing import asked
from espalier.addon.request import FINISHING, make_refinish_request

COMMANDS = {"generate": ["generate", "mug.png"], "finish": ["finish", "job"]}


def parse(command, *options):
    return asked(cli.parser().parse_args([*COMMANDS[command], "--output", "out", *options]))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--faces", "5000"], {"faces": 5000}),
        (["--ratio", "0.25"], {"ratio": 0.25}),
        (["--ratio", "25%"], {"ratio": 0.25}),
        (["--ratio", "1"], {"ratio": 1.0}),
        (["--repair", "watertight", "--thickness", "1.5%"], {"repair": "watertight", "thickness": 0.015}),
        (["--smoothing", "0"], {"smoothing": 0}),
        (["--hole-length", "0", "--floater-size", "3%"], {"hole_length": 0.0, "floater_size": 0.03}),
        (["--lods"], {"lods": [0.5, 0.25, 0.12]}),
        (["--lods", "0.5,10%"], {"lods": [0.5, 0.1]}),
        (["--lods", "none"], {"lods": []}),
        (["--no-occlusion", "--no-normal-map"], {"occlusion": False, "normal_map": False}),
        (["--occlusion", "--normal-map"], {"occlusion": True, "normal_map": True}),
        (["--draft"], {"draft": True}),
    ],
)
def test_options_ask_for_what_they_say_and_nothing_else(command, options, expected):
    assert parse(command, *options) == {"draft": False, **expected}
    assert set(expected) <= set(FINISHING)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "options",
    [
        ["--faces", "3"],
        ["--faces", "many"],
        ["--faces", "5000", "--ratio", "0.5"],
        ["--ratio", "0"],
        ["--ratio", "1.5"],
        ["--ratio", "nan"],
        ["--ratio", "200%"],
        ["--repair", "magic"],
        ["--smoothing", "-1"],
        ["--smoothing", "1.5"],
        ["--smoothing", "201"],
        ["--hole-length", "-1"],
        ["--floater-size", "inf"],
        ["--thickness", "1%"],
        ["--thickness", "1%", "--repair", "clean"],
        ["--thickness", "30%", "--repair", "watertight"],
        ["--lods", "0.5,0.5"],
        ["--lods", "0.25,0.5"],
        ["--lods", "1,0.5"],
        ["--lods", "0.5,0"],
        ["--lods", ""],
        ["--lods", "mug.png"],
        ["--lods", ",".join(str(1 - n / 10) for n in range(1, 10))],
        ["--texture-size", "1000"],
    ],
)
def test_what_is_not_possible_ends_with_4_and_a_sentence_and_nothing_begins(
    command, options, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*COMMANDS[command], "--output", "out", *options]) == cli.BAD_INPUT
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("blender --command espalier") and options[0].lstrip("-") in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option_with_what_it_is_otherwise(command, capsys):
    assert cli.main([command, "--help"]) == cli.DONE
    text = " ".join(capsys.readouterr().out.split())
    for option in ("faces", "ratio", "repair", "smoothing", "hole-length", "floater-size", "thickness", "lods"):
        assert f"--{option} " in text
    assert "--no-occlusion" in text and "--no-normal-map" in text and "--draft" in text
    assert text.count("default") >= 9


def test_finishing_again_takes_back_what_the_new_settings_rule_out():
    made = {"settings": {"faces": 100, "ratio": None, "repair": "watertight", "thickness": 0.01, "occlusion": False}}

    def settings(**changes):
        return make_refinish_request("mug", "/job", made, changes)["settings"]

    assert settings() == made["settings"]
    assert settings(ratio=0.5) == {**made["settings"], "faces": None, "ratio": 0.5}
    assert settings(repair="clean") == {**made["settings"], "repair": "clean", "thickness": None}
    assert settings(repair="watertight", thickness=0.02) == {**made["settings"], "thickness": 0.02}
