# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for loops to be compiled is told so."""

import importlib.util
import sys

import pytest
from espalier.engine.kernels.compiled_loops import compiled
from espalier.engine.mesh.compilation import announcing


@pytest.fixture
def loops(tmp_path):
    """Two fresh loops, the second around the first, that nobody has compiled."""
    file = tmp_path / "fresh_loops.py"
    file.write_text(
        "def one(n):\n    return n + 1\n\n\n"
        "def many(n):\n    s = 0\n    for i in range(n):\n        s += one(i)\n    return s\n"
    )
    spec = importlib.util.spec_from_file_location("fresh_loops", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fresh_loops"] = module
    spec.loader.exec_module(module)
    module.one = compiled(module.one)
    yield compiled(module.many)
    del sys.modules["fresh_loops"]


def test_compiling_is_told_when_it_begins_and_of_inner_loops_only_once(loops):
    told = []
    with announcing(lambda: told.append("compiling")):
        assert loops(4) == 10
        assert told == ["compiling"]
        assert loops(4.0 > 3) == 1
    assert told == ["compiling"] * 2


def test_what_is_compiled_already_is_not_told(loops):
    told = []
    assert loops(4) == 10
    with announcing(lambda: told.append("compiling")):
        assert loops(5) == 15
    assert told == []
