# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result back to the panel: the image, the seed and the settings it was made with."""

import bpy

from .. import finish_settings, sampling_settings
from ..request import KINDS, STARTER


def recall(panel, made, result):
    """Set the panel to what ``made`` (a job) was generated or textured with and ``result`` finished with.

    Returns sentences about what could not be set.
    """
    request, missing = made.request, []
    texture = request.get("kind") == "texture"
    known = KINDS["texture" if texture else "generate"]
    panel.mode = "TEXTURE" if texture else "GENERATE"
    image = _load(made.input)
    if image is None:
        missing.append("The image of this result is no longer there. The panel keeps the one it has.")
    else:
        image.name = str(request.get("image") or image.name)
        panel.image = image
    model = request.get("model")
    starter = not isinstance(model, dict) or model.get("set") in (None, STARTER)
    settings = request.get("settings") if isinstance(request.get("settings"), dict) else {}
    finishing = result.request.get("settings") if isinstance(result.request.get("settings"), dict) else {}
    kinds = {kind: name for name, kind in known.items()}
    try:
        panel.model = "STARTER" if starter else "TRELLIS2"
        panel.quality = kinds.get(settings.get("quality"), panel.quality)
        panel.matting = str(settings.get("matting") or panel.matting).upper()
        panel.seed = request.get("seed", 0)
        panel.lock_seed = True
        sampling_settings.take(panel.sampling, settings.get("samplers") or {})
        panel.sampling.fast = settings.get("fast") is True
        panel.sampling.int8 = settings.get("int8") is True
        panel.sampling.fp8 = settings.get("fp8") is True
        if texture:
            target = request.get("target") or {}
            panel.texture_on = "COPY" if target.get("on_copy") is True else "OBJECT"
        else:
            finish_settings.take(panel.finish, {**settings, **finishing})
    except (TypeError, ValueError, OverflowError, AttributeError):
        missing.append("Some settings of this result are none that the panel has, and were left as they are.")
    return missing


def _load(path):
    """The image of a job, packed: its file goes when the job is deleted. None where it cannot be read."""
    if path is None:
        return None
    try:
        image = bpy.data.images.load(str(path), check_existing=True)
        if image.packed_file is None:
            image.pack()
    except RuntimeError:
        return None
    return image
