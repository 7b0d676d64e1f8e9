# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures in panels: drawn from their files, and not more of them kept than panels show."""

import os

import numpy as np
import pytest
from espalier.addon.ui import thumbnails

from .conftest import png


@pytest.fixture
def pictures(tmp_path):
    """Files with a picture each, more than are kept."""
    files = [tmp_path / f"{number}.png" for number in range(thumbnails.MOST + 20)]
    for number, file in enumerate(files):
        file.write_bytes(png(np.full((4, 4, 3), number % 256)))
    yield files
    thumbnails.forget()


def kept():
    return {key.rpartition(" ")[0] for key in thumbnails._pictures}


def test_a_picture_is_read_once_until_its_file_is_another(pictures):
    for _ in range(2):
        thumbnails.icon(pictures[0])
    (picture,) = thumbnails._pictures.values()
    assert tuple(picture.image_size) == (4, 4)
    os.utime(pictures[0], (5, 5))
    thumbnails.icon(pictures[0])
    assert len(thumbnails._pictures) == 2
    assert thumbnails.icon(None) == 0 and thumbnails.icon(pictures[0].with_name("none")) == 0


def test_pictures_that_were_not_drawn_for_long_are_given_back_and_those_in_view_stay(pictures):
    thumbnails.icon(pictures[0])
    (first,) = thumbnails._pictures.values()
    for file in pictures:
        thumbnails.icon(file)
        thumbnails.icon(pictures[0])
    assert kept() == {str(file) for file in [pictures[0], *pictures[1 - thumbnails.MOST :]]}
    assert first in thumbnails._pictures.values()
    thumbnails.icon(pictures[1])
    assert str(pictures[1]) in kept() and len(kept()) == thumbnails.MOST


def test_all_are_given_back_when_the_extension_goes(pictures):
    thumbnails.icon(pictures[0])
    thumbnails.forget()
    assert thumbnails._pictures is None
    thumbnails.icon(pictures[1])
    assert kept() == {str(pictures[1])}
