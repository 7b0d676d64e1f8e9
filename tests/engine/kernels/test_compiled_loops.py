# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of compiled loops serves later processes only as long as nothing that they are made from changes."""

import importlib.util
import sys

import pytest

pytest.importorskip("numba")

from espalier.engine.kernels.compiled_loops import compiled

CONSTANT = "STEP = {}\n"
INNER = "from kept_constant import STEP\n\n\ndef inner(n):\n    return {} * n + STEP\n"
OUTER = "from kept_inner import inner\n\n\ndef outer(n):\n    return inner(n)\n"


@pytest.fixture
def outer(tmp_path):
    """Writes a loop that calls one of another file, which names a constant of a third, and loads it as anew."""
    names = "kept_constant", "kept_inner", "kept_outer"

    def load(step, factor):
        texts = CONSTANT.format(step), INNER.format(factor), OUTER
        for name, text in zip(names, texts, strict=True):
            file = tmp_path / f"{name}.py"
            if not file.exists() or file.read_text() != text:
                file.write_text(text)
            spec = importlib.util.spec_from_loader(name, loader=None, origin=str(file))
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            module.__file__ = str(file)
            exec(compile(text, str(file), "exec"), module.__dict__)
            for loop in ("inner", "outer"):
                if name == f"kept_{loop}":
                    setattr(module, loop, compiled(getattr(module, loop)))
        return sys.modules["kept_outer"].outer

    yield load
    for name in names:
        sys.modules.pop(name, None)


def test_a_loop_is_taken_from_what_was_kept_of_it(outer):
    assert outer(1, 2)(10) == 21
    again = outer(1, 2)
    assert again(10) == 21
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_constant_of_another_file_that_changed_is_compiled_in(outer):
    assert outer(1, 2)(10) == 21
    assert outer(5, 2)(10) == 25


def test_a_loop_of_another_file_that_changed_is_compiled_in(outer):
    assert outer(1, 2)(10) == 21
    assert outer(1, 3)(10) == 31
