# SPDX-License-Identifier: GPL-3.0-or-later
"""The test command runs every test once, in two processes, and fails when either does."""

import sys
from pathlib import Path

import pytest
from espalier.tooling import checks, console

TEST = """
from pathlib import Path

def test_it():
    with open(Path(__file__).with_suffix(".ran"), "a") as ran:
        ran.write("once ")
    assert {holds}
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Put a tree of tests in the repository's place: (folder, whether its test passes) of each."""

    def put(**tests):
        for folder, holds in tests.items():
            (tmp_path / "tests" / folder).mkdir(parents=True)
            (tmp_path / "tests" / folder / f"test_{folder}.py").write_text(TEST.format(holds=holds))
        (tmp_path / "tests" / "data").mkdir()
        for module in (checks, console):
            monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(checks, "TESTS", tmp_path / "tests")
        monkeypatch.setattr(checks, "LOGS", tmp_path / "logs")
        return lambda *arguments: checks.suite(Path(sys.executable), [*arguments, "-q"], console.clean_environment())

    return put


def ran(folder):
    return {path.stem: path.read_text().split() for path in folder.rglob("*.ran")}


def test_every_folder_runs_once_and_all_is_well_when_all_pass(tree, tmp_path):
    assert tree(ui=True, client=True, engine=True, new=True)() == 0
    assert ran(tmp_path) == {f"test_{name}": ["once"] for name in ("ui", "client", "engine", "new")}


@pytest.mark.parametrize("broken", ["ui", "engine"])
def test_a_failure_in_either_process_fails_the_command_and_is_printed(tree, tmp_path, broken, capfd):
    assert tree(**{name: name != broken for name in ("ui", "engine")})() == 1
    assert ran(tmp_path).keys() == {"test_ui", "test_engine"}
    assert f"test_{broken}.py::test_it" in capfd.readouterr().out


@pytest.mark.parametrize("broken", ["ui", "engine"])
def test_a_process_that_ends_by_a_signal_fails_the_command(tree, broken):
    suite = tree(**{name: name != broken for name in ("ui", "engine")})
    killed = "__import__('os').kill(__import__('os').getpid(), 9)"
    (checks.TESTS / broken / f"test_{broken}.py").write_text(TEST.format(holds=killed))
    assert suite() != 0


def test_a_selection_may_leave_one_process_nothing_but_not_both(tree):
    suite = tree(ui=True, engine=True)
    assert suite("-k", "test_engine") == 0
    assert suite("-k", "nothing") == checks.NO_TESTS


def test_named_tests_run_alone(tree, tmp_path):
    assert tree(ui=True, engine=False)("tests/ui") == 0
    assert ran(tmp_path).keys() == {"test_ui"}
