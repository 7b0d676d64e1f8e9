# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a row and their record: whole or not at all, and never in the place of somebody else's."""

import json
import os

import pytest
from espalier.addon.commands import row_result
from espalier.addon.commands.row_result import FORMAT, Occupied, RowResult


class Killed(BaseException):
    """Stands for the end of the process: nothing is cleared away."""


@pytest.fixture
def result(tmp_path):
    return RowResult(tmp_path / "out" / "mug.obj")


def maker(key, **files):
    """Return what writes ``files`` by their names, dots for double underscores, and the key into the record."""

    def make(folder):
        for name, text in files.items():
            path = folder / name.replace("__", ".").replace("_in_", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return {"key": key}

    return make


FIRST = maker("1", mug__obj="first", mug__mtl="first", mug__obj__textures_in_a__png="first")
SECOND = maker("2", mug__obj="second", mug__mtl="second", mug__obj__textures_in_b__png="second")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_result_is_finished_once_its_record_stands(result):
    assert not result.is_finished("1")
    result.write(FIRST)
    assert result.is_finished("1") and not result.is_finished("2")
    assert names(result.target.parent) == ["mug.mtl", "mug.obj", "mug.obj.result.json", "mug.obj.textures/a.png"]
    (result.target.parent / "mug.mtl").unlink()
    assert not result.is_finished("1")


def test_a_result_takes_the_place_of_the_one_before(result):
    result.write(FIRST)
    result.check_place()
    result.write(SECOND)
    assert result.is_finished("2") and result.target.read_text() == "second"
    assert names(result.target.parent) == ["mug.mtl", "mug.obj", "mug.obj.result.json", "mug.obj.textures/b.png"]


def test_what_fails_while_it_is_made_leaves_all_as_it_was(result):
    result.write(FIRST)

    def fail(folder):
        SECOND(folder)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        result.write(fail)
    assert result.is_finished("1") and result.target.read_text() == "first"
    assert not [name for name in names(result.target.parent) if ".part" in name]


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
@pytest.mark.parametrize("before", [False, True])
def test_a_kill_while_files_are_moved_is_carried_through(result, monkeypatch, moves, before):
    if before:
        result.write(FIRST)
    real, done = os.replace, []

    def replace(source, target):
        if str(target).startswith(str(result.target.parent)) and ".part" in str(source) and ".part" not in str(target):
            if len(done) == moves:
                raise Killed
            done.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(row_result.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            result.write(SECOND)
    assert not result.is_finished("2") and not result.is_foreign()
    result.carry_through()
    assert result.is_finished("2") and result.target.read_text() == "second"
    assert names(result.target.parent) == ["mug.mtl", "mug.obj", "mug.obj.result.json", "mug.obj.textures/b.png"]


def test_a_kill_before_the_record_is_whole_counts_for_nothing(result):
    hidden = result.target.parent / ".mug.obj.abcd.part"
    hidden.mkdir(parents=True)
    (hidden / "mug.obj").write_text("half")
    result.carry_through()
    assert hidden.is_dir() and not result.target.exists(), "it may be another run's that goes on"
    os.utime(hidden, (0, 0))
    result.carry_through()
    assert not hidden.exists()


@pytest.mark.parametrize("name", ["mug.obj", "mug.obj.preview.png", "mug.obj.result.json"])
def test_a_file_of_somebody_else_is_not_overwritten(result, name):
    result.target.parent.mkdir()
    (result.target.parent / name).write_text("mine")
    with pytest.raises(Occupied, match=name):
        result.check_place()


def test_a_file_beside_that_only_turns_out_late_is_not_overwritten_either(result):
    result.target.parent.mkdir()
    (result.target.parent / "mug.mtl").write_text("mine")
    result.check_place()
    with pytest.raises(Occupied, match=r"mug\.mtl"):
        result.write(FIRST)
    assert names(result.target.parent) == ["mug.mtl"] and (result.target.parent / "mug.mtl").read_text() == "mine"


def test_a_result_that_was_changed_is_not_overwritten(result):
    result.write(FIRST)
    (result.target.parent / "mug.obj.textures" / "a.png").write_text("painted over")
    assert result.is_finished("1")
    with pytest.raises(Occupied, match=r"a\.png"):
        result.check_place()


@pytest.mark.parametrize("name", ["../victim", "/etc/hostname", "a/../../victim", "..\\victim", "C:victim"])
def test_a_record_that_names_files_elsewhere_is_none(result, name):
    result.target.parent.mkdir()
    record = {"format": FORMAT, "key": "1", "files": {name: {"sha256": "0"}}}
    result.record_file.write_text(json.dumps(record))
    assert result.record() == {} and not result.is_finished("1")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "espalier row 1", "files": [1]}', "\x00"])
def test_a_damaged_record_is_none(result, text):
    result.target.parent.mkdir()
    result.record_file.write_text(text)
    assert result.record() == {}
