# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets of Blender's Asset Browser, with the engine's preview: without a window Blender renders none."""

import bpy
import numpy as np

PREVIEW_SIDE = 256


def mark_asset(item, preview=None, description=""):
    """Mark an object as an asset; ``preview`` is a picture file to show for it, or None. Raises RuntimeError for a
    picture that Blender cannot read.
    """
    item.asset_mark()
    item.asset_data.description = description
    if preview is None:
        return
    image = bpy.data.images.load(str(preview), check_existing=False)
    try:
        image.scale(PREVIEW_SIDE, PREVIEW_SIDE)
        pixels = np.empty(PREVIEW_SIDE * PREVIEW_SIDE * 4, np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    shown = item.preview_ensure()
    shown.image_size = (PREVIEW_SIDE, PREVIEW_SIDE)
    shown.image_pixels_float.foreach_set(pixels)


def describe(provenance):
    """What an asset's description says of an object of ours."""
    return f"Made by Espalier from {provenance.image}, seed {provenance.seed}"
