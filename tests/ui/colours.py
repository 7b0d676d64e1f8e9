# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours at places of pictures."""

import numpy as np


def patch(picture, box, place):
    """The median colour of a few pixels at a place in a box, both axes from 0 to 1, from the upper left."""
    column, row = (round(box[axis] + place[axis] * (box[axis + 2] - box[axis])) for axis in (0, 1))
    return np.median(picture[row - 3 : row + 4, column - 3 : column + 4, :3].reshape(-1, 3), axis=0)


def chroma(colour):
    """A colour without its brightness, which light changes."""
    return colour / max(colour.sum(), 1.0)
