# SPDX-License-Identifier: GPL-3.0-or-later
"""Agreement with the reference: one test for each case of the folder that ``--golden`` names (default: tests/data)."""

from pathlib import Path

import pytest
from espalier.tests.parity.case import Case
from espalier.tests.parity.comparison import compare


def pytest_generate_tests(metafunc):
    if "folder" in metafunc.fixturenames:
        root = Path(metafunc.config.getoption("--golden"))
        folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
        metafunc.parametrize("folder", folders, ids=[folder.name for folder in folders])


@pytest.mark.parity
def test_agrees_with_the_reference(folder, tmp_path, record_property):
    case = Case(folder, tmp_path)
    compare(case)
    record_property("golden", case.account)
    assert not case.failures, "\n".join(case.failures)
