# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of the command line that make no sense are refused before anything is done."""

import pytest
from espalier.addon import cli
from espalier.addon.commands import COMMANDS as COMMANDS_THERE_ARE
from espalier.addon.scene import formats

COMMANDS = {
    "generate": ["generate", "mug.png", "--output", "out"],
    "finish": ["finish", "job", "--output", "out"],
    "convert": ["convert", "mug.vxz", "--to", "glb"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "1e-300", "1e300", "big", ""])
def test_a_size_that_no_object_has_ends_with_4_and_a_sentence(command, size, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*COMMANDS[command], "--size", size]) == cli.BAD_INPUT == 4
    assert f"“{size}” is no length in metres: give one from 0.0001 to 1,000,000." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("faces", ["3", "-5", "1.5", "many", ""])
def test_a_number_of_faces_that_no_object_has_ends_with_4_and_a_sentence(command, faces, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*COMMANDS[command], "--faces", faces]) == cli.BAD_INPUT
    assert f"“{faces}” is not possible: give a whole number from 4." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_size_is_a_number_of_metres(command):
    assert cli.parser().parse_args([*COMMANDS[command], "--size", "0.25"]).size == 0.25
    assert cli.parser().parse_args(COMMANDS[command]).size == 1.0


TEXTURE = ["texture", "mug.glb", "--image", "mug.png", "--output", "out"]


@pytest.mark.parametrize("command", [COMMANDS["generate"], TEXTURE])
@pytest.mark.parametrize("seed", ["-1", str(2**31), "1.5", "any"])
def test_a_seed_that_no_result_has_ends_with_4_and_a_sentence(command, seed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command, "--seed", seed]) == cli.BAD_INPUT
    assert f"“{seed}” is not possible: give a whole number from 0 to {2**31 - 1}." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["generate", "mug.png"], " generate"),
        (["frobnicate"], ""),
        (["convert", "mug.vxz", "--to", "gif"], " convert"),
        ([*COMMANDS["finish"], "--thickness", "0.1"], " finish"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_not_below_a_list_of_all_options(arguments, command, capsys):
    assert cli.main(arguments) == cli.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"“blender --command espalier{command} --help” lists what can be given.")


def test_without_a_command_all_of_them_are_listed(capsys):
    assert cli.main([]) == cli.BAD_INPUT
    said = capsys.readouterr().err
    assert all(f"\n    {command.__name__.rpartition('.')[2]} " in said for command in COMMANDS_THERE_ARE)


@pytest.mark.parametrize("command", ["generate", "finish", "texture"])
def test_every_command_that_makes_files_knows_the_kinds_that_a_batch_knows(command, capsys, monkeypatch):
    arguments = TEXTURE if command == "texture" else COMMANDS[command]
    for kind in formats.KINDS:
        assert cli.parser().parse_args([*arguments, "--format", kind]).format == kind
    assert cli.main([*arguments, "--format", "gif"]) == cli.BAD_INPUT
    assert "“gif” is no kind of file: give one of glb, blend, fbx, obj, usd." in capsys.readouterr().err
    monkeypatch.setitem(formats._OPERATORS, "usd", ("wm", "left_out_of_this_build"))
    assert cli.main([*arguments, "--format", "usd"]) == cli.BAD_INPUT
    assert "This Blender has no exporter for .usd files" in capsys.readouterr().err
