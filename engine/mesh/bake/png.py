# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture arrays as PNG files."""

from __future__ import annotations

import io

import numpy as np


def encode_png(image: np.ndarray) -> bytes:
    """Return the PNG file of ``image`` uint8 [H, W, 3 or 4] (first row on top)."""
    from PIL import Image

    stream = io.BytesIO()
    # Level 1 is several times faster than the default and these files are temporary or packed into a .blend.
    Image.fromarray(np.ascontiguousarray(image)).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
