# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences in panels are broken to the width at hand."""

import bpy  # noqa: F401 - only with it are there blf and our panels
import pytest

SENTENCE = "sample: 7,972 faces, seed 0, 1 min 44 s\nThe rest is as it was: 25 % of the faces, 1024 px."


@pytest.mark.parametrize("width", [1, 60, 120, 200, 10_000])
def test_lines_fit_and_lose_nothing(width):
    import blf
    from espalier.addon.ui.text import break_lines

    lines = break_lines(SENTENCE, width, 1.0)
    assert " ".join(lines) == " ".join(SENTENCE.split())
    for line in lines:
        unbroken = line.count(" ") <= 1
        assert blf.dimensions(0, line)[0] <= width or unbroken
    assert width < 10_000 or len(lines) == 1


def test_bytes_are_told_as_people_say_them():
    from espalier.addon.ui.text import megabytes

    assert [megabytes(size) for size in (0, 58_200, 3.28e8, 2.9e9)] == ["0 KB", "58 KB", "328 MB", "2.9 GB"]


@pytest.mark.parametrize("width", range(20, 300, 7))
def test_a_number_keeps_its_unit(width):
    from espalier.addon.ui.text import break_lines

    lines = break_lines(SENTENCE, width, 1.0)
    assert not any(line.split()[0] in ("s", "min", "%", "px.") for line in lines)
