# SPDX-License-Identifier: GPL-3.0-or-later
"""Image preparation (case 09): pictures in, pictures out."""

import numpy as np
import torch
from espalier.engine.conditioning.image import LONGEST_SIDE, prepare_image
from espalier.engine.conditioning.keyer import Matte
from PIL import Image

from .case import Case
from .runners import compares


def recorded_matte(image: Image.Image) -> Matte:
    """The stand-in for the background remover that the case was recorded with."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    out = image.convert("RGB")
    out.putalpha(Image.fromarray(np.where(np.abs(pixels - 255).sum(2) > 60, 255, 0).astype(np.uint8)))
    return Matte(out, ())


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image))


@compares("image pipelines, preprocess_image", "preprocess_image(in)")
def image_preparation(case: Case) -> None:
    for entry in case.about["entries"]:
        key = entry["key"]
        source, expected = (Image.open(case.folder / f"{key}.{end}.png") for end in ("in", "out"))
        prepared = prepare_image(source, matte=recorded_matte)
        # Another version of the imaging library may round a resized picture differently.
        allowed = 1.0 if max(source.size) > LONGEST_SIDE else 0.0
        case.close(f"{key}.out.png", pixels(prepared.image), pixels(expected), atol=allowed)
        case.agree(f"{key}: size of the mask", list(prepared.mask.size), entry["out"])
