# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as assets of Blender's Asset Browser, with the engine's preview: without a window Blender renders none."""

from pathlib import Path

import bpy
import numpy as np

PREVIEW_SIDE = 256


def mark_asset(item, preview: Path | None, description="", tags=()):
    """Mark an object as an asset that shows the picture file ``preview``.

    Where that is missing or cannot be read, Blender draws one of its own if it has a window to do so: the object is an
    asset all the same.
    """
    item.asset_mark()
    item.asset_data.description = description
    for tag in tags:
        item.asset_data.tags.new(tag, skip_if_exists=True)
    pixels = _pixels(preview)
    if pixels is not None:
        shown = item.preview_ensure()
        shown.image_size = (PREVIEW_SIDE, PREVIEW_SIDE)
        shown.image_pixels_float.foreach_set(pixels)
    elif not bpy.app.background:
        item.asset_generate_preview()


def describe(provenance):
    """What an asset's description says of an object of ours."""
    return f"Made by Espalier from {provenance.image}, seed {provenance.seed}"


def _pixels(preview):
    """A picture file as a preview's values, float32; None where there is none that Blender can read."""
    if preview is None or not preview.is_file():
        return None
    image = bpy.data.images.load(str(preview), check_existing=False)
    try:
        image.scale(PREVIEW_SIDE, PREVIEW_SIDE)
        pixels = np.empty(PREVIEW_SIDE * PREVIEW_SIDE * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return pixels
    except RuntimeError:
        return None
    finally:
        bpy.data.images.remove(image)
